"""Policies that do nothing beside the others, and rules that no flow needs, where a change touches them.

Judged by the pods and addresses that there are, on every port: another cluster may need what this one does
not. `netprobe lint` knows what is redundant everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.impact.port import Asked, numbers, representatives
from netprobe.impact.states import State, States
from netprobe.model.flow import Family
from netprobe.model.policy import Direction, NamedPort, Policy, PolicyRef, Rule
from netprobe.simulate.bits import unpack
from netprobe.simulate.match import opens

NOBODY = "it selects no pod"
OTHERS_DO = "other policies do all that it does"
NO_PEER = "nobody matches its peers"
NO_NAME = "no pod that it concerns has a port of that name"
COVERED = "other rules allow all that it allows"
UNDECLARED = "no flow that the declaration allows passes by it"


@dataclass(frozen=True, slots=True)
class Idle:
    """A policy, or one rule of it (`rule` counts from 0), that could go, and why."""

    policy: PolicyRef
    reason: str
    direction: Direction | None = None
    rule: int | None = None

    def __str__(self) -> str:
        where = f"{self.direction.value} rule {self.rule}" if self.direction is not None else ""
        return f"{self.policy}{' ' if where else ''}{where}: {self.reason}"


def idle(states: States, changed: frozenset[PolicyRef]) -> tuple[Idle, ...]:
    """What is idle in the new state, in a changed policy or because of one."""
    now = _Judge(states, states.new)
    suspects = [p for p in states.new.policies if p.ref in changed]
    beside = _selected(states, changed)
    suspects += [p for p in states.new.policies if p.ref not in changed and now.concerns(p, beside)]
    found = [one for policy in suspects for one in now.judge(policy)]
    unchanged = {one.policy for one in found} - changed
    before = _Judge(states, states.old)
    known = {one for policy in states.old.policies if policy.ref in unchanged for one in before.judge(policy)}
    return tuple(one for one in found if one.policy in changed or one not in known)


def _selected(states: States, changed: frozenset[PolicyRef]) -> int:
    """The pods that a changed policy selects, as it is or as it was."""
    bits = 0
    for state in (states.old, states.new):
        for policy in state.policies:
            if policy.ref in changed:
                bits |= state.universe.subjects(policy)
    return bits


class _Judge:
    """One state. A rule is a set of peers for each subject, on each class of ports that can matter to it."""

    def __init__(self, states: States, state: State) -> None:
        self._states, self._state = states, state
        self._universe = state.universe
        self._policies = list(state.policies)
        self._numbers = {policy.ref: number for number, policy in enumerate(self._policies)}
        self._subjects = [state.universe.subjects(p) & states.ordinary for p in self._policies]
        self._named = numbers(state.cluster.pods.values())
        self._gone: set[int] = set()  # found idle: of two that do the same, one is needed

    def concerns(self, policy: Policy, pods: int) -> bool:
        """Whether a policy selects some of these pods."""
        return bool(self._subjects[self._numbers[policy.ref]] & pods)

    def judge(self, policy: Policy) -> Iterator[Idle]:
        """The whole policy, or else each rule of it."""
        number = self._numbers[policy.ref]
        if not self._subjects[number]:
            yield Idle(policy.ref, NOBODY)
            return
        needed: set[tuple[Direction, int]] = set()
        whole = False
        for direction in Direction:
            rules = policy.rules(direction)
            if rules is None:
                continue
            found, alone = self._needed(number, direction)
            needed |= {(direction, index) for index in found if index is not None}
            whole = whole or alone or None in found
        if not whole:
            self._gone.add(number)
            yield Idle(policy.ref, OTHERS_DO)
            return
        for direction in Direction:
            for index, rule in enumerate(policy.rules(direction) or ()):
                if (direction, index) not in needed:
                    yield Idle(policy.ref, self._why(policy, rule, direction), direction, index)

    def _needed(self, number: int, direction: Direction) -> tuple[set[int | None], bool]:
        """The rules that alone open something, None for the policy as a whole; whether it alone isolates."""
        family_list = self._states.families
        found: set[int | None] = set()
        alone = False
        for subject, isolating in self._neighbours(number, direction):
            alone = alone or len(isolating) == 1
            ports = self._ports(isolating)
            for family in family_list:
                for port in ports:
                    found |= self._alone((number, isolating), direction, subject, port, family)
        return found, alone

    def _neighbours(self, number: int, direction: Direction) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each subject with all policies that isolate it; one for those that nothing tells apart here."""
        seen: set[tuple[object, ...]] = set()
        isolation = self._state.isolation(direction)
        for subject in unpack(self._subjects[number]):
            isolating = tuple(each for each in isolation.selecting[subject] if each not in self._gone)
            sample = self._states.groups[subject].sample.pod
            names = frozenset(sample.ports) if sample is not None and direction is Direction.INGRESS else None
            if (isolating, names) not in seen:
                seen.add((isolating, names))
                yield subject, isolating

    def _ports(self, isolating: Iterable[int]) -> list[Asked]:
        return representatives((self._policies[number] for number in isolating), self._named)

    def _alone(
        self,
        among: tuple[int, Iterable[int]],
        direction: Direction,
        subject: int,
        port: Asked,
        family: Family | None,
    ) -> set[int | None]:
        """The rules of a policy that open what no other rule does; None where the policy as a whole does."""
        number, isolating = among
        own: list[tuple[int, int]] = []
        others = 0
        for each in isolating:
            for index, (rule, peers) in enumerate(self._state.isolation(direction).admitted(each, family)):
                bits = self._opened(rule, peers, direction, subject, port)
                if each == number:
                    own.append((index, bits))
                else:
                    others |= bits
        once = twice = 0
        for _, bits in own:
            twice |= once & bits
            once |= bits
        found: set[int | None] = {index for index, bits in own if bits & ~others & ~twice}
        # Of two equal rules the first is kept.
        for position, (index, bits) in enumerate(own):
            later = 0
            for _, more in own[:position]:
                later |= more
            if bits & ~others & ~later & twice:
                found.add(index)
        if once & ~others:
            found.add(None)
        return found

    def _opened(self, rule: Rule, peers: int, direction: Direction, subject: int, port: Asked) -> int:
        allowed = peers & (self._states.ordinary | self._states.outside)
        bits = 0
        for entry in rule.ports:
            if not isinstance(entry, NamedPort):
                bits |= allowed if opens(entry, *port, ()) else 0
            elif entry.protocol is port[1]:
                declaring = self._universe.declaring(entry, port[0])
                if direction is Direction.EGRESS:
                    bits |= allowed & declaring
                elif declaring >> subject & 1:
                    bits |= allowed
        return bits

    def _why(self, policy: Policy, rule: Rule, direction: Direction) -> str:
        mask = self._states.ordinary | self._states.outside
        families = self._states.families
        peers = [self._universe.peers(rule, policy.ref.namespace, family) & mask for family in families]
        if not any(peers):
            return NO_PEER
        if all(isinstance(entry, NamedPort) for entry in rule.ports):
            concerned = self._subjects[self._numbers[policy.ref]]
            if direction is Direction.EGRESS:
                concerned = 0
                for bits in peers:
                    concerned |= bits
            pods = (self._states.groups[index].sample.pod for index in unpack(concerned))
            has = {(port.name, port.protocol) for pod in pods if pod is not None for port in pod.ports}
            if not any((e.name, e.protocol) in has for e in rule.ports if isinstance(e, NamedPort)):
                return NO_NAME
        return COVERED
