"""What a run, a simulation or a drawing found, as plain data; `netprobe.report` turns it into text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from netprobe import __version__
from netprobe.diff import FlowCounts, FlowStatus, Row
from netprobe.model.flow import End, Flow, Protocol
from netprobe.model.policy import Unsimulated
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.run.policy_text import PolicyTexts

LONGEST: Final = 1_000
"""Rows; if there are more, pods that behave alike share a row in formats for people."""


def port_text(flow: Flow, families: bool = False) -> str:
    """ "5432", "53/UDP"; with `families`, "80 IPv6" for a flow of one family."""
    number = str(flow.port) if flow.protocol is Protocol.TCP else f"{flow.port}/{flow.protocol.value}"
    return f"{number} IPv{flow.family}" if families and flow.family else number


def not_certain(unsimulated: Iterable[Unsimulated]) -> str:
    """ "not certain: CiliumNetworkPolicy shop/l7 may decide it too"; "" if nothing qualifies the verdict."""
    names = listed(dict.fromkeys(f"{one.ref.kind} {one.ref}" for one in unsimulated))
    return f"not certain: {names} may decide it too" if names else ""


def group_note(status: FlowStatus, unsimulated: Iterable[Unsimulated]) -> str:
    """What is special about the flows of a group; "" if nothing is."""
    match status:
        case FlowStatus.AS_EXPECTED:
            return not_certain(unsimulated)
        case FlowStatus.UNKNOWN:
            return "could not tell"
        case FlowStatus.UNDEFINED:
            return "implementation-defined"
        case _:
            return str(status.value)


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """Which cluster was probed. `kind` is "lab", "cluster", or "simulated" if none was.

    `id` tells clusters with one name apart: the uid of the namespace kube-system, or how a lab differs from
    an ordinary one, such as "no enforcement".
    """

    kind: str = "simulated"
    context: str | None = None
    server_version: str | None = None
    cni: str | None = None
    nodes: int | None = None
    id: str | None = None

    def __str__(self) -> str:
        if self.kind == "simulated":
            return f"none; simulated for {self.cni}" if self.cni else "none; simulated"
        name = "the lab" if self.kind == "lab" else f"cluster {self.context or '(in use)'}"
        details = [f"Kubernetes {self.server_version}" if self.server_version else "", self.cni or ""]
        if self.nodes is not None:
            details.append("1 node" if self.nodes == 1 else f"{self.nodes} nodes")
        if self.kind == "lab" and self.id:
            details.append(self.id)
        known = ", ".join(detail for detail in details if detail)
        return f"{name} ({known})" if known else name


@dataclass(frozen=True, slots=True)
class RunInfo:
    """When it ran, and the version of netprobe. `id` is None if nothing was created. Times have a zone."""

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
class FlowGroup:
    """Flows with one result, from pods that behave alike to pods that behave alike.

    `source` and `destination` name all their pods, as in "shop/cart +3".
    """

    source: str
    destination: str
    port: str
    result: Verdict
    flows: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReportStep:
    """One change and the comparison after it.

    `rows`: a tuple, or a new iterator for each pass if there are too many to hold.
    `counts`: of the rows, or of the groups if no rows are made.
    `converged_s`: seconds until the cluster enforced the change; None if nothing was probed.
    `groups` replace the rows in formats for people if there are too many rows to read.
    `policies`: the texts of those that were in force.
    """

    name: str
    rows: Iterable[Row]
    counts: FlowCounts
    converged_s: float | None = None
    rounds: int = 0
    execs: int = 0
    groups: tuple[FlowGroup, ...] | None = None
    policies: PolicyTexts = field(default_factory=PolicyTexts, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class RepresentedPods:
    """One end of rows of an in-place run: a real pod, and the pods that it represents.

    `shadow`: the pod from which its rows were probed; None if it is only a destination. `pods`: all that no
    policy and no row tells apart from it, including itself.
    """

    pod: End
    pods: tuple[End, ...]
    shadow: End | None = None


@dataclass(frozen=True, slots=True)
class InPlace:
    """How an in-place run covered the cluster's pods. `notes` are sentences that are not problems."""

    covered: str
    stood_for: tuple[RepresentedPods, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one command found.

    `enforcement`: one sentence if the probes showed that the cluster enforces nothing, else None.
    `problems`: sentences about anything else that went wrong, such as a failed clean-up.
    `warnings`: sentences that qualify the answer and do not change the exit status.
    `nodes`: the node of each pod, if known; `elsewhere`: the node from which its flows with the placement
    OTHER come.
    """

    suite: str | None
    cluster: ClusterInfo
    run: RunInfo
    steps: tuple[ReportStep, ...]
    problems: tuple[str, ...] = ()
    enforcement: str | None = None
    nodes: Mapping[End, str] = field(default_factory=dict)
    elsewhere: Mapping[End, str] = field(default_factory=dict)
    in_place: InPlace | None = None
    warnings: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[ReportStep, Row]]:
        for step in self.steps:
            for row in step.rows:
                yield step, row

    def only_differences(self) -> Report:
        """Without the flows that are as expected; the counts are still those of all flows."""
        kept = (
            tuple(row for row in step.rows if row.status is not FlowStatus.AS_EXPECTED) for step in self.steps
        )
        steps = tuple(
            replace(step, rows=rows, groups=None) for step, rows in zip(self.steps, kept, strict=True)
        )
        return replace(self, steps=steps)

    @property
    def counts(self) -> FlowCounts:
        return sum((step.counts for step in self.steps), FlowCounts())

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
