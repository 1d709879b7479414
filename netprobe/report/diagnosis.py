"""The diagnosis of `doctor` as a table, JSON and YAML, and the missing permissions as RBAC."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from netprobe import __version__
from netprobe.doctor import Check, CheckStatus, Diagnosis
from netprobe.report.style import BAD, GOOD, NOTE, PLAIN, UNSURE, Style, wrapped

_WORDS = {
    CheckStatus.OK: ("ok", GOOD),
    CheckStatus.NOTE: ("note", NOTE),
    CheckStatus.FAILED: ("FAILED", BAD),
    CheckStatus.UNKNOWN: ("unknown", UNSURE),
}
_NARROW = 40
"""If there are fewer columns for the evidence, its lines are not wrapped."""


def as_json(diagnosis: Diagnosis, _style: Style = PLAIN) -> Iterator[str]:
    yield json.dumps(_document(diagnosis), indent=2) + "\n"


def as_yaml(diagnosis: Diagnosis, _style: Style = PLAIN) -> Iterator[str]:
    yield yaml.safe_dump(_document(diagnosis), sort_keys=False, allow_unicode=True)


def _document(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "Diagnosis",
        "netprobe": __version__,
        "server": diagnosis.server,
        "user": diagnosis.user,
        "exit_status": diagnosis.exit_status,
        "checks": [
            {"name": c.name, "status": c.status.value, "evidence": c.evidence, "hint": c.hint}
            for c in diagnosis.checks
        ],
        "missing_permissions": [
            {
                "verb": permission.verb,
                "resource": permission.resource,
                "group": permission.group,
                "needed": permission.need.value,
                "why": permission.why,
            }
            for permission in diagnosis.lacking
        ],
    }


def table(diagnosis: Diagnosis, style: Style) -> Iterator[str]:
    width = max(len(check.name) for check in diagnosis.checks)
    hints: set[str | None] = set()  # each is shown once
    for check in diagnosis.checks:
        yield from _lines(check, None if check.hint in hints else check.hint, width, style)
        hints.add(check.hint)
    yield f"\n{_summary(diagnosis.checks)}\n"
    if diagnosis.lacking:
        yield "\n"
        yield from rbac(diagnosis)


def _lines(check: Check, hint: str | None, width: int, style: Style) -> Iterator[str]:
    (word, colour), indent = _WORDS[check.status], " " * (9 + width + 2)
    fits = style.width is not None and style.width - len(indent) >= _NARROW
    evidence = " ".join(check.evidence.split())
    texts = [
        wrapped(text, style if fits else PLAIN, indent, hang="")
        for text in (evidence, f"to do: {hint}" if hint else "")
        if text
    ]
    head = style.paint(word, colour) + " " * (9 - len(word)) + f"{check.name:{width}}  "
    yield head + "\n".join(texts).removeprefix(indent) + "\n"


def _summary(checks: Sequence[Check]) -> str:
    by_name = {check.name: check.status for check in checks}
    sides = {name: by_name.get(name, CheckStatus.UNKNOWN) for name in ("ingress", "egress")}
    failed = [check.name for check in checks if check.status is CheckStatus.FAILED]
    match sides["ingress"], sides["egress"]:
        case CheckStatus.OK, CheckStatus.OK:
            others = f", but {', '.join(failed)} failed" if failed else ""
            return f"This cluster enforces NetworkPolicy, ingress and egress{others}."
        case CheckStatus.FAILED, CheckStatus.FAILED:
            return "This cluster does not enforce NetworkPolicy as it should: see ingress and egress."
        case CheckStatus.FAILED, _:
            return "This cluster does not enforce NetworkPolicy for ingress as it should."
        case _, CheckStatus.FAILED:
            return "This cluster does not enforce NetworkPolicy for egress as it should."
    return "Could not tell whether this cluster enforces NetworkPolicy."


def rbac(diagnosis: Diagnosis, _style: Style = PLAIN) -> Iterator[str]:
    """The missing permissions as YAML, for an administrator to apply."""
    if not diagnosis.lacking:
        yield "# no permission is missing for runs with their own namespaces\n"
        return
    yield "# missing permissions; apply as an administrator: kubectl apply -f -\n"
    yield yaml.safe_dump_all(diagnosis.remedy(), sort_keys=False, explicit_start=True)
