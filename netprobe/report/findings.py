"""Findings of lint as text: a table, JSON, GitHub annotations, JUnit, and SARIF 2.1.0 (OASIS)."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from netprobe import PROJECT_URL, __version__
from netprobe.lint import Finding, Linted, LintRule, Severity, catalogue, edits
from netprobe.manifests.change import SideEffects, fix_fields
from netprobe.manifests.text_edit import TextEdit
from netprobe.model.policy import Place
from netprobe.report.github import annotation
from netprobe.report.junit import CLOSING, OPENING, JUnitCase, JUnitOutcome, suite_xml
from netprobe.report.style import BAD, NOTE, PLAIN, UNSURE, Style, in_repository, wrapped

NOTES_SHOWN = 20
"""Notes of one rule that the table shows."""

_COLOURS = {Severity.ERROR: BAD, Severity.WARNING: UNSURE, Severity.NOTE: NOTE}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


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


def sarif(linted: Linted, style: Style = PLAIN) -> Iterator[str]:
    """One run. Silenced findings are results with a suppression, so pages show them as accepted."""
    named = list(catalogue().values())
    index = {rule.id: number for number, rule in enumerate(named)}
    results = [_sarif_result(finding, index, style.root) for finding in linted.findings]
    results += [
        {
            **_sarif_result(each.finding, index, style.root),
            "suppressions": [{"kind": "inSource", "justification": each.reason}],
        }
        for each in linted.silenced
    ]
    driver = {
        "name": "netprobe",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": PROJECT_URL,
        "rules": [_sarif_rule(rule) for rule in named],
    }
    notifications = [{"level": "warning", "message": {"text": warning}} for warning in linted.warnings]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    yield json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _sarif_rule(rule: LintRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} {rule.prose}"},  # GitHub cuts it at 1,024 characters
        "helpUri": f"{PROJECT_URL}/blob/main/docs/lint.md#rules",
        "help": {"text": rule.text, "markdown": _manual(rule)},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _manual(rule: LintRule) -> str:
    parts = [rule.prose]
    for word, snippets in (("Fails", rule.fails), ("Passes", rule.passes)):
        parts += [f"{word}:\n\n```yaml\n{snippet}```" for snippet in snippets]
    return "\n\n".join(parts)


def _sarif_result(finding: Finding, index: dict[str, int], root: Path | None) -> dict[str, Any]:
    text = f"{finding.subject}: {finding.message}"
    if finding.suggestion:
        text += f" (fix: {finding.suggestion})"
    logical = {"fullyQualifiedName": finding.full_name, "kind": "object"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if finding.file is not None:
        line, column = finding.position
        location["physicalLocation"] = {
            "artifactLocation": _sarif_artifact(finding.file, root),
            "region": {"startLine": line, "startColumn": column},
        }
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": finding.severity.value,
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"netprobe/v1": _fingerprint(finding)},
    }
    changes = edits(finding) if finding.fix and finding.file is not None else ()
    if changes:
        result["fixes"] = [_sarif_fix(finding, changes, root)]
    return result


def _sarif_fix(finding: Finding, changes: tuple[TextEdit, ...], root: Path | None) -> dict[str, Any]:
    replacements = [
        {
            "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
            **({"insertedContent": {"text": edit.text}} if edit.text else {}),
        }
        for edit in changes
    ]
    artifact = {"artifactLocation": _sarif_artifact(finding.file or "", root), "replacements": replacements}
    return {"description": {"text": finding.suggestion}, "artifactChanges": [artifact]}


def _sarif_artifact(file: str, root: Path | None) -> dict[str, str]:
    """Relative to the root of the repository, against which GitHub resolves it; absolute outside of it."""
    path = PurePath(in_repository(file, root))
    if path.is_absolute():
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": "%SRCROOT%"}


def _fingerprint(finding: Finding) -> str:
    """The same for a finding that only moved to another line."""
    text = "\0".join(
        (finding.rule, finding.subject.kind, str(finding.subject), finding.path, finding.message)
    )
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]
