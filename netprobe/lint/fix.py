"""`--fix`: the findings of a file fixed in its text, one by one; and what that opens and closes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from netprobe.lint.linter import Linted
from netprobe.lint.rule import Finding
from netprobe.manifests.files import Encoding, read_exactly
from netprobe.manifests.text_edit import NotEditableError, TextEdit, edited, locate
from netprobe.manifests.text_edit import edits as edits_of

if TYPE_CHECKING:
    from netprobe.explain import Advisor

Save: TypeAlias = Callable[[Path, Iterable[str], Encoding], None]

MOST_CHECKED = 100
"""Fixes whose effects are worked out; a report has seldom more, and each is simulated."""
BREAKS = "not by --fix, since a declared flow would turn"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A text after its fixes, the findings that are fixed, and the others, each with the reason why not."""

    text: str
    fixed: tuple[Finding, ...]
    left: tuple[tuple[Finding, str], ...]


def fix(text: str, findings: Iterable[Finding]) -> Fixed:
    """Fix all findings of one file that have a fix."""
    fixed: list[Finding] = []
    left: list[tuple[Finding, str]] = []
    located = []
    for finding in findings:
        if finding.fix:
            try:
                located.append((finding, locate(text, finding.patch)))
            except NotEditableError as error:
                left.append((finding, str(error)))
    # Removals come last, and from the end: until then every index is still valid.
    removals = sorted((each for each in located if _removed(each[0])), key=lambda each: _removed(each[0]))
    for finding, way in [*(each for each in located if not _removed(each[0])), *reversed(removals)]:
        try:
            text = edited(text, way, finding.patch)
        except NotEditableError as error:
            left.append((finding, str(error)))
        else:
            fixed.append(finding)
    return Fixed(text, tuple(fixed), tuple(left))


def _removed(finding: Finding) -> tuple[tuple[str, int], ...]:
    """The path of what a fix removes, in a form that sorts by position; () if it removes nothing."""
    paths = [operation["path"] for operation in finding.fix if operation["op"] == "remove"]
    return tuple(
        ("", int(part)) if part.isdigit() else (part, -1) for path in paths for part in path.split("/")
    )


def edits(finding: Finding) -> tuple[TextEdit, ...]:
    """What `fix` would change in the file of a finding, as the file is now; () for nothing."""
    found = read_exactly(Path(finding.file)) if finding.fix and finding.file else None
    return () if found is None else edits_in(found[0], finding)


def edits_in(text: str, finding: Finding) -> tuple[TextEdit, ...]:
    """What `fix` would change in a text; () for nothing."""
    try:
        return edits_of(text, finding.patch)
    except NotEditableError:
        return ()


def fix_files(findings: Iterable[Finding], save: Save) -> list[Fixed]:
    """Fix the files of all findings, and save those that change, in the encoding that they have."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.fix and finding.file:
            by_file.setdefault(finding.file, []).append(finding)
    results = []
    for file, own in by_file.items():
        found = read_exactly(Path(file))
        if found is None:
            unread = tuple((finding, "the file cannot be read again") for finding in own)
            results.append(Fixed("", (), unread))
            continue
        results.append(fix(found[0], own))
        if results[-1].fixed:
            save(Path(file), [results[-1].text], found[1])
    return results


def with_effects(linted: Linted, advisor: Advisor) -> Linted:
    """The findings, each with what its fix would change. `advisor` knows the cluster and what is declared."""
    left = MOST_CHECKED
    found: list[Finding] = []
    for finding in linted.findings:
        known = (finding.patch.kind, finding.patch.name) in advisor.world.policies
        if finding.fix and known and left:
            left -= 1
            effects = advisor.described([finding.patch])
            if effects is None:
                suggestion = f"{finding.suggestion} ({BREAKS})" if finding.suggestion else BREAKS
                finding = replace(finding, fix=(), suggestion=suggestion)  # noqa: PLW2901
            else:
                finding = replace(finding, effects=effects)  # noqa: PLW2901
        found.append(finding)
    return replace(linted, findings=tuple(found))
