"""The report as JSON and YAML: the contract that docs/report.schema.json describes.

Flows are written one at a time. Where their number is not known beforehand (a stream), `summary` stands
after `flows` instead of before: the keys of an object have no order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from netprobe.diff import Counts, Row, Status
from netprobe.model.flow import End
from netprobe.model.verdict import Cause, Verdict
from netprobe.report.record import Report
from netprobe.report.style import PLAIN, Style

API_VERSION = "netprobe/v1alpha1"


def head(report: Report) -> dict[str, Any]:
    """Everything before the flows that does not depend on counting them."""
    cluster, run = report.cluster, report.run
    return {
        "apiVersion": API_VERSION,
        "kind": "Report",
        "suite": _text(report.suite),
        "cluster": {
            "kind": cluster.kind,
            "context": _text(cluster.context),
            "server_version": _text(cluster.server_version),
            "cni": _text(cluster.cni),
            "nodes": cluster.nodes,
        },
        "run": {
            "id": run.id,
            "netprobe": run.netprobe,
            "started": _time(run.started),
            "finished": _time(run.finished),
        },
        "steps": [
            {
                "name": _text(s.name),
                "converged_s": _round(s.converged_s),
                "rounds": s.rounds,
                "execs": s.execs,
            }
            for s in report.steps
        ],
    }


def summary(report: Report) -> dict[str, Any]:
    counts = sum((step.differences.counts for step in report.steps), Counts())
    # The enforcement finding fails a run even where every declared flow is one that should pass.
    verdict = Status.MISMATCH if report.enforcement else counts.verdict
    return {
        "flows": counts.flows,
        "as_expected": counts.as_expected,
        "mismatches": counts.mismatches,
        "unknown": counts.unknown,
        "undefined": counts.undefined,
        "skipped": counts.skipped,
        "verdict": verdict.value,
        "duration_s": _round(report.run.duration_s),
        "converged_s": _round(report.converged_s),
        "execs": report.execs,
    }


def flow(row: Row, nodes: Mapping[End, str]) -> dict[str, Any]:
    """One element of `flows`."""
    ends, seen = row.flow, row.observation
    control = {"listener": seen.control.listener, "path": seen.control.path} if seen else None
    return {
        "from": _text(str(ends.source)),
        "to": _text(str(ends.destination)),
        "port": ends.port,
        "protocol": ends.protocol.value,
        "family": ends.family,
        "via": ends.via.value,
        "step": row.step,
        "from_node": _text(nodes.get(ends.source)),
        "to_node": _text(nodes.get(ends.destination)),
        "status": row.status.value,
        "declared": _word(row.declared),
        "simulated": _word(row.simulated),
        "observed": _word(row.observed),
        "outcome": seen.outcome.value if seen else None,
        "control": control,
        "reason": _text(row.reason),
        "mismatch": [pair.value for pair in row.mismatches],
        "because": [_cause(cause) for cause in row.decision.because] if row.decision else [],
        "attempts": seen.attempts if seen else 0,
        "latency_ms": _round(seen.latency_ms) if seen else None,
    }


def problems(report: Report) -> list[str | None]:
    """What is wrong beside the flows; that nothing is enforced comes first."""
    told = [*([report.enforcement] if report.enforcement else []), *report.problems]
    return [_text(sentence) for sentence in told]


class FlowLines:
    """Writes `flow` as JSON, several times as fast where many rows share a decision."""

    MOST_KEPT = 100_000

    def __init__(self, nodes: Mapping[End, str]) -> None:
        self._nodes = nodes
        self._ends: dict[End, tuple[str, str]] = {}
        self._tails: dict[tuple[object, ...], tuple[str, Row]] = {}

    def __call__(self, row: Row) -> str:
        ends = row.flow
        source, from_node = self._end(ends.source)
        to, to_node = self._end(ends.destination)
        return (
            f'{{"from": {source}, "to": {to}, "port": {ends.port}, "protocol": "{ends.protocol.value}", '
            f'"family": {ends.family or "null"}, "via": "{ends.via.value}", "step": {row.step}, '
            f'"from_node": {from_node}, "to_node": {to_node}, {self._tail(row)}'
        )

    def _end(self, end: End) -> tuple[str, str]:
        written = self._ends.get(end)
        if written is None:
            node = self._nodes.get(end)
            written = self._ends[end] = (json.dumps(_text(str(end))), json.dumps(_text(node)))
        return written

    def _tail(self, row: Row) -> str:
        """From "status" on. A decision is known by its identity, so the row that holds it is kept with it."""
        if row.observation is not None:
            return self._written(row)
        key = (id(row.decision), row.status, row.declared, row.reason, row.mismatches)
        known = self._tails.get(key)
        if known is None:
            if len(self._tails) >= self.MOST_KEPT:
                self._tails.clear()
            known = self._tails[key] = (self._written(row), row)
        return known[0]

    @staticmethod
    def _written(row: Row) -> str:
        text = json.dumps(flow(row, {}))
        return text[text.index('"status": ') :]


def as_json(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """One JSON document, one flow a line."""
    opening = json.dumps(head(report))[:-1]
    if report.counted:
        opening += f', "summary": {json.dumps(summary(report))}'
    counted = report.counted
    yield opening + ',\n"flows": ['
    between = "\n"
    write = FlowLines(report.nodes)
    for _, row in report.rows():
        yield between + write(row)
        between = ",\n"
    yield "\n],\n"
    if not counted:
        yield f'"summary": {json.dumps(summary(report))},\n'
    yield f'"problems": {json.dumps(problems(report))}}}\n'


def as_yaml(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """The same document as YAML."""
    import yaml  # only this format pays for it

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def dump(part: object) -> str:
        return str(yaml.dump(part, Dumper=dumper, sort_keys=False, allow_unicode=False, width=4096))

    counted = report.counted
    yield dump(head(report))
    if counted:
        yield dump({"summary": summary(report)})
    opening = "flows:\n"
    for _, row in report.rows():
        yield opening + dump([flow(row, report.nodes)])
        opening = ""
    if opening:
        yield "flows: []\n"
    if not counted:
        yield dump({"summary": summary(report)})
    yield dump({"problems": problems(report)})


def _cause(cause: Cause) -> dict[str, Any]:
    return {
        "direction": cause.direction.value,
        "policy": _text(str(cause.policy)),
        "rule": cause.rule,
        "peer": cause.peer,
        "effect": cause.effect.value,
    }


def _text(text: str | None) -> str | None:
    """Half of a surrogate pair, as a broken file name or JSON may hold, is no text in either format."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _word(verdict: Verdict | None) -> str | None:
    return verdict.value if verdict else None


def _round(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
