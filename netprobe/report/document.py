"""The report as JSON and YAML: the contract that docs/report.schema.json describes.

Flows are written one at a time, so that a report of many is never held whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from netprobe.diff import Row, Status
from netprobe.model.flow import End, Placement
from netprobe.model.verdict import Cause, Decision, Verdict
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import InPlace, Report

API_VERSION = "netprobe/v1alpha1"


def head(report: Report) -> dict[str, Any]:
    """Everything before the flows that does not depend on counting them."""
    cluster, run = report.cluster, report.run
    document: dict[str, Any] = {
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
    if report.in_place is not None:
        document["in_place"] = _in_place(report.in_place)
    return document


def _in_place(told: InPlace) -> dict[str, Any]:
    return {
        "covered": told.covered,
        "notes": [_text(note) for note in told.notes],
        "stood_for": [
            {
                "pod": _text(str(one.pod)),
                "shadow": _text(str(one.shadow)) if one.shadow else None,
                "pods": [_text(str(pod)) for pod in one.pods],
            }
            for one in told.stood_for
        ],
    }


def summary(report: Report) -> dict[str, Any]:
    counts = report.counts
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


def flow(row: Row, nodes: Mapping[End, str], elsewhere: Mapping[End, str] | None = None) -> dict[str, Any]:
    """One element of `flows`."""
    ends, seen = row.flow, row.observation
    from_nodes = (elsewhere or {}) if ends.placement is Placement.OTHER else nodes
    control = {"listener": seen.control.listener, "path": seen.control.path} if seen else None
    return {
        "from": _text(str(ends.source)),
        "to": _text(str(ends.destination)),
        "port": ends.port,
        "protocol": ends.protocol.value,
        "family": ends.family,
        "via": ends.via.value,
        "placement": ends.placement.value if ends.placement else None,
        "step": row.step,
        "from_node": _text(from_nodes.get(ends.source)),
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
        "declared_by": row.declared_by,
    }


def problems(report: Report) -> list[str | None]:
    """What is wrong beside the flows; that nothing is enforced comes first."""
    told = [*([report.enforcement] if report.enforcement else []), *report.problems]
    return [_text(sentence) for sentence in told]


class FlowLines:
    """Writes `flow` as JSON, many times as fast where rows share a decision."""

    MOST_KEPT = 100_000

    def __init__(self, nodes: Mapping[End, str], elsewhere: Mapping[End, str] | None = None) -> None:
        self._nodes = nodes
        self._elsewhere = elsewhere or {}
        self._ends: dict[End, tuple[str, str]] = {}
        # By identity, which costs less than equality; so what a text was made from is kept with it.
        self._destinations: dict[int, tuple[str, str, End]] = {}
        self._rows: dict[int, tuple[str, str, Row]] = {}
        self._causes: dict[int, tuple[str, Cause]] = {}
        self._frames: dict[tuple[object, ...], tuple[str, str]] = {}

    def __call__(self, row: Row) -> str:
        ends = row.flow
        source, from_node = self._end(ends.source)
        if ends.placement is Placement.OTHER:
            from_node = json.dumps(_text(self._elsewhere.get(ends.source)))
        to, to_node = self._end(ends.destination)
        middle, tail = self._middle(row), self._tail(row)
        return f'{{"from": {source}, "to": {to}, {middle}{from_node}, "to_node": {to_node}, {tail}'

    def _end(self, end: End) -> tuple[str, str]:
        written = self._ends.get(end)
        if written is None:
            node = self._nodes.get(end)
            written = self._ends[end] = (json.dumps(_text(str(end))), json.dumps(_text(node)))
        return written

    @staticmethod
    def _middle(row: Row) -> str:
        """From "port" on, as far as "from_node"."""
        flow = row.flow
        placement = f'"{flow.placement.value}"' if flow.placement else "null"
        return (
            f'"port": {flow.port}, "protocol": "{flow.protocol.value}", "family": {flow.family or "null"}, '
            f'"via": "{flow.via.value}", "placement": {placement}, "step": {row.step}, "from_node": '
        )

    def _tail(self, row: Row) -> str:
        """From "status" on: what rows of one kind have in common, around the causes."""
        if row.observation is not None or row.decision is None:
            text = json.dumps(flow(row, {}))
            return text[text.index('"status": ') :]
        kind = (row.status, row.declared, row.decision.verdict, row.reason, row.mismatches, row.declared_by)
        frame = self._frames.get(kind)
        if frame is None:
            text = json.dumps(flow(replace(row, decision=Decision(row.decision.verdict)), {}))
            before, opening, after = text[text.index('"status": ') :].partition('"because": [')
            frame = self._frames[kind] = before + opening, after
        return ", ".join(map(self._cause, row.decision.because)).join(frame)

    def _cause(self, cause: Cause) -> str:
        found = self._causes.get(id(cause))
        if found is None:
            if len(self._causes) >= self.MOST_KEPT:
                self._causes.clear()
            found = self._causes[id(cause)] = json.dumps(_cause(cause)), cause
        return found[0]


def as_json(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """One JSON document, one flow a line."""
    opening = json.dumps(head(report))[:-1]
    yield f'{opening}, "summary": {json.dumps(summary(report))},\n"flows": ['
    write = FlowLines(report.nodes, report.elsewhere)
    separator = "\n"
    for _, row in report.rows():
        yield separator + write(row)
        separator = ",\n"
    yield f'\n],\n"problems": {json.dumps(problems(report))}}}\n'


def as_yaml(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """The same document as YAML."""
    import yaml  # only this format pays for it

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def dump(part: object) -> str:
        return str(yaml.dump(part, Dumper=dumper, sort_keys=False, allow_unicode=False, width=4096))

    yield dump(head(report))
    yield dump({"summary": summary(report)})
    opening = "flows:\n"
    for _, row in report.rows():
        yield opening + dump([flow(row, report.nodes, report.elsewhere)])
        opening = ""
    if opening:
        yield "flows: []\n"
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
