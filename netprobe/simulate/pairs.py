"""Flow by flow: every decision that a question asks for, made as it is read.

A pair of groups is decided once, and its answer holds for all pairs of their pods. A decision that names its
ends, or depends on their nodes, is made for each pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple, TypeAlias

from netprobe.model.flow import End, External, Flow, PodRef
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate.compared import PortNumber
from netprobe.simulate.flow import Simulator
from netprobe.simulate.matrix import Evaluation, evaluate
from netprobe.simulate.overview import Overview, overview
from netprobe.simulate.profile import CALICO, Profile
from netprobe.simulate.question import Question, flow

MOST_KEPT = 500_000  # answers for pairs of groups, some 300 bytes each; else those of one group at a time

Answer: TypeAlias = tuple[tuple[Flow, Decision], ...]
"""The decisions for a pair: one, or two if its families differ."""


class _Column(NamedTuple):
    """A destination on one port. `shared`: a number for its group and port, if its answers are shared."""

    destination: End
    asked: PortNumber
    shared: int | None


class AllPairs:
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

    def decisions(self, *, changed_only: bool = False) -> Iterator[tuple[Flow, Decision]]:
        """Source by source, destination by destination, port by port; IPv4 before IPv6 if they differ.

        Sources come in the order of the question; if there are too many pairs of groups to keep the answers
        of all, those of a group come together. `changed_only`: only flows that policies do not let pass.
        Equal decisions of a pair of groups are the same object.
        """
        groups = self._groups()
        columns = list(self._columns(groups))
        itself = {column.destination: column.destination for column in columns}
        answers = len(set(groups.values())) * len({column.shared for column in columns} - {None})
        sources = self.question.sources
        if answers > MOST_KEPT:
            sources = tuple(sorted(sources, key=lambda end: groups.get(end, -1)))
        known: dict[int, dict[int, Answer]] = {}
        for source in sources:
            one = groups.get(source)
            if answers > MOST_KEPT and one not in known:
                known.clear()
            mine = known.setdefault(one, {}) if one is not None else None
            for destination, (like, decision) in self._cells(source, itself.get(source), columns, mine):
                if not changed_only or decision.verdict is not Verdict.ALLOW:
                    yield Flow(source, destination, like.port, like.protocol, like.family, like.via), decision

    def _cells(
        self, source: End, itself: End | None, columns: Sequence[_Column], known: dict[int, Answer] | None
    ) -> Iterator[tuple[End, tuple[Flow, Decision]]]:
        """Each destination with a decision for a pair like this one. `known`: the group's answers so far."""
        outside = isinstance(source, External)
        for destination, asked, shared in columns:
            if outside and isinstance(destination, External):
                continue
            answer = known.get(shared) if known is not None and shared is not None else None
            if destination is itself:
                if not self.question.include_self:
                    continue
                answer = self._answer(flow(source, destination, *asked))  # like no other pair of its group
            elif answer is None:
                answer = self._answer(flow(source, destination, *asked))
                if known is not None and shared is not None and not _names_its_ends(answer):
                    known[shared] = answer
            for one in answer:
                yield destination, one

    def _columns(self, groups: dict[End, int]) -> Iterator[_Column]:
        numbers: dict[tuple[int, PortNumber], int] = {}
        for destination in self.question.destinations:
            group = groups.get(destination)
            for asked in self.question.ports_of(destination):
                shared = None if group is None else numbers.setdefault((group, asked), len(numbers))
                yield _Column(destination, asked, shared)

    def _groups(self) -> dict[End, int]:
        """The group of each end that is a pod with its own address."""
        ends = dict.fromkeys((*self.question.sources, *self.question.destinations))
        pods = (end for end in ends if isinstance(end, PodRef) and end not in self.question.cluster.finished)
        found = ((end, self.evaluation.group_of(end)) for end in pods)
        return {end: group.index for end, group in found if group.sample.pod is not None}

    def _answer(self, asked: Flow) -> Answer:
        return tuple((one, self.simulator.decide(one)) for one in self.simulator.split(asked))


def _names_its_ends(answer: Answer) -> bool:
    """Whether it is about its own ends only, so that other members of their groups need their own."""
    return any(decision.reason is not None for _, decision in answer)
