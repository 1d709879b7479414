"""What a run, a simulation or a drawing found, as plain data; `netprobe.report` turns it into text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from netprobe import __version__
from netprobe.diff import Counts, Differences, Row
from netprobe.explain.why import Explainer, Why, blame
from netprobe.model.flow import End, Flow
from netprobe.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Which cluster was asked. `kind` is "lab", "cluster", or "simulated" where none was."""

    kind: str = "simulated"
    context: str | None = None
    server_version: str | None = None
    cni: str | None = None
    nodes: int | None = None

    def __str__(self) -> str:
        if self.kind == "simulated":
            return f"none; simulated for {self.cni}" if self.cni else "none; simulated"
        name = "the lab" if self.kind == "lab" else f"cluster {self.context or '(in use)'}"
        details = [f"Kubernetes {self.server_version}" if self.server_version else "", self.cni or ""]
        if self.nodes is not None:
            details.append("1 node" if self.nodes == 1 else f"{self.nodes} nodes")
        told = ", ".join(detail for detail in details if detail)
        return f"{name} ({told})" if told else name


@dataclass(frozen=True, slots=True)
class RunInfo:
    """When and by what; `id` is None where nothing was created. Both times know their zone."""

    started: datetime
    finished: datetime
    id: str | None = None
    netprobe: str = __version__

    @classmethod
    def since(cls, started: datetime, run_id: str | None = None) -> RunInfo:
        return cls(started, datetime.now(UTC), run_id)

    @property
    def duration_s(self) -> float:
        return (self.finished - self.started).total_seconds()


@dataclass(frozen=True, slots=True)
class Group:
    """Flows with one result, from pods that behave alike to pods that behave alike.

    `source` and `destination` are how the pods are called together, as in "shop/cart +3".
    """

    source: str
    destination: str
    port: str
    result: Verdict
    flows: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """What stands for the rows where there are too many to read, and for their counts."""

    groups: tuple[Group, ...]
    counts: Counts


@dataclass(frozen=True, slots=True)
class Step:
    """One change and the comparison after it.

    `converged_s`: how long the cluster took to enforce the change, None where nothing was probed.
    `explain` tells why a row is as it is; by default from the decision alone.
    `overview` stands for the rows in formats for people, where there are too many rows to read.
    `declared_by` says of a flow by what a suite declares it: "row", "pattern", "default" or None.
    """

    name: str
    differences: Differences
    converged_s: float | None = None
    rounds: int = 0
    execs: int = 0
    explain: Explainer = field(default=blame(), repr=False)
    overview: Groups | None = None
    declared_by: Callable[[Flow], str | None] | None = field(default=None, repr=False, compare=False)

    @property
    def counts(self) -> Counts:
        """Those of the rows, unless that would mean to make the rows for their number alone."""
        if self.overview is None or self.differences.counted:
            return self.differences.counts
        return self.overview.counts

    def why(self, row: Row) -> Why:
        return self.explain(row)


@dataclass(frozen=True, slots=True)
class StoodFor:
    """One end of rows of a run in place: a real pod, and what it speaks for.

    `shadow`: the pod from which its rows were probed; None where it is a destination only. `pods`: those that
    nobody can tell from it, itself among them.
    """

    pod: End
    pods: tuple[End, ...]
    shadow: End | None = None


@dataclass(frozen=True, slots=True)
class InPlace:
    """How a run in place stood for the cluster's own pods. `notes` are sentences that are no problems."""

    covered: str
    stood_for: tuple[StoodFor, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """All that one command found out.

    `enforcement`: one sentence where the probes showed that the cluster enforces nothing, else None.
    `problems`: sentences about what went wrong beside the flows, such as a clean-up that failed.
    `nodes`: on which node a pod runs, where that is known; `elsewhere`: from which its flows with the
    placement OTHER come.
    """

    suite: str | None
    cluster: ClusterInfo
    run: RunInfo
    steps: tuple[Step, ...]
    problems: tuple[str, ...] = ()
    enforcement: str | None = None
    nodes: Mapping[End, str] = field(default_factory=dict)
    elsewhere: Mapping[End, str] = field(default_factory=dict)
    in_place: InPlace | None = None

    def rows(self) -> Iterator[tuple[Step, Row]]:
        for step in self.steps:
            for row in step.differences:
                yield step, row

    @property
    def counted(self) -> bool:
        """Whether the number of rows is known without making them."""
        return all(step.differences.counted for step in self.steps)

    @property
    def counts(self) -> Counts:
        return sum((step.counts for step in self.steps), Counts())

    @property
    def converged_s(self) -> float | None:
        """The slowest step's, in seconds."""
        return max((s.converged_s for s in self.steps if s.converged_s is not None), default=None)

    @property
    def execs(self) -> int:
        return sum(step.execs for step in self.steps)

    @property
    def exit_status(self) -> int:
        """0 as expected; 1 differences found, or nothing is enforced; 3 could not tell all of it."""
        if self.enforcement:
            return 1
        return self.counts.exit_status or (3 if self.problems else 0)
