"""SARIF 2.1.0 (OASIS), as GitHub's code scanning reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from netprobe import PROJECT_URL, __version__
from netprobe.lint import Finding, Linted, LintRule, Severity, catalogue, edits
from netprobe.manifests.text_edit import TextEdit
from netprobe.report.style import PLAIN, Style, in_repository

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif(linted: Linted, style: Style = PLAIN) -> Iterator[str]:
    """One run. Silenced findings are results with a suppression, so pages show them as accepted."""
    named = list(catalogue().values())
    index = {rule.id: number for number, rule in enumerate(named)}
    results = [_result(finding, index, style.root) for finding in linted.findings]
    results += [
        {
            **_result(each.finding, index, style.root),
            "suppressions": [{"kind": "inSource", "justification": each.reason}],
        }
        for each in linted.silenced
    ]
    driver = {
        "name": "netprobe",
        "version": __version__,
        "semanticVersion": __version__,
        "informationUri": PROJECT_URL,
        "rules": [_rule(rule) for rule in named],
    }
    notifications = [{"level": "warning", "message": {"text": warning}} for warning in linted.warnings]
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notifications}],
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(rule: LintRule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title} {rule.prose}"},  # GitHub cuts it at 1,024 characters
        "helpUri": f"{PROJECT_URL}/blob/main/docs/lint.md#rules",
        "help": {"text": rule.text, "markdown": _markdown(rule)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _markdown(rule: LintRule) -> str:
    parts = [rule.prose]
    for word, snippets in (("Fails", rule.fails), ("Passes", rule.passes)):
        parts += [f"{word}:\n\n```yaml\n{snippet}```" for snippet in snippets]
    return "\n\n".join(parts)


def _result(finding: Finding, index: dict[str, int], root: Path | None) -> dict[str, Any]:
    text = f"{finding.subject}: {finding.message}"
    if finding.suggestion:
        text += f" (fix: {finding.suggestion})"
    logical = {"fullyQualifiedName": finding.full_name, "kind": "object"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if finding.file is not None:
        line, column = finding.position
        location["physicalLocation"] = {
            "artifactLocation": _artifact(finding.file, root),
            "region": {"startLine": line, "startColumn": column},
        }
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [location],
        "partialFingerprints": {"netprobe/v1": _fingerprint(finding)},
    }
    changes = edits(finding) if finding.fix and finding.file is not None else ()
    if changes:
        result["fixes"] = [_fix(finding, changes, root)]
    return result


def _fix(finding: Finding, changes: tuple[TextEdit, ...], root: Path | None) -> dict[str, Any]:
    replacements = [
        {
            "deletedRegion": {"charOffset": edit.start, "charLength": edit.end - edit.start},
            **({"insertedContent": {"text": edit.text}} if edit.text else {}),
        }
        for edit in changes
    ]
    artifact = {"artifactLocation": _artifact(finding.file or "", root), "replacements": replacements}
    return {"description": {"text": finding.suggestion}, "artifactChanges": [artifact]}


def _artifact(file: str, root: Path | None) -> dict[str, str]:
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
