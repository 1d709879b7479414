"""A moment with what its policies say of the flows that are declared for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Flow
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.run.families import apart
from netprobe.simulate import Profile, Simulator
from netprobe.suite import Action, Suite

DeclaredBy: TypeAlias = Callable[[Flow], str | None]


def by_nothing(_: Flow) -> None:
    return None


@dataclass(frozen=True, slots=True)
class SimulatedMoment:
    """The declared rows at one moment (None without a suite), and what the policies say of them.

    `actions` lead to this moment from the one before. `declared_by` is as `Declaration.declared_by`.
    """

    name: str
    simulator: Simulator
    declared: Matrix[Verdict] | None
    simulated: Matrix[Decision]
    actions: tuple[Action, ...] = ()
    declared_by: DeclaredBy = by_nothing


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

    `rows` may make several of a declared flow. A flow whose address families differ becomes a row for each;
    where it will be `probed`, so does every flow that has two, or the one row that is of `family`.
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
        yield SimulatedMoment(
            moment.name, simulator, declared, simulator.matrix(each), moment.actions, moment.declared_by
        )
