"""Findings of lint as text: a table, JSON, GitHub annotations and JUnit."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lint import Finding, Linted, Severity, edits
from netprobe.manifests.suggestion import SideEffects, fix_fields
from netprobe.model.policy import Place
from netprobe.report.github import annotation
from netprobe.report.junit import CLOSING, OPENING, JUnitCase, JUnitOutcome, suite_xml
from netprobe.report.style import BAD, NOTE, PLAIN, UNSURE, Style, in_repository
from netprobe.report.text import wrapped
from netprobe.report.write import Formats

NOTES_SHOWN = 20
"""Notes of one rule that the table shows."""
FINDING_FORMATS: Formats[Linted] = Formats(
    {
        "table": "netprobe.report.findings:table",
        "json": "netprobe.report.findings:as_json",
        "sarif": "netprobe.report.findings_sarif:sarif",
        "github": "netprobe.report.findings:github",
        "junit": "netprobe.report.findings:junit",
    }
)

_COLOURS = {Severity.ERROR: BAD, Severity.WARNING: UNSURE, Severity.NOTE: NOTE}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def summary(linted: Linted) -> str:
    """ "2 errors and 1 warning in 5 policies"."""
    parts = [
        f"{count} {severity.value}{'s' if count != 1 else ''}"
        for severity in Severity
        if (count := linted.count(severity))
    ]
    policies = f"{linted.policies} polic{'y' if linted.policies == 1 else 'ies'}"
    found = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts) or "nothing found"
    silenced = f", {len(linted.silenced)} silenced" if linted.silenced else ""
    return f"{found} in {policies}{silenced}"


def table(linted: Linted, style: Style) -> Iterator[str]:
    """One line per finding, in the format of compilers, so that editors and terminals make links of them.

    A terminal gets lines that fit.
    Of many notes of one rule only the first are shown, so that they do not hide the warnings.
    """
    notes: Counter[str] = Counter()
    for finding in linted.findings:
        if finding.severity is Severity.NOTE:
            notes[finding.rule] += 1
            if notes[finding.rule] > NOTES_SHOWN:
                continue
        severity = finding.severity.value
        where = "" if finding.file is None else f"{finding.subject}: "
        line = f"{finding.place}: {severity} {finding.rule}: {where}{finding.message}"
        painted = style.paint(severity, _COLOURS[finding.severity])
        line = wrapped(line, style, hang="    ")
        yield re.sub(rf"(?<=: ){severity}(?=\s)", painted, line, count=1) + "\n"
        if finding.suggestion:
            mark = " [--fix]" if finding.fix and edits(finding) else ""
            yield wrapped(f"fix: {finding.suggestion}{mark}", style, "    ") + "\n"
    for rule, count in sorted(notes.items()):
        if count > NOTES_SHOWN:
            more = f"{count - NOTES_SHOWN} more notes of {rule}"
            hint = f"{more}: -o json shows all, `disable: [{rule}]` in .netprobe.yaml none"
            yield wrapped(hint, style) + "\n"
    for warning in linted.warnings:
        line = wrapped(f"warning: {warning}", style)
        yield line.replace("warning", style.paint("warning", UNSURE), 1) + "\n"
    yield f"{summary(linted)}\n"


def as_json(linted: Linted, _style: Style = PLAIN) -> Iterator[str]:
    document = {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "LintReport",
        "summary": {
            "policies": linted.policies,
            **{f"{severity.value}s": linted.count(severity) for severity in Severity},
            "silenced": len(linted.silenced),
        },
        "findings": [_record(finding) for finding in linted.findings],
        "silenced": [{**_record(each.finding), "reason": each.reason} for each in linted.silenced],
        "problems": list(linted.warnings),
    }
    yield json.dumps(document, indent=2) + "\n"


def _record(finding: Finding) -> Mapping[str, Any]:
    line, column = finding.position
    here = finding.file is not None
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "policy": str(finding.subject),
        "file": finding.file,
        "line": line if here else None,
        "column": column if here else None,
        "path": finding.path or None,
        "message": finding.message,
        "suggestion": finding.suggestion or None,
        "fix": fix_fields(finding.suggestion, [finding.patch], finding.effects or SideEffects())
        if finding.fix
        else None,
        "edits": [{"start": e.start, "end": e.end, "text": e.text} for e in edits(finding)]
        if finding.fix
        else [],
    }


def github(linted: Linted, _style: Style = PLAIN) -> Iterator[str]:
    """Workflow commands that annotate lines of the manifests."""
    for finding in linted.findings:
        place = Place(finding.file, *finding.position) if finding.file is not None else None
        lines = [f"{finding.subject}: {finding.message}"]
        if finding.suggestion:
            lines.append(f"fix: {finding.suggestion}")
        yield annotation(_LEVELS[finding.severity], f"netprobe {finding.rule}", lines, place)
    for warning in linted.warnings:
        yield annotation("warning", "netprobe lint", [warning])
    yield f"netprobe lint: {summary(linted)}\n"


def junit(linted: Linted, style: Style = PLAIN) -> Iterator[str]:
    """One test case per finding. Errors and warnings are failures; notes and silenced ones are skipped."""
    cases = [_case(finding, _outcome(finding), style) for finding in linted.findings]
    cases += [
        _case(each.finding, JUnitOutcome("skipped", f"silenced: {each.reason}"), style)
        for each in linted.silenced
    ]
    cases = cases or [JUnitCase(summary(linted), "netprobe.lint")]
    yield OPENING
    yield from suite_xml("netprobe lint", cases, linted.warnings)
    yield CLOSING


def _outcome(finding: Finding) -> JUnitOutcome:
    if finding.severity is Severity.NOTE:
        return JUnitOutcome("skipped", finding.message)
    fix = f"\nfix: {finding.suggestion}" if finding.suggestion else ""
    body = f"{finding.place}: {finding.message}{fix}"
    return JUnitOutcome("failure", finding.message, finding.severity.value, body)


def _case(finding: Finding, outcome: JUnitOutcome, style: Style) -> JUnitCase:
    at = (in_repository(finding.file, style.root), finding.position[0]) if finding.file is not None else None
    name = f"{finding.subject} {finding.path}".strip()
    return JUnitCase(name, f"netprobe.lint.{finding.rule}", outcome, at=at)
