"""Run the rules, and apply `.netprobe.yaml` and the annotations that silence findings.

`.netprobe.yaml` says which rules run, with which severity, and where:

    lint:
      exclude: [charts/, vendor/]     # files and folders that are not read
      disable: [no-ports]
      severity: {egress-to-anywhere: error}
      paths:
        - match: legacy/
          disable: [missing-default-deny]

Patterns are relative to the folder of the file. A folder means everything below it; `*` matches any
characters.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from netprobe.errors import InputError, Problem
from netprobe.lint.rule import Finding, LintRule, Severity, catalogue
from netprobe.lint.view import View
from netprobe.model.policy import Policy
from netprobe.model.text import dotted
from netprobe.policies.records import ref_of

FILE_NAME = ".netprobe.yaml"


def _known_rule(name: str) -> str:
    if name not in catalogue():
        raise ValueError(f"no rule {name!r}; `netprobe lint --explain` lists them")
    return name


RuleId = Annotated[str, AfterValidator(_known_rule)]


class Overrides(BaseModel):
    """Rules that are disabled or have another severity."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disable: tuple[RuleId, ...] = ()
    severity: dict[RuleId, Severity] = Field(default_factory=dict)

    def apply(self, finding: Finding) -> Finding | None:
        if finding.rule in self.disable:
            return None
        severity = self.severity.get(finding.rule)
        return finding if severity is None else replace(finding, severity=severity)


class PathOverrides(Overrides):
    match: str | tuple[str, ...]

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.match,) if isinstance(self.match, str) else self.match


class LintConfig(Overrides):
    """The `lint` section. Later entries of `paths` override earlier ones."""

    exclude: tuple[str, ...] = ()
    paths: tuple[PathOverrides, ...] = ()
    folder: str = Field(default="", exclude=True)

    def excludes(self, file: str) -> bool:
        return any(self._matches(pattern, file) for pattern in self.exclude)

    def adjust(self, finding: Finding) -> Finding | None:
        """The finding with the configured severity; None if it is disabled."""
        adjusted = self.apply(finding)
        for override in self.paths:
            if adjusted is None or finding.file is None:
                break
            if any(self._matches(pattern, finding.file) for pattern in override.patterns):
                adjusted = override.apply(adjusted)
        return adjusted

    def _matches(self, pattern: str, file: str) -> bool:
        path = PurePath(file)
        if self.folder and path.is_absolute() and path.is_relative_to(self.folder):
            path = path.relative_to(self.folder)
        name, wanted = path.as_posix(), pattern.removeprefix("./")
        return fnmatchcase(name, wanted) or fnmatchcase(name, f"{wanted.rstrip('/')}/*")


class ConfigFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    lint: LintConfig = LintConfig()


NO_CONFIG = LintConfig()


def parse_config(value: Any, place: Callable[[str], str], folder: str = "") -> LintConfig:
    """The configuration from the content of a file. Raises InputError with all problems.

    `place` gives the "file:line:column" of a path. `folder`, absolute, is what patterns are relative to.
    """
    try:
        config = ConfigFile.model_validate({} if value is None else value)
    except ValidationError as error:
        raise InputError(
            Problem(place(path), path, message.removeprefix("Value error, "))
            for path, message in ((dotted(each["loc"]), each["msg"]) for each in error.errors())
        ) from error
    return config.lint.model_copy(update={"folder": folder})


IGNORE = "netprobe.dev/ignore-"
"""Prefix of the annotation that silences a rule for one policy. The value is the reason."""


@dataclass(frozen=True, slots=True)
class Silenced:
    """A finding that an annotation silences, with the reason given there."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True)
class Linted:
    """All findings, sorted by file and line. `policies` is the number of policies checked.

    `warnings` are sentences about the whole input: what was left out.
    """

    findings: tuple[Finding, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    policies: int = 0
    warnings: tuple[str, ...] = ()

    def count(self, severity: Severity) -> int:
        return sum(finding.severity is severity for finding in self.findings)

    def joined(self, other: Linted, policies: Collection[Policy]) -> Linted:
        """With the findings of another run about these policies, identified by where they were read."""
        origins = {id(policy.origin) for policy in policies}
        findings = [each for each in other.findings if id(each.origin) in origins]
        silenced = [each for each in other.silenced if id(each.finding.origin) in origins]
        return Linted(
            tuple(sorted([*self.findings, *findings], key=_order)),
            tuple(sorted([*self.silenced, *silenced], key=lambda each: _order(each.finding))),
            self.policies + len(policies),
        )

    def failed(self, *, strict: bool = False) -> bool:
        """Whether there are errors, or with `strict` warnings."""
        return bool(self.count(Severity.ERROR) or (strict and self.count(Severity.WARNING)))


def lint(view: View, config: LintConfig = NO_CONFIG, chosen: Iterable[LintRule] | None = None) -> Linted:
    """All findings of the chosen rules (default: all of them)."""
    findings: list[Finding] = []
    silenced: list[Silenced] = []
    for finding in _all(view, catalogue().values() if chosen is None else chosen):
        adjusted = config.adjust(finding)
        if adjusted is None:
            continue
        reason = view.annotations.get(finding.subject, {}).get(IGNORE + finding.rule, "").strip()
        if reason:
            silenced.append(Silenced(adjusted, reason))
        else:
            findings.append(adjusted)
    refs = {policy.ref for policy in view.all_kinds.policies} | {each.ref for each in view.refused}
    refs |= {ref_of(each) for each in view.all_kinds.staged}
    return Linted(
        tuple(sorted(findings, key=_order)),
        tuple(sorted(silenced, key=lambda each: _order(each.finding))),
        len(refs),
    )


def _all(view: View, chosen: Iterable[LintRule]) -> Iterator[Finding]:
    for rule in chosen:
        yield from rule.check(view)


def _order(finding: Finding) -> tuple[str, int, int, int, str, str]:
    return (
        finding.file or f"{finding.subject}",
        *finding.position,
        finding.severity.rank,
        finding.rule,
        finding.path,
    )
