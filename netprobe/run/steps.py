"""The steps of a report: what was declared, simulated and observed, compared and explained.

Without a cluster they are a suite's moments, or all pairs of the pods of manifests. `resolve` finds the
changes after which policies match their declaration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from netprobe.diff import FlowCounts, FlowStatus, Mismatch, Row, Why, compare, judge
from netprobe.errors import InputError
from netprobe.explain import Advisor, Explanation, explain
from netprobe.explain.text import NO_CHANGE, near_misses, side_effects
from netprobe.explain.why import blame
from netprobe.manifests.change import ObjectChange
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.verdict import Decision, Verdict
from netprobe.run.moment import DeclaredBy, FlowFilter, SimulatedMoment, by_nothing, joined_families, moments
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import LONGEST, FlowGroup, ReportStep, group_note, port_text
from netprobe.simulate import AllPairs, FlowBundle, Overview, PortAsked, Profile, Simulator
from netprobe.simulate.overview import LEFT_OUT

if TYPE_CHECKING:
    from netprobe.probe import Observed
    from netprobe.suite import Suite


NAME: Final = "the policies as they are"
MOST_CHANGES: Final = 200
MOST_FIXES: Final = 200
MOST_HELD: Final = 200_000
"""Rows; if there are more, each pass computes them again."""


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


def suite_moments(
    suite: Suite,
    live: Cluster | None,
    profile: Profile,
    *,
    sources: Sequence[str] = (),
    destinations: Sequence[str] = (),
    ports: Sequence[PortAsked] = (),
) -> tuple[SimulatedMoment, ...]:
    """The moments of a suite with the flows that are asked for."""
    is_wanted = FlowFilter(sources, destinations, ports).on(suite.cluster(live), suite.externals)
    return tuple(moments(suite, live, profile, is_wanted))


def suite_steps(every: Sequence[SimulatedMoment], *, changed_only: bool = False) -> tuple[ReportStep, ...]:
    """The comparison at each moment of a suite. With `changed_only` what policies or a step change."""
    steps: list[ReportStep] = []
    before: Iterable[Row] = ()
    for index, at in enumerate(every):
        rows = compare(at.declared, at.simulated, step=index)
        shown = _changed(rows, before, first=index == 0) if changed_only else rows
        found = explained(shown, advisor(every, index), at.declared_by)
        texts = PolicyTexts(at.simulator.cluster)
        steps.append(ReportStep(at.name, found, FlowCounts.of(found), policies=texts))
        before = rows
    return tuple(steps)


def _changed(rows: Iterable[Row], before: Iterable[Row], *, first: bool) -> list[Row]:
    """Without policies everything passes; later, a flow starts as the previous step left it."""
    earlier = {row.flow: row.result for row in before}
    return [
        row
        for row in rows
        if row.status is not FlowStatus.AS_EXPECTED
        or row.result is not (Verdict.ALLOW if first else earlier.get(row.flow, Verdict.ALLOW))
    ]


@dataclass(frozen=True, slots=True)
class PairRows:
    """The rows of all pairs, made in each pass."""

    all_pairs: AllPairs
    changed_only: bool

    def __iter__(self) -> Iterator[Row]:
        known: dict[int, Row] = {}  # by decision: pairs of groups share theirs
        for flow, decision in self.all_pairs.decisions(changed_only=self.changed_only):
            row = known.get(id(decision))
            if row is None:
                row = judge(flow, None, decision, None)
                if len(known) > MOST_HELD:
                    known.clear()
                known[id(decision)] = row
            yield Row(flow, None, decision, None, row.status, (), row.kind, row.reason)


def pairs_step(all_pairs: AllPairs, *, changed_only: bool, groups: bool, rows: bool) -> ReportStep:
    """All pairs of pods, as one step.

    `groups`: if there are more rows than a person can read, groups replace them. `rows`: the rows are needed
    too; otherwise only the groups are counted and no rows are made.
    """
    size = all_pairs.question.size
    texts = PolicyTexts(all_pairs.question.cluster)
    every: Iterable[Row] = PairRows(all_pairs, changed_only)
    if size <= LONGEST:
        why = blame(all_pairs.question.cluster.policies)
        every = tuple(replace(row, why=why(row)) for row in every)
        return ReportStep(NAME, every, FlowCounts.of(every), policies=texts)
    if size <= MOST_HELD and rows:
        every = tuple(every)
    if not groups:
        return ReportStep(NAME, every, FlowCounts.of(every), policies=texts)
    found = all_pairs.overview()
    bundles = [one for one in found.bundles if not changed_only or one.verdict is not Verdict.ALLOW]
    families = {4, 6} <= {one.family for one in bundles}
    grouped = (*(_group(one, families) for one in bundles), *_left_out(found))
    counts = FlowCounts.of(every) if rows else _counts(bundles, found)
    return ReportStep(NAME, every, counts, groups=grouped, policies=texts)


def _counts(bundles: Iterable[FlowBundle], found: Overview) -> FlowCounts:
    flows: Counter[FlowStatus] = Counter({FlowStatus.SKIPPED: found.left_out})
    for bundle in bundles:
        flows[_status(bundle)] += bundle.flows
    return FlowCounts(*(flows[status] for status in FlowStatus))


def _status(bundle: FlowBundle) -> FlowStatus:
    if bundle.undefined:
        return FlowStatus.UNDEFINED
    return FlowStatus.UNKNOWN if bundle.verdict is Verdict.UNKNOWN else FlowStatus.AS_EXPECTED


def _group(bundle: FlowBundle, families: bool) -> FlowGroup:
    first, to = bundle.sources.first, bundle.destinations.first
    flow = Flow(first, to, bundle.port, bundle.protocol, bundle.family)
    note = group_note(_status(bundle), bundle.qualified_by)
    ends = str(bundle.sources), str(bundle.destinations)
    return FlowGroup(*ends, port_text(flow, families), bundle.verdict, bundle.flows, note)


def _left_out(found: Overview) -> list[FlowGroup]:
    return [FlowGroup("-", "-", "-", Verdict.UNKNOWN, found.left_out, LEFT_OUT)] if found.left_out else []
