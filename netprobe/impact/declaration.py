"""A revision compared with a declaration: which declared flows it breaks, and which it repairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.model.flow import End, Flow, PodRef
from netprobe.model.policy import Direction, PolicyRef
from netprobe.model.verdict import Decision, Effect, Verdict
from netprobe.simulate import Simulator

RuleName: TypeAlias = tuple[PolicyRef, Direction, int]


@dataclass(frozen=True, slots=True)
class Breach:
    """Flows from one workload to another that the revision turns away from what is declared.

    `before` and `after` are the decisions on the first of them. `after` is UNKNOWN if it concerns only
    some of the backends of a Service.
    """

    flows: tuple[Flow, ...]
    declared: Verdict
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class DeclarationCheck:
    """What a revision does to the declared flows.

    `repaired` counts flows that are as declared only afterwards, `unmet` those that are not in either state.
    `used` are the rules that flows declared as allowed need.
    """

    breaches: tuple[Breach, ...] = ()
    repaired: int = 0
    unmet: int = 0
    used: frozenset[RuleName] = frozenset()


def check(declared: Mapping[Flow, Verdict], before: Simulator, after: Simulator) -> DeclarationCheck:
    """Decide all declared flows in both states. Flows that the API leaves undefined are not checked."""
    found: dict[tuple[object, ...], list[tuple[Flow, Verdict, Decision, Decision]]] = {}
    repaired = unmet = 0
    used: set[RuleName] = set()
    for each, verdict in declared.items():
        for flow in _by_family(after, each):
            old, new = before.decide(flow), after.decide(flow)
            if verdict is Verdict.ALLOW:
                used.update(_rules(new))
            if new.undefined or old.undefined or new.verdict is verdict:
                repaired += new.verdict is verdict and old.verdict is not verdict
            elif old.verdict is new.verdict:
                unmet += 1
            else:
                ends = (_workload(after, end) for end in (flow.source, flow.destination))
                key = (*ends, flow.port, flow.protocol, flow.family, flow.via, verdict, new.verdict)
                found.setdefault(key, []).append((flow, verdict, old, new))
    breaches = [Breach(tuple(flow for flow, *_ in cells), *cells[0][1:]) for cells in found.values()]
    breaches.sort(key=lambda one: (one.after.verdict is Verdict.UNKNOWN, one.declared is Verdict.DENY))
    return DeclarationCheck(tuple(breaches), repaired, unmet, frozenset(used))


def _by_family(simulator: Simulator, flow: Flow) -> Iterator[Flow]:
    """The flow in each family that its ends have in common: policies may treat them differently."""
    families = simulator.families(flow.source, flow.destination)
    if flow.family is not None or len(families) < 2:
        yield flow
    else:
        yield from (replace(flow, family=family) for family in families)


def _rules(decision: Decision) -> Iterator[RuleName]:
    for side in (decision.egress, decision.ingress):
        for cause in side.allowing:
            if cause.effect is Effect.ALLOWS and cause.rule is not None:
                yield cause.policy, cause.direction, cause.rule
    for _, backend in decision.backends:
        yield from _rules(backend)


def _workload(simulator: Simulator, end: End) -> object:
    pod = simulator.cluster.pods[end] if isinstance(end, PodRef) else None
    return (pod.ref.namespace, pod.workload) if pod is not None and pod.workload else end
