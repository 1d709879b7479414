"""What a change opens and closes, and whether it breaks what is declared.

Theory of operation. `Cells` finds the few flows that a change may concern, and which of their sides. They are
decided again by two simulators: that of the cluster, and one with the policies and ends concerned. If a side
that stays as it is denies a flow, nothing changes for it. A declared flow also breaks if its verdict is up to
the plugin afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from netprobe.explain.cells import Cell, Cells
from netprobe.explain.declared import Declares, Expected
from netprobe.explain.world import Delta, World
from netprobe.manifests.change import SideEffect, SideEffects
from netprobe.model.flow import External, Family, Flow, PodRef
from netprobe.model.policy import Direction, Policy, PolicyRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import common_families

MOST_PAIRS = 20_000
"""Pairs of groups and ports that are decided for one change; a change that concerns more is not suggested."""
MOST_SHOWN = 20


_Judged = tuple[Verdict, str | None]
"""What one side does with a flow, and why another plugin may decide otherwise (`Side.undefined`)."""


class Changed(NamedTuple):
    """Flows that change. `family` None: in every family that their ends have in common.

    `resolved`: those of them, between pods and addresses, that become as declared.
    """

    cell: Cell
    family: Family | None
    resolved: tuple[Flow, ...] = ()


@dataclass(slots=True)
class Effects:
    """What changes. `unwanted` counts flows that no declaration wants to change.

    `verdict` is what the flow in question gets; None if the APIs would leave it undefined.
    """

    opens: list[Changed] = field(default_factory=list)
    closes: list[Changed] = field(default_factory=list)
    unwanted: int = 0
    verdict: Verdict | None = None


class Guard:
    """Works out the effects of changes on one cluster, against what is declared (None: nothing is)."""

    def __init__(
        self,
        simulator: Simulator,
        world: World,
        declared: Declares | None,
        externals: Iterable[External] = (),
    ) -> None:
        self.simulator, self.world = simulator, world
        self.declared = Expected(declared, simulator) if declared is not None else None
        self.cells = Cells(simulator, world, self.declared, externals)

    def effects(self, delta: Delta, goal: Flow | None = None, at_most: int | None = None) -> Effects | None:
        """What a change does; None if it breaks a declared flow or concerns too much.

        `goal` is the flow that is to change. Also None with more than `at_most` unwanted flows.
        """
        cells = self.cells.concerned(delta, goal, MOST_PAIRS)
        if cells is None:
            return None
        after = self._after(delta, cells, goal)
        found = Effects()
        for cell, directions in cells.items():
            for family, verdict in self._changes(cell, directions, after):
                resolved = self._resolved(cell, verdict)
                if resolved is None:
                    return None
                if verdict is None:
                    continue
                found.unwanted += 0 if cell.holds(goal) else cell.size - len(resolved)
                if at_most is not None and found.unwanted > at_most:
                    return None
                changed = Changed(cell, family, tuple(resolved))
                (found.opens if verdict is Verdict.ALLOW else found.closes).append(changed)
        if goal is not None:
            decision = after.decide(goal)
            doubtful = decision.undefined and not self.simulator.decide(goal).undefined
            found.verdict = None if doubtful else decision.verdict
        return found

    def listed(self, effects: Effects, goal: Flow | None) -> SideEffects:
        """The first of the flows that change besides the one in question, and the number of all.

        Those that nothing declares come first.
        """
        opens, closes = (
            sorted(self._listed(changed, goal), key=_order) for changed in (effects.opens, effects.closes)
        )
        counts = (sum(effect.flows for effect in found) for found in (opens, closes))
        resolved = (sum(effect.resolved for effect in found) for found in (opens, closes))
        return SideEffects(tuple(opens[:MOST_SHOWN]), tuple(closes[:MOST_SHOWN]), *counts, *resolved)

    def _listed(self, changed: Iterable[Changed], goal: Flow | None) -> Iterator[SideEffect]:
        for cell, family, resolved in changed:
            source, destination, (number, protocol) = cell
            port = None if number == self.cells.other else number
            own = goal if cell.holds(goal) and cell.size > 1 else None
            # What is left without the one flow is a group by a group only if one of the ends is alone.
            names = (
                source.name(own.source if own and len(destination.members) == 1 else None),
                destination.name(own.destination if own and len(source.members) == 1 else None),
            )
            if flows := cell.size - cell.holds(goal):
                number_resolved = sum(goal is None or one != resolved_flow(goal) for one in resolved)
                yield SideEffect(*names, port, protocol, family, flows, number_resolved)

    def _changes(
        self, cell: Cell, directions: Iterable[Direction], after: Simulator
    ) -> Iterator[tuple[Family | None, Verdict | None]]:
        """The new verdicts on a cell, by family; family None if they change alike in all.

        Verdict None: it stays the same on this plugin, but from now on the APIs leave it undefined.
        """
        flow = cell.sample
        if flow is None:
            return
        before = self.simulator
        old_ends, new_ends = (
            (simulator.endpoint(flow.source), simulator.endpoint(flow.destination))
            for simulator in (before, after)
        )
        families = common_families(*old_ends)
        found: dict[Family | None, Verdict | None] = {}

        def judge(simulator: Simulator, direction: Direction, family: Family | None) -> _Judged:
            ends = old_ends if simulator is before else new_ends
            subject, peer = ends if direction is Direction.EGRESS else ends[::-1]
            side = simulator.sides.judge(direction, subject, peer, flow, family)
            return side.verdict, side.undefined

        for family in families:
            kept = (judge(before, each, family) for each in Direction if each not in directions)
            if (Verdict.DENY, None) in kept or all(
                judge(before, each, family) == judge(after, each, family) for each in directions
            ):
                continue
            old = before.between(flow, *old_ends, family)
            new = after.between(flow, *new_ends, family)
            if old.undefined:
                continue
            if old.verdict is not new.verdict:
                found[family] = new.verdict
            elif new.undefined:
                found[family] = None
        if len(found) == len(families) and len(set(found.values())) == 1:
            yield None, found[families[0]]
        else:
            yield from found.items()

    def _resolved(self, cell: Cell, verdict: Verdict | None) -> list[Flow] | None:
        """The flows of a cell that a verdict makes as declared; None if one is declared otherwise."""
        found: list[Flow] = []
        if self.declared is None:
            return found
        for source in cell.source.members:
            for destination in cell.destination.members:
                declared = self.declared.verdict(source, destination, *cell.port)
                if declared is None:
                    continue
                if declared is verdict:
                    found.append(Flow(source, destination, *cell.port))
                elif source != destination:
                    return None
        return found

    def _after(self, delta: Delta, cells: Iterable[Cell], goal: Flow | None) -> Simulator:
        """A simulator of the changed cluster, with the ends of some flows and policies that select them."""
        cluster = self.simulator.cluster
        refs = {m for cell in cells for end in cell[:2] for m in end.members[:2] if isinstance(m, PodRef)}
        for end in (goal.source, goal.destination) if goal is not None else ():
            pod = self.simulator.endpoint(end).pod_behind
            refs |= {pod.ref} if pod is not None else set()
        pods = {ref: delta.pods.get(ref, cluster.pods[ref]) for ref in refs}
        policies: dict[PolicyRef, Policy | None] = {
            policy.ref: policy
            for ref in pods
            for direction in Direction
            for policy in self.simulator.sides.applying(cluster.pods[ref], direction)
        }
        names = {ref.namespace for ref in pods}
        if delta.pods or delta.namespaces:  # policies may select more pods than before
            for name in {"", *names}:
                for policy in self.world.policies_by_namespace.get(name, ()):
                    policies.setdefault(policy.ref, policy)
        policies.update(delta.policies)
        spaces = {name: delta.namespaces.get(name, cluster.namespaces[name]) for name in names}
        kept = tuple(policy for policy in policies.values() if policy is not None)
        made = replace(cluster, pods=pods, policies=kept, namespaces=spaces, sources={})
        return Simulator(made, self.simulator.profile)


def _order(effect: SideEffect) -> tuple[object, ...]:
    port = (effect.port is None, effect.port or 0, effect.protocol.value, effect.family or 0)
    return effect.resolved == effect.flows, effect.source, effect.destination, *port


def resolved_flow(flow: Flow) -> Flow:
    """A flow as `Changed.resolved` has it: ends, port and protocol."""
    return Flow(flow.source, flow.destination, flow.port, flow.protocol)
