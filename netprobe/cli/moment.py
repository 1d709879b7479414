"""The states that a suite goes through: after its policies, then after each of its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import Profile, Simulator
from netprobe.suite import Action, Suite, apply

FIRST = "policies applied"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is declared and what the policies say after one change; `actions` are the change."""

    name: str
    actions: tuple[Action, ...]
    simulator: Simulator
    declared: Matrix[Verdict]
    simulated: Matrix[Decision]


def moments(
    suite: Suite, cluster: Cluster, profile: Profile, wanted: Callable[[Flow], bool] = lambda _: True
) -> Iterator[Moment]:
    """Each moment in turn, for a cluster as of `Suite.cluster`, with the flows that are wanted.

    A flow whose address families differ becomes a row for each.
    """
    names = [FIRST, *(step.name for step in suite.steps)]
    changes: list[tuple[Action, ...]] = [(), *(step.actions for step in suite.steps)]
    for name, actions, declared in zip(names, changes, suite.declared(cluster), strict=True):
        for action in actions:
            cluster = apply(cluster, action)
        simulator = Simulator(cluster, profile)
        asked = declared.where(wanted)
        rows = (row for flow in asked for row in simulator.split(flow))
        yield Moment(name, actions, simulator, asked, simulator.matrix(rows))
