"""A moment with the simulated verdicts of its flows.

IPv4 and IPv6 are tried separately, with one row for both if the results are equal. Selectors match both
families, so policies treat them alike, but a cluster may not: some dataplanes program the rules of each
family separately, and one of them can be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from netprobe.explain.declared import Declares
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Family, Flow, Via
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import PortAsked, Profile, Simulator, read_question

if TYPE_CHECKING:
    from netprobe.suite import StepAction, Suite

DeclaredBy: TypeAlias = Callable[[Flow], str | None]


def by_nothing(_: Flow) -> None:
    return None


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Patterns of ends, as `read_question` takes them, and ports; of each, none means all."""

    sources: Sequence[str] = ()
    destinations: Sequence[str] = ()
    ports: Sequence[PortAsked] = ()

    def on(
        self,
        cluster: Cluster,
        externals: Iterable[External] = (),
        members: Callable[[End], Iterable[End]] = lambda end: (end,),
    ) -> Callable[[Flow], bool]:
        """Whether a flow of the cluster is selected; UsageError for a pattern that matches nothing.

        `members`: the ends that an end of a flow represents.
        """
        asked = read_question(
            cluster,
            sources=self.sources,
            destinations=self.destinations,
            externals=externals,
            ports=self.ports,
        )
        sources, destinations = frozenset(asked.sources), frozenset(asked.destinations)

        def selects(flow: Flow) -> bool:
            return (
                (not self.sources or not sources.isdisjoint(members(flow.source)))
                and (not self.destinations or not destinations.isdisjoint(members(flow.destination)))
                and (not self.ports or (flow.port, flow.protocol) in asked.ports_of(flow.destination))
            )

        return selects


@dataclass(frozen=True, slots=True)
class SimulatedMoment:
    """The declared rows at one moment (None without a suite), and what the policies say of them.

    `actions` lead to this moment from the one before. `declared_by` is as `Declaration.declared_by`, and
    `declaration` answers for flows that are not among the rows.
    """

    name: str
    simulator: Simulator
    declared: Matrix[Verdict] | None
    simulated: Matrix[Decision]
    actions: tuple[StepAction, ...] = ()
    declared_by: DeclaredBy = by_nothing
    declaration: Declares | None = None


def moments(
    suite: Suite,
    live: Cluster | None,
    profile: Profile,
    wanted: Callable[[Flow], bool] = lambda _: True,
    rows: Callable[[Flow], Iterable[Flow]] = lambda flow: (flow,),
    *,
    probed: bool = False,
    family: Family | None = None,
) -> Iterator[SimulatedMoment]:
    """Each moment in turn, for a cluster as `Suite.moments` takes it, with the flows that are wanted.

    `rows` may make several of a declared flow. A flow whose verdicts differ by address family becomes a row
    for each. With `probed`, so does every flow with two families; with `family`, only that one is kept.
    """
    for moment in suite.moments(live):
        simulator = Simulator(moment.cluster, profile)
        declared = Matrix(
            (row, verdict) for flow, verdict in moment.declared.where(wanted).items() for row in rows(flow)
        )
        if probed:
            each = rows_by_family(declared, simulator, family)
        else:
            each = (row for flow in declared for row in simulator.split(flow))
        yield SimulatedMoment(
            moment.name,
            simulator,
            declared,
            simulator.matrix(each),
            moment.actions,
            moment.declared_by,
            moment.declaration,
        )


def rows_by_family(flows: Iterable[Flow], simulator: Simulator, only: Family | None = None) -> Iterator[Flow]:
    """A row for each family that a flow's ends have in common; of two, only the family `only` if it is given.

    With a DNS name the source's resolver chooses the family: there are two rows only if policies treat the
    families differently.
    """
    for flow in flows:
        if flow.via is Via.DNS:
            yield from simulator.split(flow)
            continue
        rows = simulator.apart(flow)
        yield from (row for row in rows if only in {None, row.family} or len(rows) == 1)


def joined_families(
    simulated: Matrix[Decision], observed: Matrix[Observation]
) -> tuple[Matrix[Decision], Matrix[Observation]]:
    """The tables with one row (that of IPv4) for each flow whose families do not differ."""
    equal = {
        flow
        for flow in simulated
        if flow.family == 4 and _equal(flow, replace(flow, family=6), simulated, observed)
    }
    dropped = {replace(flow, family=6) for flow in equal}

    def named(flow: Flow) -> Flow:
        return replace(flow, family=None) if flow in equal else flow

    return (
        Matrix((named(flow), cell) for flow, cell in simulated.items() if flow not in dropped),
        Matrix((named(flow), cell) for flow, cell in observed.items() if flow not in dropped),
    )


def _equal(one: Flow, other: Flow, simulated: Matrix[Decision], observed: Matrix[Observation]) -> bool:
    ours, theirs = simulated[one], simulated.get(other)
    if theirs is None or (ours.verdict, ours.undefined) != (theirs.verdict, theirs.undefined):
        return False
    saw, sees = observed.get(one), observed.get(other)
    if saw is None or sees is None:
        return saw is sees
    return _seen(saw) == _seen(sees)


def _seen(cell: Observation) -> tuple[object, ...]:
    """What makes two observations equal: not how long they took, nor the kind of proof."""
    return cell.verdict, cell.outcome, cell.reason, cell.flaky
