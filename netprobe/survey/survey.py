"""Flow by flow: every row that a question asks for, made as it is read.

A pair of groups is decided once, and its answer holds for all pairs of their pods. What speaks of its ends by
name, or depends on their nodes, is decided for each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from netprobe.diff import Row, judge
from netprobe.model.flow import End, External, Flow, PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, Simulator, evaluate
from netprobe.survey.overview import Overview, overview
from netprobe.survey.question import PortAsked, Question, flow

MOST_KEPT = 500_000  # answers for pairs of groups, some 300 bytes each

Answer: TypeAlias = tuple[Row, ...]
"""The rows of a pair: one, or two where its families differ."""


class Column(NamedTuple):
    """A destination on one port: its group and port as one number, if it is a pod that shares answers."""

    destination: End
    asked: PortAsked
    kind: int | None


class Survey:
    """The answers of one simulator to one question."""

    def __init__(self, question: Question, profile: Profile = CALICO) -> None:
        self.question = question
        self.profile = profile
        self.simulator = Simulator(question.cluster, profile)

    @cached_property
    def evaluation(self) -> Evaluation:
        return evaluate(self.question.cluster, self.profile)

    def overview(self) -> Overview:
        return overview(self.question, self.evaluation)

    def rows(self, *, changed_only: bool = False) -> Iterator[Row]:
        """Source by source, destination by destination, port by port; IPv4 before IPv6 where they differ.

        Sources come in the order of the question; where there are too many pairs of groups to keep the
        answers of all, those of a group together. `changed_only`: only rows that policies keep from passing.
        """
        groups = self._groups()
        columns = list(self._columns(groups))
        itself = {column.destination: column.destination for column in columns}
        known: dict[int, dict[int, Answer]] = {}
        kept = 0
        for source in self._sources(groups):
            one = groups.get(source)
            if kept > MOST_KEPT:
                known, kept = {}, 0
            mine = known.setdefault(one, {}) if one is not None else None
            before = len(mine or ())
            for destination, row in self._cells(source, itself.get(source), columns, mine):
                if not changed_only or row.result is not Verdict.ALLOW:
                    yield _between(source, destination, row)
            kept += len(mine or ()) - before

    def _cells(
        self, source: End, itself: End | None, columns: Sequence[Column], known: dict[int, Answer] | None
    ) -> Iterator[tuple[End, Row]]:
        """Each destination with a row of a pair like this one. `known`: the group's answers so far."""
        outside = isinstance(source, External)
        for destination, asked, kind in columns:
            if outside and isinstance(destination, External):
                continue
            answer = known.get(kind) if known is not None and kind is not None else None
            if destination is itself:
                if not self.question.include_self:
                    continue
                answer = self._answer(flow(source, destination, *asked))  # like no other pair of its group
            elif answer is None:
                answer = self._answer(flow(source, destination, *asked))
                if known is not None and kind is not None and not _personal(answer):
                    known[kind] = answer
            for row in answer:
                yield destination, row

    def _columns(self, groups: dict[End, int]) -> Iterator[Column]:
        numbers: dict[PortAsked, int] = {}
        size = len(self.evaluation.groups)
        for destination in self.question.destinations:
            group = groups.get(destination)
            for asked in self.question.ports_of(destination):
                number = numbers.setdefault(asked, len(numbers))
                yield Column(destination, asked, None if group is None else number * size + group)

    def _sources(self, groups: dict[End, int]) -> Sequence[End]:
        sources = self.question.sources
        if len(set(groups.values())) ** 2 * len(self.question.ports or (0,)) <= MOST_KEPT:
            return sources
        return sorted(sources, key=lambda end: groups.get(end, -1))

    def _groups(self) -> dict[End, int]:
        """The group of each end that is a pod with an address of its own."""
        ends = dict.fromkeys((*self.question.sources, *self.question.destinations))
        found = ((end, self.evaluation.group_of(end)) for end in ends if isinstance(end, PodRef))
        return {end: group.index for end, group in found if group.sample.pod is not None}

    def _answer(self, asked: Flow) -> Answer:
        rows = self.simulator.split(asked)
        return tuple(judge(one, None, self.simulator.decide(one), None) for one in rows)


def _between(source: End, destination: End, row: Row) -> Row:
    """The row of a pair like this one, with these ends."""
    known = row.flow
    ends = Flow(source, destination, known.port, known.protocol, known.family, known.via)
    return Row(ends, None, row.decision, None, row.status, (), row.kind, row.reason)


def _personal(answer: Answer) -> bool:
    """Whether it speaks of its own ends, so that it is no answer for others of their groups."""
    return any(row.decision is not None and row.decision.reason is not None for row in answer)
