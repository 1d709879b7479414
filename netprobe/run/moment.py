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
from netprobe.suite import Action, Authority, Suite, apply

FIRST = "policies applied"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is declared, by what, and what the policies say after one change; `actions` are the change."""

    name: str
    actions: tuple[Action, ...]
    simulator: Simulator
    declared: Matrix[Verdict]
    simulated: Matrix[Decision]
    authority: Authority


def moments(
    suite: Suite,
    cluster: Cluster,
    profile: Profile,
    wanted: Callable[[Flow], bool] = lambda _: True,
    rows: Callable[[Flow], Iterable[Flow]] = lambda flow: (flow,),
    *,
    probed: bool = False,
    family: Family | None = None,
) -> Iterator[Moment]:
    """Each moment in turn, for a cluster as of `Suite.cluster`, with the flows that are wanted.

    `rows` may make several of a declared flow. One whose address families differ becomes a row for each;
    where it will be `probed`, so does every one that has two, or the one row that is of `family`.
    """
    names = [FIRST, *(step.name for step in suite.steps)]
    changes: list[tuple[Action, ...]] = [(), *(step.actions for step in suite.steps)]
    expected = [suite.expectation, *(step.expectation for step in suite.steps)]
    matrices = suite.declared(cluster)
    for name, actions, declared, expectation in zip(names, changes, matrices, expected, strict=True):
        for action in actions:
            cluster = apply(cluster, action)
        simulator = Simulator(cluster, profile)
        asked = Matrix(
            (row, verdict) for flow, verdict in declared.where(wanted).items() for row in rows(flow)
        )
        each = apart(asked, simulator, family) if probed else (r for f in asked for r in simulator.split(f))
        authority = Authority(expectation, cluster)
        yield Moment(name, actions, simulator, asked, simulator.matrix(each), authority)
