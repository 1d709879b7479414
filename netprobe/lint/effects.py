"""What the fixes of findings open and close; one that breaks a declared flow is no fix."""

from __future__ import annotations

from dataclasses import replace

from netprobe.explain import Advisor
from netprobe.lint.finding import Finding
from netprobe.lint.linter import Linted

MOST_CHECKED = 100
"""Fixes whose effects are worked out; a report has seldom more, and each is simulated."""
BREAKS = "not by --fix, since a declared flow would turn"


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
