"""The states that a suite goes through: after its policies, then after each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Flow
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.run.families import apart
from netprobe.simulate import Profile, Simulator
from netprobe.suite import Moment, Suite


@dataclass(frozen=True, slots=True)
class SimulatedMoment:
    """A moment of a suite, the rows that are declared for it, and what its policies say of them."""

    moment: Moment
    simulator: Simulator
    declared: Matrix[Verdict]
    simulated: Matrix[Decision]


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

    `rows` may make several of a declared flow. One whose address families differ becomes a row for each;
    where it will be `probed`, so does every one that has two, or the one row that is of `family`.
    """
    for moment in suite.moments(live):
        simulator = Simulator(moment.cluster, profile)
        declared = Matrix(
            (row, verdict) for flow, verdict in moment.declared.where(wanted).items() for row in rows(flow)
        )
        if probed:
            each = apart(declared, simulator, family)
        else:
            each = (row for flow in declared for row in simulator.split(flow))
        yield SimulatedMoment(moment, simulator, declared, simulator.matrix(each))
