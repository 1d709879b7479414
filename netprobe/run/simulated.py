"""The steps of a report without a cluster: a suite's moments, or all pairs of the pods of manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netprobe.diff import FlowCounts, FlowStatus, Row, compare, judge
from netprobe.explain.why import blame
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.run.moment import FlowFilter, SimulatedMoment, moments
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import LONGEST, FlowGroup, ReportStep, group_note, port_text
from netprobe.run.steps import advisor, explained
from netprobe.simulate import AllPairs, FlowBundle, Overview, PortAsked, Profile
from netprobe.simulate.overview import LEFT_OUT

if TYPE_CHECKING:
    from netprobe.suite import Suite

NAME = "the policies as they are"

MOST_HELD = 200_000
"""Rows; if there are more, each pass computes them again."""


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
