"""Which cases are meant, by tags and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

from netprobe.conformance.case import Case
from netprobe.errors import UsageError


def select_cases(
    cases: Sequence[Case],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    only: Sequence[str] = (),
) -> tuple[Case, ...]:
    """The cases that have a tag of `include`, none of `exclude`, and a name (or pattern) of `only`.

    UsageError for a tag or name that no case has, for two cases of one name, and where nothing is left.
    """
    twice = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    if twice:
        raise UsageError(f"two cases are named {twice[0]!r}: names are unique")
    words = {word for case in cases for word in case.words}
    for word in (*include, *exclude):
        if word not in words:
            near = get_close_matches(word, words, n=1)
            hint = f": did you mean {near[0]!r}?" if near else "; `--list` shows the tags"
            raise UsageError(f"no case has the tag, rule or feature {word!r}{hint}")
    for pattern in only:
        if not any(_named(case, pattern) for case in cases):
            near = get_close_matches(pattern, [case.name for case in cases], n=1, cutoff=0.4)
            hint = f": did you mean {near[0]!r}?" if near else "; `--list` shows the names"
            raise UsageError(f"no case is named {pattern!r}{hint}")
    found = tuple(
        case
        for case in cases
        if (not include or case.words & set(include))
        and not case.words & set(exclude)
        and (not only or any(_named(case, pattern) for pattern in only))
    )
    if not found:
        raise UsageError("no case is left: what is included is excluded too")
    return found


def _named(case: Case, pattern: str) -> bool:
    return case.name == pattern or fnmatchcase(case.name, pattern)
