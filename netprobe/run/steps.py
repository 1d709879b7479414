"""The steps of a report: what was declared, simulated and observed, compared and explained.

`resolve` finds the changes after which policies match their declaration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from netprobe.diff import FlowCounts, FlowStatus, Mismatch, Row, Why, compare
from netprobe.errors import InputError
from netprobe.explain import Advisor, Explanation, explain
from netprobe.explain.text import NO_CHANGE, near_misses, side_effects
from netprobe.explain.why import blame
from netprobe.manifests.change import ObjectChange
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.verdict import Decision, Verdict
from netprobe.run.moment import DeclaredBy, SimulatedMoment, by_nothing, joined_families
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import LONGEST, ReportStep
from netprobe.simulate import Profile, Simulator

if TYPE_CHECKING:
    from netprobe.probe import Observed
    from netprobe.suite import Suite


MOST_CHANGES: Final = 200


def step(moments: Sequence[SimulatedMoment], number: int, observed: Observed) -> ReportStep:
    """One of the moments of a run, and what was observed then."""
    moment = moments[number]
    seen = observed.matrix.where(moment.simulated.__contains__)
    simulated, seen = joined_families(moment.simulated, seen)
    rows = compare(moment.declared, simulated, seen, step=number)
    rows = explained(rows, advisor(moments, number), moment.declared_by)
    facts = observed.facts
    return ReportStep(
        moment.name,
        rows,
        FlowCounts.of(rows),
        facts.converged_s,
        facts.rounds,
        facts.execs,
        policies=PolicyTexts(moment.simulator.cluster),
    )


def advisor(moments: Sequence[SimulatedMoment], number: int) -> Advisor:
    """Finds changes for one moment that keep every declared flow at all moments."""
    others = (other for other in moments if other is not moments[number])
    return Advisor(
        moments[number].simulator,
        moments[number].declaration,
        elsewhere=[(other.simulator, other.declaration) for other in others],
    )


def advisor_of(suite: Suite | None, live: Cluster | None, profile: Profile, step: int = 0) -> Advisor:
    """What finds changes for a suite after some of its steps, or for a cluster without a suite."""
    if suite is None:
        return Advisor(Simulator(live or Cluster(), profile))
    try:
        found = suite.moments(live)
    except InputError:  # rows that name nothing here: the policies can still be explained
        return Advisor(Simulator(suite.cluster(live, step), profile), None, suite.externals)
    simulators = [(Simulator(moment.cluster, profile), moment.declaration) for moment in found]
    simulator, declaration = simulators.pop(step)
    return Advisor(simulator, declaration, suite.externals, simulators)


def explained(rows: Sequence[Row], advisor: Advisor, declared_by: DeclaredBy = by_nothing) -> tuple[Row, ...]:
    """The rows with what decides them and what declares them.

    Rows that are as expected are explained if there are few enough to read. The first mismatches of
    policies and declaration also get the policies that almost apply, and the smallest change that resolves
    them, as `netprobe explain` suggests it; each costs a search, so that there are at most MOST_CHANGES.
    """
    blamed = blame(advisor.simulator.cluster.policies)
    changes = 0
    found = []
    for row in rows:
        why = Why()
        if row.status is not FlowStatus.AS_EXPECTED or len(rows) <= LONGEST:
            why = blamed(row)
        if Mismatch.DECLARED_SIMULATED in row.mismatches and changes < MOST_CHANGES:
            changes += 1
            found_out = explain(advisor, row.flow)
            why = replace(why, sentences=(*why.sentences, *_advice(found_out)))
            row = replace(row, fix=found_out.change)  # noqa: PLW2901
        by = declared_by(row.flow) if row.declared is not None else None
        found.append(replace(row, why=why, declared_by=by))
    return tuple(found)


def _advice(explanation: Explanation) -> Iterator[str]:
    """Sentences below those that say what decides a flow."""
    for miss in near_misses(explanation):
        yield f"{miss.policy}{f' [{miss.place}]' if miss.place else ''} {miss.text}"
    if explanation.change is not None:
        yield f"{explanation.change.aim}: {explanation.change.text}"
        yield from side_effects(explanation.change.effects)
    elif not explanation.parts:
        yield NO_CHANGE


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
