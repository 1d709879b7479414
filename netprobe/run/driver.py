"""The one driver of `netprobe run`, for all of its modes.

Open the cluster; let the mode plan, and make its pods; take a baseline; then for each moment: change, wait,
probe, compare with what is declared and simulated. The report is handed over before the pods are removed. The
prober gets flows, never a verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import yaml

from netprobe.errors import ClusterError
from netprobe.model.flow import End
from netprobe.model.objects import Object
from netprobe.probe import Observed, Prober
from netprobe.run.cluster import OpenCluster, Progress, RunOptions, open_cluster
from netprobe.run.moment import SimulatedMoment
from netprobe.run.record import InPlace, Report, ReportStep, RunInfo
from netprobe.run.steps import step


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """Pods that are ready to be probed, and how to probe them.

    `observe` applies a moment and probes it. `paths`: whether the baseline proves paths. `problems`,
    `warnings`, `nodes`, `elsewhere` and `in_place` are those of the report.
    """

    run: str
    moments: tuple[SimulatedMoment, ...]
    prober: Prober
    observe: Callable[[SimulatedMoment], Awaitable[Observed]]
    paths: bool = True
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: Mapping[End, str] = field(default_factory=dict)
    elsewhere: Mapping[End, str] = field(default_factory=dict)
    in_place: InPlace | None = None


class Mode(Protocol):
    """How a run gets its pods: `Fixture`, `InPlace` or `Copy`."""

    @property
    def name(self) -> str | None:
        """The suite's name, if there is a suite."""

    def check(self, options: RunOptions) -> None:
        """UsageError for anything that this mode cannot do, before a cluster is contacted."""

    def prepared(
        self, cluster: OpenCluster, options: RunOptions, progress: Progress
    ) -> AbstractAsyncContextManager[PreparedRun]:
        """Plan, and make the pods. However the context ends, nothing of the run is left."""


class Previewable(Mode, Protocol):
    """A mode that can say what it would create."""

    async def preview(self, cluster: OpenCluster, options: RunOptions) -> Iterator[str | Object]:
        """What the report would note, and everything that a run would create; only gets and lists."""


async def run(
    mode: Mode, options: RunOptions, progress: Progress, on_report: Callable[[Report], None] = lambda _: None
) -> Report:
    """Probe and report. Nothing is left behind, however the run ends. NetprobeError if it fails.

    `on_report` gets the report while the pods still exist. A failed removal is a problem of the report that
    is returned.
    """
    mode.check(options)
    report: Report | None = None
    async with open_cluster(options, progress) as cluster:
        started = datetime.now(UTC)
        try:
            async with mode.prepared(cluster, options, progress) as bench:
                report = await _probe(mode, bench, cluster, started, progress)
                on_report(report)
        except ClusterError as error:
            if report is None:
                raise
            report = replace(report, problems=(*report.problems, str(error)))
        return replace(report, run=RunInfo.since(started, report.run.id))


async def preview(mode: Previewable, options: RunOptions, progress: Progress) -> Iterator[str]:
    """What `mode.preview` returns as YAML with comments, for a reviewer to read.

    Each run has a new id, and its Jobs have new uids.
    """
    mode.check(options)
    async with open_cluster(options, progress) as cluster:
        return map(_as_yaml, await mode.preview(cluster, options))


def _as_yaml(piece: str | Object) -> str:
    """A sentence as a comment, an object as a document."""
    if isinstance(piece, str):
        return f"# {piece}\n"
    return "---\n" + str(yaml.safe_dump(piece, sort_keys=False, width=110, allow_unicode=False))


async def _probe(
    mode: Mode, bench: PreparedRun, cluster: OpenCluster, started: datetime, progress: Progress
) -> Report:
    steps: list[ReportStep] = []
    problems = list(bench.problems)
    unenforced = None
    async with bench.prober as prober:
        await prober.baseline(paths=bench.paths)
        for number, moment in enumerate(bench.moments):
            progress(moment.name)
            observed = await bench.observe(moment)
            problems += observed.facts.problems
            if observed.facts.enforcement.enforcing is False:
                evidence = observed.facts.enforcement.evidence
                unenforced = f"this cluster enforces no NetworkPolicy: {evidence}"
            steps.append(step(bench.moments, number, observed))
    return Report(
        mode.name,
        cluster.info,
        RunInfo.since(started, bench.run),
        tuple(steps),
        problems=tuple(dict.fromkeys(problems)),
        warnings=bench.warnings,
        enforcement=unenforced,
        nodes=bench.nodes,
        elsewhere=bench.elsewhere,
        in_place=bench.in_place,
    )
