"""Run the rules, and apply the configuration and the annotations that silence findings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from netprobe.lint.config import NO_CONFIG, LintConfig
from netprobe.lint.rule import Finding, LintRule, Severity, catalogue
from netprobe.lint.view import View
from netprobe.model.policy import Policy
from netprobe.policies.records import ref_of

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
