"""The changes after which the policies of a suite match its declaration, as far as safe ones exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netprobe.explain import explain
from netprobe.manifests.change import ObjectChange
from netprobe.model.flow import Flow
from netprobe.model.verdict import Decision, Verdict
from netprobe.run.moment import SimulatedMoment
from netprobe.run.steps import advisor
from netprobe.simulate import Simulator

MOST_FIXES = 200


@dataclass(frozen=True, slots=True)
class Resolved:
    """`changes` one after the other, with a sentence for each; `left` are the flows without a safe change."""

    changes: tuple[ObjectChange, ...]
    summaries: tuple[str, ...]
    left: tuple[Flow, ...]


def resolve(moments: Sequence[SimulatedMoment]) -> Resolved:
    """Take the suggestion for the first difference, then for the first that remains, and so on.

    No suggestion turns a declared flow away from its declaration, so only flows that differ are looked at
    again.
    """
    now = list(moments)
    changes: list[ObjectChange] = []
    summaries: list[str] = []
    left: list[Flow] = []
    for number, moment in enumerate(moments):
        differing = [flow for flow, decision in moment.simulated.items() if differs(moment, flow, decision)]
        while differing and len(summaries) < MOST_FIXES:
            flow, *rest = differing
            found = explain(advisor(now, number), flow).change
            if found is None:
                left.append(flow)
                differing = rest
                continue
            changes += found.changes
            summaries.append(found.text)
            now = [after(each, found.changes) for each in now]
            simulator = now[number].simulator
            differing = [each for each in differing if differs(moment, each, simulator.decide(each))]
        left += differing
    return Resolved(tuple(changes), tuple(summaries), tuple(left))


def differs(moment: SimulatedMoment, flow: Flow, decision: Decision) -> bool:
    if moment.declared is None:
        return False
    expected = moment.declared.get(flow) or moment.declared.get(replace(flow, family=None))
    known = decision.verdict is not Verdict.UNKNOWN and decision.undefined is None
    return known and expected is not None and decision.verdict is not expected


def after(moment: SimulatedMoment, changes: Sequence[ObjectChange]) -> SimulatedMoment:
    """The moment with changes; the same if what they change is not there."""
    cluster = moment.simulator.cluster
    try:
        after = advisor([moment], 0).world.delta(changes).cluster(cluster)
    except ValueError:
        return moment
    return replace(moment, simulator=Simulator(after, moment.simulator.profile))
