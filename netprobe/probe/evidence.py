"""What has proven listeners and paths so far in a run; judge.py has the table for what that means."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.model.flow import Flow, Protocol
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.probe.judge import BUSY, judge
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import ProbePlan, Try
from netprobe.probe.session import Answers

Route: TypeAlias = tuple[frozenset[str], int]
"""The nodes of both ends of a flow, and the address family."""

KnownControl = Callable[[Flow], str | None]
"""A control that is known from elsewhere (a readiness probe that passes), as in Control."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Who last reached a listener ("self" or "peer"), and when, by the loop's clock."""

    at: float
    by: str


@dataclass(slots=True)
class Evidence:
    """Proofs of one run, kept across its rounds. `paths`: flows that connected in the baseline.

    `closed`: the flows that were denied before the run began, by policies that it did not make, with the
    nodes of their ends. No baseline can prove their paths, so any flow between the same nodes does.
    """

    plan: ProbePlan
    listener_s: float
    known_listener: KnownControl
    known_path: KnownControl
    nodes: Mapping[Flow, Route]
    closed: Container[Flow] = ()
    paths: set[Flow] = field(default_factory=set)
    _crossed: set[tuple[Route, Protocol]] = field(default_factory=set)  # by flows that connected in this run
    _reached: set[Target] = field(default_factory=set)  # by another pod, at some time in this run
    _listeners: dict[Target, Proof] = field(default_factory=dict)

    def trusted(self, now: float) -> dict[Target, Proof]:
        """Listeners that were seen to live recently enough to be trusted.

        TCP only: a kernel accepts for a listener that is slow; a datagram is answered by the listener alone.
        """
        return {
            target: proof
            for target, proof in self._listeners.items()
            if target.protocol is Protocol.TCP and now - proof.at < self.listener_s
        }

    def doubted(
        self, flows: Iterable[Flow], answers: Answers, trusted: Mapping[Target, Proof], begun: float
    ) -> frozenset[Try]:
        """Controls of listeners that were trusted in a round and that no pod reached in it.

        Rounds overlap: a listener that another round has proven since this one began is not doubted.
        """
        missed = {flow for flow in flows if not connected(answers, self.plan.of[flow])}
        reached = {self.plan.of[flow][1] for flow in flows if flow not in missed}
        controls = (self.plan.listener.get(flow) for flow in missed)
        return frozenset(
            control
            for control in controls
            if control
            and control[1] in trusted
            and control[1] not in reached
            and self._listeners[control[1]].at < begun
        )

    def starved(self, flows: Iterable[Flow], answers: Answers, slow_s: float) -> frozenset[Flow]:
        """UDP flows without an answer whose listener was too busy in this round to prove anything.

        It answered somebody later than `slow_s`, or others but not its own pod. A listener answers one client
        at a time, and what it misses meanwhile looks like a datagram that a policy drops.
        """
        served = {
            (target, answer.took_s > slow_s)
            for (_, target), answer in answers.items()
            if target.protocol is Protocol.UDP and answer.outcome is Outcome.CONNECTED
        }
        return frozenset(
            flow
            for flow in flows
            if flow.protocol is Protocol.UDP
            and flow in self.plan.listener
            and answers[self.plan.of[flow]].outcome in {Outcome.TIMED_OUT, Outcome.REFUSED}
            and self._is_busy(self.plan.listener[flow], answers, served)
        )

    @staticmethod
    def _is_busy(control: Try, answers: Answers, served: Collection[tuple[Target, bool]]) -> bool:
        """`served`: the targets that answered anybody, each with whether it was late."""
        _, target = control
        return (target, True) in served or ((target, False) in served and not connected(answers, control))

    def add(self, flows: Collection[Flow], answers: Answers, now: float) -> set[Target]:
        """Record a round; the targets that another pod than their own reached in it."""
        self._crossed |= {
            (self.nodes[flow], flow.protocol)
            for flow in flows
            if flow in self.nodes and connected(answers, self.plan.of[flow])
        }
        reached = {self.plan.of[flow][1] for flow in flows if connected(answers, self.plan.of[flow])}
        for flow in flows:  # the try that proves a path may be of the flow's own target
            reached |= {one[1] for one in self.plan.path.get(flow, ()) if connected(answers, one)}
        controls = {self.plan.listener[flow] for flow in flows if flow in self.plan.listener}
        self._reached |= reached
        self._listeners |= dict.fromkeys(reached, Proof(now, "peer"))
        self._listeners |= {one[1]: Proof(now, "self") for one in controls if connected(answers, one)}
        return reached

    def observation(
        self,
        flow: Flow,
        answers: Answers,
        reached: Collection[Target],
        trusted: Mapping[Target, Proof],
        starved: Container[Flow] = (),
    ) -> Observation:
        """Judge the answer of a flow. `reached`, `trusted`, `starved`: of the round."""
        answer = answers[self.plan.of[flow]]
        listener = None if flow in starved else self._listener(flow, answers, reached, trusted)
        control = Control(listener, self._path(flow, answers))
        verdict, reason = judge(answer.outcome, control)
        if flow in starved:
            reason = BUSY
        return Observation(
            answer.outcome, verdict, control, _detailed(reason, answer), latency_ms=answer.latency_ms
        )

    def _listener(
        self, flow: Flow, answers: Answers, reached: Collection[Target], trusted: Mapping[Target, Proof]
    ) -> str | None:
        target, control = self.plan.of[flow][1], self.plan.listener.get(flow)
        if control is not None and connected(answers, control):
            return "self"
        # Where the pod cannot try its own port, it is enough that another one reached it in this run.
        if target in (self._reached if control is None else reached):
            return "peer"
        if known := self.known_listener(flow):
            return known
        return trusted[target].by if target in trusted else None

    def _path(self, flow: Flow, answers: Answers) -> str | None:
        if flow in self.paths:
            return "baseline"
        if known := self.known_path(flow):
            return known
        pairs = self.plan.path.get(flow, ())
        if pairs and all(connected(answers, pair) for pair in pairs):
            return "pair"
        crossed = flow in self.closed and (self.nodes.get(flow), flow.protocol) in self._crossed
        return "nodes" if crossed else None


def connected(answers: Answers, one: Try) -> bool:
    """Whether a try connected; False if it was not made."""
    return one in answers and answers[one].outcome is Outcome.CONNECTED


def _detailed(reason: str | None, answer: Answer) -> str | None:
    """A reason that is about the probe itself, with what the probe printed."""
    if answer.text and answer.outcome in {Outcome.EXEC_FAILED, Outcome.NO_SUCH_NAME, Outcome.SKIPPED}:
        return f"{reason}: {answer.text}"
    return reason
