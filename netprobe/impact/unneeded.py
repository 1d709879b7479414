"""Policies and rules that could be removed without any effect, if a revision touches them.

Removing them changes no verdict of any pod or address, on any port: other policies or rules do what they do.
What matches nothing at present is never among them: its pods may come later, or are not in the input, as is
often the case with DNS. Only NetworkPolicies are judged: in other kinds the order of rules matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product

from netprobe.impact.difference import States
from netprobe.manifests.change import Delete, ObjectChange, Patch, pointer
from netprobe.model.policy import NETWORK_POLICY, Direction, Origin, Policy, PolicyRef
from netprobe.simulate import Evaluation, Table
from netprobe.simulate.bits import unpack
from netprobe.simulate.compared import representatives

OTHER_POLICIES = "other policies do all that it does"
OTHER_RULES = "other rules allow all that it allows"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A policy, or one rule of it (`rule` counts from 0), and why it could be removed."""

    policy: PolicyRef
    reason: str
    direction: Direction | None = None
    rule: int | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def change(self) -> ObjectChange:
        """The change that removes it."""
        if self.direction is None:
            return Delete(self.policy.kind, str(self.policy), self.origin)
        path = pointer("spec", self.direction.value, self.rule or 0)
        return Patch(self.policy.kind, str(self.policy), ({"op": "remove", "path": path},), self.origin)

    def __str__(self) -> str:
        where = f" {self.direction.value} rule {self.rule}" if self.direction is not None else ""
        return f"{self.policy}{where}: {self.reason}"


def unneeded(states: States) -> Iterator[Unneeded]:
    """What could be removed afterwards: of the policies that change, and of those that became unneeded."""
    changed = states.revision.policies
    touched = 0
    for evaluation in (states.before, states.after):
        for policy in evaluation.cluster.policies:
            if policy.ref in changed:
                touched |= evaluation.universe.subjects(policy)
    policies = states.after.cluster.policies
    others = [
        p
        for p in policies
        if p.ref not in changed and states.after.universe.subjects(p) & touched & states.pods
    ]
    after = _Judge(states, states.after)
    found = [one for p in policies if p.ref in changed for one in after.judge(p)]
    became = [one for p in others for one in after.judge(p)]
    if became:
        suspects = {one.policy for one in became}
        before = _Judge(states, states.before)
        known = {one for p in states.before.cluster.policies if p.ref in suspects for one in before.judge(p)}
        became = [one for one in became if one not in known]
    yield from (*found, *became)


class _Judge:
    """One of the states. A rule is a set of peers for each subject, on each class of ports."""

    def __init__(self, states: States, evaluation: Evaluation) -> None:
        self._states, self._evaluation = states, evaluation
        self._numbers = {policy.ref: number for number, policy in enumerate(evaluation.cluster.policies)}
        self._opened: dict[object, list[tuple[int, int]]] = {}
        self._gone: set[int] = set()  # found unneeded: of two policies that do the same, one is needed

    def judge(self, policy: Policy) -> Iterator[Unneeded]:
        """The whole policy, or else each rule of it."""
        number = self._numbers[policy.ref]
        if (
            policy.kind != NETWORK_POLICY
            or not self._evaluation.universe.subjects(policy) & self._states.pods
        ):
            return
        needed: dict[Direction, set[int | None]] = {}
        matching: dict[Direction, set[int]] = {}
        for direction in Direction:
            needed[direction], matching[direction] = self._needed(policy, number, direction)
        rules = {direction: range(len(policy.rules(direction) or ())) for direction in Direction}
        if not any(needed.values()) and all(matching[each].issuperset(rules[each]) for each in Direction):
            self._gone.add(number)
            yield Unneeded(policy.ref, OTHER_POLICIES, origin=policy.origin)
            return
        for direction in Direction:
            for index in rules[direction]:
                if index in matching[direction] and index not in needed[direction]:
                    yield Unneeded(policy.ref, OTHER_RULES, direction, index, policy.origin)

    def _needed(self, policy: Policy, number: int, direction: Direction) -> tuple[set[int | None], set[int]]:
        """The rules that allow what nothing else does, and those that match anything at all.

        None is among the first if only this policy isolates some pod.
        """
        found: set[int | None] = set()
        matching: set[int] = set()
        rules = policy.rules(direction)
        cluster, indexes = self._evaluation.cluster, range(len(rules or ()))
        for subject, isolating in self._subjects(policy, direction) if rules is not None else ():
            if isolating == (number,):
                found.add(None)
            if found.issuperset(indexes):
                continue
            ports = representatives(cluster, [cluster.policies[each] for each in isolating])
            for port, family in product(ports, self._states.families):
                table = self._evaluation.table(*port, family)
                allowed = 0
                for other in isolating:
                    if other != number:
                        allowed |= self._peers(table, (direction, other, None), subject)
                for index in indexes:
                    own = self._peers(table, (direction, number, index), subject)
                    if own:
                        matching.add(index)
                    if own & ~allowed:
                        found.add(index)
                    allowed |= own
        return found, matching

    def _subjects(self, policy: Policy, direction: Direction) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each subject with all policies that isolate it; one for those that nothing tells apart here."""
        seen: set[object] = set()
        of_group = self._evaluation.applying[direction].of_group
        for subject in unpack(self._evaluation.universe.subjects(policy) & self._states.pods):
            selecting = (number for segment in of_group[subject].segments for number in segment.numbers)
            isolating = tuple(each for each in selecting if self._isolates(each))
            pod = self._evaluation.groups[subject].sample.pod
            ports = frozenset(pod.ports) if pod is not None and direction is Direction.INGRESS else None
            if (isolating, ports) not in seen:
                seen.add((isolating, ports))
                yield subject, isolating

    def _isolates(self, number: int) -> bool:
        return number not in self._gone and self._evaluation.cluster.policies[number].kind == NETWORK_POLICY

    def _peers(self, table: Table, what: tuple[Direction, int, int | None], subject: int) -> int:
        """The peers that a policy, or a rule of it, allows for a subject."""
        key = (table, what)
        if key not in self._opened:
            self._opened[key] = table.opened(*what)
        bits = 0
        for subjects, peers in self._opened[key]:
            if subjects >> subject & 1:
                bits |= peers
        return bits & (self._states.pods | self._states.outside)
