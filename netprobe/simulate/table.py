"""The reachability of all groups on one port in one address family, as rows of bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict, together
from netprobe.simulate.applying import Applying
from netprobe.simulate.bits import Weights, pack, transposed, uncollected
from netprobe.simulate.groups import EndGroup, Member, Places
from netprobe.simulate.profile import Treatment
from netprobe.simulate.rows import DirectionRows, Matched, Rows
from netprobe.simulate.universe import Universe


@dataclass(frozen=True, slots=True)
class Context:
    """What all tables of an evaluation share."""

    universe: Universe
    places: Places
    applying: Mapping[Direction, Applying]


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Ordered pairs of different ends, at least one of them a pod, by verdict."""

    allow: int
    deny: int
    unknown: int


class Table:
    """All verdicts on (port, protocol, family); None as the family is for ends without an address.

    Making one costs the rules of all policies times a set operation, and as many for each distinct
    combination of policies that selects a group; nothing depends on the number of pairs. A set operation is
    linear in the number of groups, 64 of them a step.
    """

    def __init__(self, context: Context, port: int, protocol: Protocol, family: Family | None) -> None:
        self.port, self.protocol, self.family = port, protocol, family
        self._universe, self._places, self._applying = context.universe, context.places, context.applying
        self._groups, self._where = self._universe.groups, self._places.groups
        self._no_family = frozenset(each.index for each in self._groups if not each.has_family(family))
        self._special = self._no_family.union(each.index for each in self._groups if each.sample.pod is None)

    @cached_property
    def _rows(self) -> Mapping[Direction, DirectionRows]:
        port = self.port, self.protocol, self.family
        with uncollected():
            return {
                direction: DirectionRows(applying, *port) for direction, applying in self._applying.items()
            }

    @cached_property
    def _egress(self) -> Rows:
        return self._rows[Direction.EGRESS].rows

    @cached_property
    def _ingress(self) -> Rows:
        return self._rows[Direction.INGRESS].rows

    def verdict(self, source: Member, destination: Member) -> Verdict:
        """The verdict on one pair; UNKNOWN without the family, KeyError for unknown ends."""
        one, other = self._where[source], self._where[destination]
        if one in self._special or other in self._special or self._unplaced:
            return self._special_verdict(source, destination)
        row = self._egress[one]
        if row is None or row >> other & 1:
            row = self._ingress[other]
            if row is None or row >> one & 1:
                return Verdict.ALLOW
        return Verdict.ALLOW if one == other and self._itself(source, destination) else Verdict.DENY

    def _special_verdict(self, source: Member, destination: Member) -> Verdict:
        """The verdict if an end lacks the family, is outside, or is on its node's network."""
        one, other = self._where[source], self._where[destination]
        if one in self._no_family or other in self._no_family:
            return Verdict.UNKNOWN
        if self._groups[one].external and self._groups[other].external:
            return Verdict.UNKNOWN
        if self._itself(source, destination):
            return Verdict.ALLOW
        return together(
            self._side(Direction.EGRESS, one, other, exempt=self._leaves_to_node(source, other)),
            self._side(Direction.INGRESS, other, one, exempt=self._comes_from_node(one, destination)),
        )

    @cached_property
    def _unplaced(self) -> bool:
        """Whether the place of some tier is not known."""
        return any(rows.unknown for rows in self._rows.values())

    def _side(self, direction: Direction, subject: int, peer: int, *, exempt: bool) -> Verdict:
        """The verdict of one side. `exempt`: its policies do not count."""
        rows = self._rows[direction]
        row = rows.rows[subject]
        if row is None or exempt:
            return Verdict.ALLOW
        if rows.unknown >> subject & 1:
            return Verdict.UNKNOWN
        return Verdict.ALLOW if row >> peer & 1 else Verdict.DENY

    def undefined(self, source: Member, destination: Member) -> bool:
        """Whether the verdict on a pair depends on what the policy APIs leave to the implementation."""
        one, other = self._where[source], self._where[destination]
        leaving = self._applying[Direction.EGRESS].selects(one)
        arriving = self._applying[Direction.INGRESS].selects(other)
        if not (leaving or arriving) or self._itself(source, destination):
            return False
        if any(self._groups[index].sample.host is not None for index in (one, other)):
            return True
        if leaving and self._places.resolve(source) in self._universe.pods_on(other):
            return True
        return self._doubtful(source, destination)

    def _doubtful(self, source: Member, destination: Member) -> bool:
        """Whether the sides that decide may decide otherwise elsewhere."""
        if not any(rows.possible for rows in self._rows.values()):
            return False
        one, other = self._where[source], self._where[destination]
        verdict = self.verdict(source, destination)
        egress = self._side(Direction.EGRESS, one, other, exempt=self._leaves_to_node(source, other))
        arrives = self._comes_from_node(one, destination)
        ingress = self._side(Direction.INGRESS, other, one, exempt=arrives)
        found = []
        if egress is verdict:
            found.append(self._may_differ(Direction.EGRESS, one, other))
        if ingress is verdict:
            found.append(not arrives and self._may_differ(Direction.INGRESS, other, one))
        return any(found) if verdict is Verdict.ALLOW else verdict is Verdict.DENY and all(found)

    def _may_differ(self, direction: Direction, subject: int, peer: int) -> bool:
        rows = self._rows[direction]
        if subject not in rows.possible:
            return False
        may, may_not = rows.possible[subject]
        row = rows.rows[subject] or 0
        return bool((may_not if row >> peer & 1 else may) >> peer & 1)

    def _itself(self, source: Member, destination: Member) -> bool:
        """A pod to its own address."""
        return self._places.resolve(source) == self._places.resolve(destination)

    def counts(self) -> PairCounts:
        """All ordered pairs, counted without being made. Costs the groups times a set operation."""
        egress, ingress = self._rows[Direction.EGRESS], self._rows[Direction.INGRESS]
        heard = [each for each in self._groups if each.index not in self._no_family]
        passing = self._passing(heard, egress.rows, ingress.rows)
        allow, undecided = self._despite_rows()
        if self._unplaced:
            undecided += self._passing(heard, egress.at_most, ingress.at_most) - passing
        allow += passing
        known = _ordered_pairs(heard) - undecided
        return PairCounts(allow, known - allow, _ordered_pairs(self._groups) - known)

    def _passing(self, heard: Sequence[EndGroup], leaving: Rows, entering: Rows) -> int:
        """The pairs of members of these groups that both rows let pass.

        Egress rows are transposed only if they have some groups and not all, and only for destinations that
        let anybody in.
        """
        size, everything = len(self._groups), self._universe.everything
        weights = Weights([each.size for each in self._groups])
        speaking = pack((each.index for each in heard), size)
        inside = pack((each.index for each in heard if not each.external), size)
        free = pack((each.index for each in heard if leaving[each.index] is None), size)
        some = {each.index: row for each in heard if (row := leaving[each.index])}
        entered = [each for each in heard if entering[each.index] != 0]
        found = transposed(some, pack((each.index for each in entered), size), size)
        passing = 0
        for each in entered:
            row = entering[each.index]
            row = (free | found.get(each.index, 0)) & (everything if row is None else row)
            row &= inside if each.external else speaking
            itself = row >> each.index & 1  # a pod to itself is not counted
            passing += each.size * (weights.total(row) - itself)
        return passing

    def reached(self, group: int) -> int:
        """The groups that a group reaches, as bits, its own node left aside."""
        return self.arriving(group) & self.leaving(group)

    def undecided(self, group: int) -> int:
        """The groups of which it is not known whether a group reaches them: a tier has no place."""
        if not self._unplaced:
            return 0
        egress, ingress = self._rows[Direction.EGRESS].unknown, self._rows[Direction.INGRESS].unknown
        leaving = self._universe.everything if egress >> group & 1 else self.leaving(group)
        return leaving & (self.arriving(group) | ingress) & ~self.reached(group)

    def undefined_groups(self, group: int) -> int:
        """The groups for which it depends on the implementation whether a group reaches them, as bits."""
        if not any(rows.possible for rows in self._rows.values()):
            return 0
        leaving, arriving = self.leaving(group), self.arriving(group)
        out, back = self._differing(Direction.EGRESS, group), self._differing_arrivals[group]
        allowed = leaving & arriving
        denied = self._universe.everything & ~(allowed | self.undecided(group))
        return allowed & (out | back) | denied & (leaving | out) & (arriving | back)

    def _differing(self, direction: Direction, subject: int) -> int:
        """The peers for which one side may decide otherwise elsewhere, as bits."""
        rows = self._rows[direction]
        may, may_not = rows.possible.get(subject, (0, 0))
        row = rows.rows[subject] or 0
        return row & may_not | ~row & may

    @cached_property
    def _differing_arrivals(self) -> dict[int, int]:
        """For each source, the groups whose ingress may decide otherwise elsewhere."""
        size = len(self._groups)
        subjects = self._rows[Direction.INGRESS].possible
        rows = {subject: self._differing(Direction.INGRESS, subject) for subject in subjects}
        return transposed(rows, self._universe.everything, size)

    def leaving(self, group: int) -> int:
        """The groups that the egress policies of a group let it reach, as bits."""
        row = self._egress[group]
        return self._universe.everything if row is None else row

    def entering(self, group: int) -> int:
        """The groups that the ingress policies of a group let in, as bits."""
        row = self._ingress[group]
        return self._universe.everything if row is None else row

    def arriving(self, group: int) -> int:
        """The groups whose ingress policies let a group in, as bits."""
        return self._arriving[group]

    @cached_property
    def _arriving(self) -> Mapping[int, int]:
        """For each source, the groups whose ingress lets it in: the transposed ingress rows."""
        rows = {index: self.entering(index) for index in range(len(self._groups))}
        return transposed(rows, self._universe.everything, len(rows))

    def _despite_rows(self) -> tuple[int, int]:
        """What a node and the pods on it add to the counts by rows: to those that pass, and the undecided."""
        allow = undecided = 0
        for node in (each for each in self._groups if each.sample.pod is None):
            for ref in self._universe.pods_on(node.index):
                for member in node.members:
                    for source, destination in ((member, ref), (ref, member)):
                        one, other = self._where[source], self._where[destination]
                        if self.verdict(source, destination) is Verdict.ALLOW:
                            allow += not self.reached(one) >> other & 1
                            undecided -= self.undecided(one) >> other & 1
        return allow, undecided

    def _comes_from_node(self, one: int, destination: Member) -> bool:
        """Ingress is allowed "if the traffic source is the pod's local node" (types.go)."""
        return self._places.resolve(destination) in self._universe.pods_on(one)

    def _leaves_to_node(self, source: Member, other: int) -> bool:
        if self._universe.profile.own_node is Treatment.POLICIES:
            return False
        return self._places.resolve(source) in self._universe.pods_on(other)

    def opened(self, direction: Direction, number: int, index: int | None = None) -> list[Matched]:
        """What a policy, or one rule of it, allows: pairs (subjects, peers) of sets of groups."""
        return self._rows[direction].opened(number, index)


def _ordered_pairs(groups: Iterable[EndGroup]) -> int:
    """The ordered pairs of different ends, at least one of them a pod."""
    pods = outside = 0
    for each in groups:
        pods, outside = (pods, outside + 1) if each.external else (pods + each.size, outside)
    return pods * (pods - 1) + 2 * pods * outside
