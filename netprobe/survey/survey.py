"""Flow by flow: every row that a question asks for, made as it is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from typing import TypeAlias

from netprobe.diff import Differences, Row, judge
from netprobe.model.flow import End, Flow, PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, Simulator, evaluate
from netprobe.survey.overview import Overview, overview
from netprobe.survey.question import PortAsked, Question, flow

Judged: TypeAlias = list[Row]


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
        speaks of its ends by name, or hangs on their nodes, is decided for each pair.
        """
        groups = self._groups()
        ports = {
            destination: self.question.ports_of(destination) for destination in self.question.destinations
        }
        known: dict[tuple[int, int], dict[PortAsked, Judged]] = defaultdict(dict)
        for source, destination in self.question.pairs():
            one, other = groups.get(source), groups.get(destination)
            alike = (
                known[one, other] if one is not None and other is not None and source != destination else {}
            )
            for asked in ports[destination]:
                judged = alike.get(asked)
                if judged is None:
                    judged = self._judge(flow(source, destination, *asked))
                    if all(row.decision and not row.decision.reason for row in judged):
                        alike[asked] = judged
                    yield from judged
                    continue
                for row in judged:
                    yield Row(
                        Flow(source, destination, *asked, row.flow.family),
                        None,
                        row.decision,
                        None,
                        row.status,
                        (),
                        row.kind,
                        row.reason,
                    )

    def _groups(self) -> dict[End, int]:
        """The group of each end that is a pod with an address of its own."""
        ends = dict.fromkeys((*self.question.sources, *self.question.destinations))
        found = ((end, self.evaluation.group_of(end)) for end in ends if isinstance(end, PodRef))
        return {end: group.index for end, group in found if group.sample.pod is not None}

    def _judge(self, asked: Flow) -> Judged:
        return [judge(one, None, self.simulator.decide(one), None) for one in self.simulator.split(asked)]
