"""The file of expected failures: a reason and an end date for each case.

- case: "ingress: port 53-80/*"      a case's name, or a pattern with a shell's wildcards
  reason: the plugin supports endPort from version 2 on
  until: 2027-03-01                  from this day on the failure counts again
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from netprobe.conformance.case import Case, has_name, suggestion
from netprobe.conformance.result import CaseStatus, Result, Results, Triage
from netprobe.errors import InputError, Problem
from netprobe.manifests.excerpt import TextError
from netprobe.manifests.yaml_reader import read_yaml


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    until: dt.date


class _Entries(RootModel[list[_Entry]]):
    pass


@dataclass(frozen=True, slots=True)
class ExpectedFailure:
    """One expected failure. `until` is the first day on which it counts again."""

    pattern: str
    reason: str
    until: dt.date

    def holds(self, case: Case) -> bool:
        return has_name(case, self.pattern)


def load(path: str | os.PathLike[str], cases: Iterable[Case]) -> tuple[ExpectedFailure, ...]:
    """Read a file of expected failures. InputError with all problems, such as a name that no case has."""
    try:
        trees = list(read_yaml(Path(path).read_text(encoding="utf-8")))
    except TextError as error:
        raise InputError([Problem(f"{path}:{error.line}", "", error.message)]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Problem(str(path), "", f"cannot be read: {error}")]) from error
    places = trees[0].places if trees else {}

    def problem(index: int, field: str, message: str) -> Problem:
        path_ = f"[{index}].{field}" if field else f"[{index}]"
        line, _ = places.get(path_) or places.get(f"[{index}]") or (1, 1)
        return Problem(f"{path}:{line}", path_, message)

    try:
        entries = _Entries.model_validate((trees[0].value if trees else None) or []).root
    except ValidationError as error:
        found = [(*e["loc"], 0, "")[:2] for e in error.errors()]
        raise InputError(
            problem(
                int(index) if isinstance(index, int) else 0, str(field or ""), _wrong(e["type"], e["msg"])
            )
            for (index, field), e in zip(found, error.errors(), strict=True)
        ) from error
    known = [ExpectedFailure(entry.case, entry.reason, entry.until) for entry in entries]
    every = list(cases)
    lost = [
        problem(index, "case", f"no case is named {one.pattern!r}{_suggestion(one.pattern, every)}")
        for index, one in enumerate(known)
        if not any(map(one.holds, every))
    ]
    if lost:
        raise InputError(lost)
    return tuple(known)


def _wrong(kind: str, message: str) -> str:
    """pydantic's message, unless it names Python classes."""
    entry = "an entry is a mapping of `case`, `reason` and `until`"
    return {
        "list_type": f"must be a list; {entry}",
        "model_type": f"is not an entry; {entry}",
        "extra_forbidden": f"is not a known field; {entry}",
        "missing": "is missing",
    }.get(kind, message)


def _suggestion(pattern: str, cases: Iterable[Case]) -> str:
    hint = "`netprobe conformance --list` shows the names"
    return suggestion(pattern, [case.name for case in cases], cutoff=0.7, otherwise=hint)


def triage(results: Results, known: Sequence[ExpectedFailure], today: dt.date) -> Results:
    """The results, each compared with its entry; the first entry that matches a case counts."""
    return replace(results, results=tuple(_judged(result, known, today) for result in results.results))


def _judged(result: Result, known: Sequence[ExpectedFailure], today: dt.date) -> Result:
    entry = next((one for one in known if one.holds(result.case)), None)
    if entry is None:
        return result
    remark = f"{entry.reason} (until {entry.until})"
    match result.status:
        case CaseStatus.FAILED | CaseStatus.FLAKY | CaseStatus.UNKNOWN:
            standing = Triage.EXPECTED if today < entry.until else Triage.EXPIRED
            return replace(result, standing=standing, remark=remark)
        case CaseStatus.PASSED:
            return replace(result, standing=Triage.FIXED, remark=remark)
        case _:
            return result
