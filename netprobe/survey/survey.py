"""Flow by flow: every row that a question asks for, made as it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from netprobe.diff import Differences, Kind, Row, Status, judge
from netprobe.model.flow import End, Family, Flow, PodRef
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, Simulator, evaluate
from netprobe.survey.overview import Overview, overview
from netprobe.survey.question import PortAsked, Question, flow, via

MOST_KEPT = 500_000  # answers for pairs of groups, some 100 bytes each


class Answer(NamedTuple):
    """A row without its flow: what pods that behave alike share. A pair whose families differ has two."""

    family: Family | None
    decision: Decision
    status: Status
    kind: Kind | None
    reason: str | None


Answers: TypeAlias = tuple[Answer, ...]


class Survey:
    """The answers of one simulator to one question."""

    def __init__(self, question: Question, profile: Profile = CALICO) -> None:
        self.question = question
        self.profile = profile
        self.simulator = Simulator(question.cluster, profile)

    @cached_property
    def evaluation(self) -> Evaluation:
        return evaluate(self.question.cluster, self.profile)

    def differences(self, *, changed_only: bool = False) -> Differences:
        """All rows, anew for each pass; with `changed_only` those that policies keep from plainly passing."""
        if not changed_only:
            return Differences(self.rows)
        return Differences(lambda: (row for row in self.rows() if row.result is not Verdict.ALLOW))

    def overview(self) -> Overview:
        return overview(self.question, self.evaluation)

    def rows(self) -> Iterator[Row]:
        """Source by source, destination by destination, port by port; IPv4 before IPv6 where they differ.

        A pair of groups is decided once: pods that no policy can tell apart have the same causes. What
        speaks of its ends by name, or hangs on their nodes, is decided for each pair. Sources come in the
        order of the question; where there are too many pairs of groups to keep, those of a group together.
        """
        groups = self._groups()
        ports = {end: self.question.ports_of(end) for end in self.question.destinations}
        shared: dict[Answers, Answers] = {}
        known: dict[int, dict[tuple[int, PortAsked], Answers]] = {}
        kept = 0
        for source in self._sources(groups):
            one = groups.get(source)
            if kept > MOST_KEPT:
                known, kept = {}, 0
            mine = known.setdefault(one, {}) if one is not None else {}
            for _, destination in self.question.pairs([source]):
                other = groups.get(destination) if one is not None and source != destination else None
                by = via(destination)
                for asked in ports[destination]:
                    answers = mine.get((other, asked)) if other is not None else None
                    if answers is None:
                        answers = self._answers(flow(source, destination, *asked))
                        if other is not None and not any(answer.decision.reason for answer in answers):
                            mine[other, asked] = answers = shared.setdefault(answers, answers)
                            kept += 1
                    for family, decision, status, kind, reason in answers:
                        ends = Flow(source, destination, *asked, family, by)
                        yield Row(ends, None, decision, None, status, (), kind, reason)

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

    def _answers(self, asked: Flow) -> Answers:
        flows = self.simulator.split(asked)
        decided = [(one, self.simulator.decide(one)) for one in flows]
        rows = [(judge(one, None, decision, None), decision) for one, decision in decided]
        return tuple(
            Answer(row.flow.family, decision, row.status, row.kind, row.reason) for row, decision in rows
        )
