"""The change held against a declaration: flows that it needs and that close, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from netprobe.impact.states import States
from netprobe.model.flow import End, External, Flow, PodRef
from netprobe.model.policy import Direction, PolicyRef
from netprobe.model.verdict import Decision, Effect, Verdict
from netprobe.simulate import Simulator
from netprobe.simulate.bits import unpack

RuleName = tuple[PolicyRef, Direction, int]


@dataclass(frozen=True, slots=True)
class Breach:
    """Flows that the change turns away from what is declared, all of one workload to one other.

    The first flow stands for all, with its decisions before and after. `after` is UNKNOWN where only some of
    a Service's backends are concerned.
    """

    flows: tuple[Flow, ...]
    declared: Verdict
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class Held:
    """What a declaration says to a change. `used` are the rules that its allowed flows pass by.

    `short` counts the flows that were not as declared before and are not after: no work of the change.
    """

    breaches: tuple[Breach, ...] = ()
    mended: int = 0
    used: frozenset[RuleName] = frozenset()
    short: int = 0


def held(declared: Mapping[Flow, Verdict], before: Simulator, after: Simulator, states: States) -> Held:
    """Compare the declared flows in both states; what the implementation decides is left aside."""
    found: dict[tuple[object, ...], list[tuple[Flow, Decision, Decision]]] = {}
    mended = short = 0
    used: set[RuleName] = set()
    touched = _touched(states)
    for asked, verdict in declared.items():
        is_touched = touched is None or not touched.isdisjoint((asked.source, asked.destination))
        for flow in _split(after, asked):
            new = after.decide(flow)
            if verdict is Verdict.ALLOW:
                used.update(_rules(new))
            old = before.decide(flow) if is_touched or _is_service(flow) else new
            if new.undefined or old.undefined or new.verdict is verdict:
                mended += new.verdict is verdict and old.verdict is not verdict
                continue
            if old.verdict is new.verdict:
                short += 1
                continue
            key = (
                _workload(after, flow.source),
                _workload(after, flow.destination),
                *(flow.port, flow.protocol, flow.family, flow.via, verdict, new.verdict),
            )
            found.setdefault(key, []).append((flow, old, new))
    breaches = (
        Breach(tuple(flow for flow, _, _ in cells), declared[_asked(declared, cells[0][0])], *cells[0][1:])
        for cells in found.values()
    )
    return Held(tuple(sorted(breaches, key=_rank)), mended, frozenset(used), short)


def _rank(breach: Breach) -> tuple[bool, bool]:
    return breach.after.verdict is Verdict.UNKNOWN, breach.declared is Verdict.DENY


def _asked(declared: Mapping[Flow, Verdict], flow: Flow) -> Flow:
    return flow if flow in declared else replace(flow, family=None)


def _split(simulator: Simulator, flow: Flow) -> Iterator[Flow]:
    """A flow for each family that its ends have in common: each may be changed by itself."""
    families = simulator.families(flow.source, flow.destination)
    if flow.family is not None or len(families) < 2:
        yield flow
        return
    for family in families:
        yield replace(flow, family=family)


def _touched(states: States) -> frozenset[End] | None:
    """The pods that a changed policy selects before or after; None where labels change too: anybody."""
    if states.relabelled:
        return None
    old, new = ({p.ref: p for p in state.policies} for state in (states.old, states.new))
    bits = 0
    for state, policies, others in ((states.old, old, new), (states.new, new, old)):
        for ref, policy in policies.items():
            if others.get(ref) != policy:
                bits |= state.universe.subjects(policy)
    return frozenset(end for index in unpack(bits) for end in states.groups[index].members)


def _rules(decision: Decision) -> Iterator[RuleName]:
    for side in (decision.egress, decision.ingress):
        for cause in side.allowing:
            if cause.effect is Effect.ALLOWS and cause.rule is not None:
                yield cause.policy, cause.direction, cause.rule
    for _, backend in decision.backends:
        yield from _rules(backend)


def _is_service(flow: Flow) -> bool:
    return not isinstance(flow.destination, PodRef | External)


def _workload(simulator: Simulator, end: End) -> object:
    if not isinstance(end, PodRef):
        return end
    pod = simulator.cluster.pods[end]
    return (end.namespace, pod.workload) if pod.workload else end
