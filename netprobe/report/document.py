"""The report as JSON and YAML: the contract that docs/report.schema.json describes.

`head` and `flow` give plain dicts; both formats write the same document, one flow at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from netprobe.diff import FlowStatus, Row
from netprobe.explain.why import path
from netprobe.manifests.change import fix_document
from netprobe.model.flow import Flow, Placement
from netprobe.model.policy import Place
from netprobe.model.verdict import Cause, Verdict
from netprobe.report.grouped import rows_or_groups
from netprobe.report.style import PLAIN, Detail, Style
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import FlowGroup, InPlace, Report

API_VERSION = "netprobe/v1alpha1"


def as_json(report: Report, style: Style = PLAIN) -> Iterator[str]:
    """One JSON document, with a line for each key and each flow (or group of flows)."""
    key, items = _items(report, style)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head(report).items()]
    if key != "flows":
        lines.append('"flows": []')
    yield "{" + ",\n".join(lines) + f',\n"{key}": ['
    separator = "\n"
    for item in items:
        yield separator + json.dumps(item)
        separator = ",\n"
    yield f'\n],\n"problems": {json.dumps(problems(report))}}}\n'


def _items(report: Report, style: Style) -> tuple[str, Iterator[dict[str, Any]]]:
    """What the document lists, and under which key: flows, or groups of flows if the style wants these."""
    if style.detail is not Detail.GROUPS:
        return "flows", (flow(row, report) for _, row in report.rows())
    return "groups", (
        _group(number, one)
        for number, step in enumerate(report.steps)
        for one in rows_or_groups(step, style.detail)[1]
    )


def _group(step: int, group: FlowGroup) -> dict[str, Any]:
    return {
        "step": step,
        "from": _text(group.source),
        "to": _text(group.destination),
        "port": group.port,
        "verdict": group.result.value,
        "flows": group.flows,
        "note": _text(group.note) or None,
    }


def as_yaml(report: Report, style: Style = PLAIN) -> Iterator[str]:
    import yaml  # takes time to import

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def dump(part: object) -> str:
        return str(yaml.dump(part, Dumper=dumper, sort_keys=False, allow_unicode=False, width=4096))

    key, items = _items(report, style)
    yield dump(head(report))
    if key != "flows":
        yield "flows: []\n"
    opening = f"{key}:\n"
    for item in items:
        yield opening + dump([item])
        opening = ""
    if opening:
        yield f"{key}: []\n"
    yield dump({"problems": problems(report)})


def head(report: Report) -> dict[str, Any]:
    """The document without `flows` and `problems`."""
    run = report.run
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "Report",
        "suite": _text(report.suite),
        "cluster": {
            key: _text(value) if isinstance(value, str) else value
            for key, value in asdict(report.cluster).items()
        },
        "run": {
            "id": run.id,
            "netprobe": run.netprobe,
            "started": _time(run.started),
            "finished": _time(run.finished),
        },
        "steps": [
            {
                "name": _text(step.name),
                "converged_s": _round(step.converged_s),
                "rounds": step.rounds,
                "execs": step.execs,
            }
            for step in report.steps
        ],
    }
    if report.in_place is not None:
        document["in_place"] = _in_place(report.in_place)
    document["summary"] = _summary(report)
    document["policies"] = [
        {
            "kind": policy.kind,
            "name": _text(policy.name),
            "digest": policy.digest,
            "file": _text(policy.place.file) if policy.place else None,
            "line": policy.place.line if policy.place else None,
        }
        for policy in (report.steps[-1].policies.every() if report.steps else ())
    ]
    return document


def _in_place(found: InPlace) -> dict[str, Any]:
    return {
        "covered": found.covered,
        "notes": [_text(note) for note in found.notes],
        "stood_for": [
            {
                "pod": _text(str(one.pod)),
                "shadow": _text(str(one.shadow)) if one.shadow else None,
                "pods": [_text(str(pod)) for pod in one.pods],
            }
            for one in found.stood_for
        ],
    }


def _summary(report: Report) -> dict[str, Any]:
    counts = report.counts
    # A cluster that enforces nothing fails a run even if every flow is declared as allowed.
    verdict = FlowStatus.MISMATCH if report.enforcement else counts.verdict
    return {
        "flows": counts.flows,
        **asdict(counts),
        "verdict": verdict.value,
        "duration_s": _round(report.run.duration_s),
        "converged_s": _round(report.converged_s),
        "execs": report.execs,
    }


def flow(row: Row, report: Report) -> dict[str, Any]:
    """One element of `flows`."""
    of, seen = row.flow, row.observation
    from_nodes = report.elsewhere if of.placement is Placement.OTHER else report.nodes
    return {
        **flow_fields(of),
        "via": of.via.value,
        "placement": of.placement.value if of.placement else None,
        "step": row.step,
        "from_node": _text(from_nodes.get(of.source)),
        "to_node": _text(report.nodes.get(of.destination)),
        "status": row.status.value,
        "declared": _verdict(row.declared),
        "simulated": _verdict(row.simulated),
        "observed": _verdict(row.observed),
        "outcome": seen.outcome.value if seen else None,
        "control": {"listener": seen.control.listener, "path": seen.control.path} if seen else None,
        "reason": _text(row.reason),
        "mismatch": [mismatch.value for mismatch in row.mismatches],
        "because": causes(row.decision.because, report) if row.decision else [],
        "qualified_by": [
            {"kind": one.ref.kind, "policy": _text(str(one.ref))}
            for one in (row.decision.qualified_by if row.decision else ())
        ],
        "fix": fix_document(row.fix),
        "attempts": seen.attempts if seen else 0,
        "latency_ms": _round(seen.latency_ms) if seen else None,
        "declared_by": row.declared_by,
    }


def problems(report: Report) -> list[str | None]:
    """What went wrong apart from flows, first that nothing is enforced."""
    sentences = [*([report.enforcement] if report.enforcement else []), *report.problems, *report.warnings]
    return [_text(sentence) for sentence in sentences]


def flow_fields(flow: Flow) -> dict[str, Any]:
    """A flow, as all reports write it."""
    return {
        "from": _text(str(flow.source)),
        "to": _text(str(flow.destination)),
        "port": flow.port,
        "protocol": flow.protocol.value,
        "family": flow.family,
    }


def causes(because: Iterable[Cause], report: Report | None = None) -> list[dict[str, Any]]:
    """The causes of a decision, as all reports write them; with the report, with file and line."""
    texts = report.steps[-1].policies if report is not None and report.steps else PolicyTexts()
    return [
        {
            "direction": cause.direction.value,
            "tier": cause.tier,
            "kind": cause.kind,
            "policy": _text(str(cause.policy)),
            "rule": cause.rule,
            "peer": cause.peer,
            "effect": cause.effect.value,
            **_place(texts.place(cause.policy, path(cause))),
        }
        for cause in because
    ]


def _place(place: Place | None) -> dict[str, Any]:
    return {"file": _text(place.file) if place else None, "line": place.line if place else None}


def _text(text: str | None) -> str | None:
    """Text without half surrogate pairs, which broken file names may have and neither format can."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _verdict(verdict: Verdict | None) -> str | None:
    return verdict.value if verdict else None


def _round(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
