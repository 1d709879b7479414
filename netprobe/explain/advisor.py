"""The change that turns a verdict with the fewest side effects, and breaks nothing that is declared.

A verdict has one or several reasons: each side that denies, or each rule that allows. For each reason at most
MOST options are simulated. One option for each reason makes a suggestion, if simulating them together gives
the other verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product

from netprobe.explain.closing import Closer
from netprobe.explain.declared import Declares
from netprobe.explain.effects import Effects, Guard
from netprobe.explain.explanation import FlowSide, SideView
from netprobe.explain.near import NearMisses
from netprobe.explain.opening import Opener
from netprobe.explain.option import ISOLATING, MOST, Option
from netprobe.explain.view import Views
from netprobe.explain.world import World
from netprobe.manifests.change import ObjectChange, SideEffects, Suggestion, ordered
from netprobe.model.flow import External, Flow
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator


@dataclass(frozen=True, slots=True)
class Tried:
    """An option, or several together, that may be suggested."""

    unwanted: int
    cost: int
    options: tuple[Option, ...]
    effects: Effects

    @property
    def rank(self) -> tuple[bool, int, int]:
        """To isolate a pod that everyone could reach comes last: it needs thought."""
        return self.cost >= ISOLATING, self.unwanted, self.cost


class Advisor:
    """Finds suggestions for the flows of one cluster.

    `declared` is what must not break; without it nothing is declared, and what a change opens and closes is
    measured against what is open now. `elsewhere` is the same at the other steps of a suite.
    """

    def __init__(
        self,
        simulator: Simulator,
        declared: Declares | None = None,
        externals: Iterable[External] = (),
        elsewhere: Sequence[tuple[Simulator, Declares | None]] = (),
    ) -> None:
        self.simulator = simulator
        self.world = World(simulator.cluster)
        self.views = Views(simulator)
        self.near = NearMisses(self.world, self.views)
        self._declared, self._externals, self._elsewhere = declared, tuple(externals), elsewhere
        self._known: dict[object, Suggestion | None] = {}

    @cached_property
    def guards(self) -> tuple[Guard, ...]:
        first = Guard(self.simulator, self.world, self._declared, self._externals)
        others = (
            Guard(simulator, World(simulator.cluster), declared, self._externals)
            for simulator, declared in self._elsewhere
            if declared is not None
        )
        return (first, *others)

    def side(self, flow_side: FlowSide) -> SideView:
        """One side of a flow, with the policies that almost apply."""
        view = self.views.side(flow_side)
        flow = flow_side.flow
        end = flow.destination if flow_side.direction is Direction.INGRESS else flow.source
        pod = self.simulator.endpoint(end).pod
        return replace(view, near=self.near.of(view, flow_side, pod))

    def declared(self, flow: Flow) -> Verdict | None:
        """What is declared for a flow; None for nothing."""
        expected = self.guards[0].declared
        if expected is None:
            return None
        return expected.verdict(flow.source, flow.destination, flow.port, flow.protocol)

    def suggest(self, flow: Flow, sides: Sequence[SideView]) -> Suggestion | None:
        """The best change that turns the verdict of a flow, whose sides are given; None without one."""
        self._compare(flow)
        key = self.guards[0].cells.alike(flow)
        if key not in self._known:
            self._known[key] = self._suggest(flow, sides)
        return self._known[key]

    def _compare(self, flow: Flow) -> None:
        """Include the ends of a flow that are addresses outside, which nothing may have named before."""
        known = {
            end.address for end in (*self._externals, *(self._declared.outside if self._declared else ()))
        }
        ends = (end for end in (flow.source, flow.destination) if isinstance(end, External))
        if new := [end for end in ends if end.address not in known]:
            self._externals = (*self._externals, *new)
            self.__dict__.pop("guards", None)

    def described(self, changes: Sequence[ObjectChange]) -> SideEffects | None:
        """What any changes open and close; None if they break a declared flow, or cannot be made."""
        effects = self._effects(changes, None, None)
        return self.guards[0].listed(effects, None) if effects is not None else None

    def _suggest(self, flow: Flow, sides: Sequence[SideView]) -> Suggestion | None:
        family = flow.family or self.simulator.families(flow.source, flow.destination)[0]
        verdict = self.simulator.decide(flow).verdict
        found: list[Tried] = []
        if verdict is Verdict.DENY:
            wanted = Verdict.ALLOW
            parts = [
                Opener(self.world, self.simulator, FlowSide(side.direction, flow, family), side).options(
                    self.near
                )
                for side in sides
                if side.verdict is Verdict.DENY
            ]
            found += self._best(parts, flow, wanted)
        else:
            wanted = Verdict.DENY
            expected = self.guards[0].declared
            needed = expected.needed if expected is not None else None
            for side in sorted(sides, key=lambda side: side.direction is Direction.EGRESS):
                closer = Closer(self.world, self.views, FlowSide(side.direction, flow, family), side, needed)
                found += self._best(closer.parts(), flow, wanted)
        if not found:
            return None
        best = min(found, key=lambda tried: tried.rank)
        edits = tuple(edit for option in best.options for edit in option.edits)
        changed = (*best.effects.opens, *best.effects.closes)
        resolves = dict.fromkeys(one for each in changed for one in each.resolved)
        return Suggestion(wanted, edits, self.guards[0].listed(best.effects, flow), tuple(resolves))

    def _best(self, parts: Sequence[Sequence[Option]], flow: Flow, wanted: Verdict) -> list[Tried]:
        """One option for each part with the fewest side effects together; [] without one."""
        alone = wanted if len(parts) == 1 else None
        ranked = [self._ranked(options, flow, alone) for options in parts]
        if not ranked or not all(ranked):
            return []
        if alone is not None:
            return ranked[0][:1]
        best: list[Tried] = []
        for chosen in islice(sorted(product(*ranked), key=_rank), MOST):
            options = tuple(option for tried in chosen for option in tried.options)
            effects = self._effects(_changes(options), flow, None)
            if effects is None or effects.verdict is not wanted:
                continue
            tried = Tried(effects.unwanted, sum(option.cost for option in options), options, effects)
            if not best or tried.rank < best[0].rank:
                best = [tried]
            if not tried.unwanted:
                break
        return best

    def _ranked(self, options: Sequence[Option], flow: Flow, wanted: Verdict | None) -> list[Tried]:
        """The options that break nothing, best first, without those that are worse than one before them.

        `wanted` is the verdict that each must lead to by itself; None if it takes one of several parts.
        """
        found: list[Tried] = []
        for option in sorted(options, key=lambda option: option.cost):
            least = min((tried.unwanted for tried in found), default=None)
            if least == 0 and option.cost < ISOLATING:
                break
            at_most = least - 1 if least is not None and option.cost < ISOLATING else None
            effects = self._effects(_changes((option,)), flow, at_most)
            if effects is not None and wanted in {None, effects.verdict}:
                found.append(Tried(effects.unwanted, option.cost, (option,), effects))
        return sorted(found, key=lambda tried: tried.rank)

    def _effects(
        self, changes: Sequence[ObjectChange], flow: Flow | None, at_most: int | None
    ) -> Effects | None:
        """What changes do now; None if they break a declared flow now or later, or cannot be made."""
        first, *others = self.guards
        try:
            found = first.effects(first.world.delta(changes), flow, at_most)
        except ValueError:
            return None
        for guard in others if found is not None else ():
            try:
                delta = guard.world.delta(changes)
            except ValueError:  # what it changes is gone by then
                continue
            if guard.effects(delta) is None:
                return None
        return found


def _changes(options: Iterable[Option]) -> tuple[ObjectChange, ...]:
    return ordered(edit for option in options for edit in option.edits)


def _rank(chosen: Sequence[Tried]) -> tuple[int, int]:
    return sum(tried.unwanted for tried in chosen), sum(tried.cost for tried in chosen)
