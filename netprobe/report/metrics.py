"""Prometheus' text format, for the textfile collector of the node exporter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple

from netprobe.conformance.baseline import ConformanceReport
from netprobe.diff import FlowStatus
from netprobe.model.text import plain
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import ClusterInfo, Report, RunInfo


def metrics(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """Flows by status, convergence, and when the run ended: `time() - netprobe_last_run_timestamp_seconds`
    is its age."""
    labels = {"suite": report.suite or "", **cluster_labels(report.cluster)}
    by_status = {s.value: number for s, number in zip(FlowStatus, astuple(report.counts), strict=True)}
    yield from family("netprobe_flows", "Flows by status.", labels, "status", by_status)
    converged = {step.name: step.converged_s for step in report.steps if step.converged_s is not None}
    text = "Seconds until a change of policies was in force."
    yield from family("netprobe_converged_seconds", text, labels, "step", converged)
    enforcing = {} if report.cluster.kind == "simulated" else {"": int(report.enforcement is None)}
    yield from family("netprobe_enforcing", "Whether the cluster enforces policies.", labels, "", enforcing)
    yield from run_metrics(report.run, report.exit_status, labels)


def conformance_metrics(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    labels = cluster_labels(found.cluster)
    cases = {status.value: number for status, number in found.results.counts.items()}
    yield from family("netprobe_conformance_cases", "Conformance cases by status.", labels, "status", cases)
    times = sorted(one.converged_s for one in found.results.results if one.converged_s is not None)
    median = {"": times[len(times) // 2]} if times else {}
    text = "Seconds until a change of policies was in force: the median of all cases."
    yield from family("netprobe_conformance_converged_seconds", text, labels, "", median)
    yield from run_metrics(found.run, found.exit_status, {**labels, "suite": "conformance"})


def run_metrics(run: RunInfo, exit_status: int, labels: Mapping[str, str]) -> Iterator[str]:
    """The metrics that every kind of run has."""
    ended = round(run.finished.timestamp(), 3)
    for name, text, number in (
        ("exit_status", "0 as expected, 1 differences, 3 could not tell.", exit_status),
        ("last_run_duration_seconds", "How long the run took.", round(run.duration_s, 3)),
        ("last_run_timestamp_seconds", "When the run ended, in Unix time.", ended),
    ):
        yield from family(f"netprobe_{name}", text, labels, "", {"": number})


def cluster_labels(cluster: ClusterInfo) -> dict[str, str]:
    return {"cluster": cluster.context or cluster.kind, "cluster_id": cluster.id or ""}


def family(
    name: str, text: str, labels: Mapping[str, str], by: str, samples: Mapping[str, float | int]
) -> Iterator[str]:
    """A metric with a sample for each value of the label `by`; nothing without samples."""
    if samples:
        yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    for value, number in samples.items():
        every = {**labels, by: value} if by else labels
        escaped = {key: plain(text).replace("\\", "\\\\").replace('"', '\\"') for key, text in every.items()}
        pairs = ",".join(f'{key}="{text}"' for key, text in escaped.items())
        yield f"{name}{{{pairs}}} {number}\n"
