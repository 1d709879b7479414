"""`netprobe simulate -f` without a suite: every pair of pods, or an overview where they are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from netprobe.diff import Counts, Row
from netprobe.explain.why import blame
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.report.alike import LONGEST
from netprobe.report.words import port as written
from netprobe.run.record import Group, Step
from netprobe.survey import Bundle, Overview, Survey
from netprobe.survey.overview import LEFT_OUT

NAME = "the policies as they are"


MOST_HELD = 200_000
"""Rows; above that they are made anew in each pass."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a survey, made in each pass."""

    survey: Survey
    changed_only: bool

    def __iter__(self) -> Iterator[Row]:
        return self.survey.rows(changed_only=self.changed_only)


def surveyed(survey: Survey, *, changed_only: bool, overview: bool, rows: bool) -> Step:
    """The one step of a report.

    `overview`: groups stand for more rows than a person can read; without `rows` nothing else is needed, and
    the counts are those of the groups.
    """
    size = survey.question.size
    every: Iterable[Row] = Rows(survey, changed_only)
    if size <= LONGEST:
        why = blame(survey.question.cluster.policies)
        every = tuple(replace(row, why=why(row)) for row in every)
        return Step(NAME, every, Counts.of(every))
    if size <= MOST_HELD and rows:
        every = tuple(every)
    if not overview:
        return Step(NAME, every, Counts.of(every))
    found = survey.overview()
    bundles = [one for one in found.bundles if not changed_only or one.verdict is not Verdict.ALLOW]
    families = {4, 6} <= {one.family for one in bundles}
    groups = (*(_group(one, families) for one in bundles), *_left_out(found))
    return Step(NAME, every, Counts.of(every) if rows else _counts(bundles, found), groups=groups)


def _counts(bundles: Iterable[Bundle], found: Overview) -> Counts:
    flows, unknown = 0, 0
    for bundle in bundles:
        flows += bundle.flows
        unknown += bundle.flows if bundle.verdict is Verdict.UNKNOWN else 0
    return Counts(as_expected=flows - unknown, unknown=unknown, skipped=found.left_out)


def _group(bundle: Bundle, families: bool) -> Group:
    first, to = bundle.sources.first, bundle.destinations.first
    flow = Flow(first, to, bundle.port, bundle.protocol, bundle.family)
    note = "could not tell" if bundle.verdict is Verdict.UNKNOWN else ""
    ends = str(bundle.sources), str(bundle.destinations)
    return Group(*ends, written(flow, families), bundle.verdict, bundle.flows, note)


def _left_out(found: Overview) -> list[Group]:
    return [Group("-", "-", "-", Verdict.UNKNOWN, found.left_out, LEFT_OUT)] if found.left_out else []
