"""What differs between two states on one port in one family: for each group, as bits.

Theory of operation. A pair passes where the source's egress row has the destination and the destination's
ingress row has the source. A change of some policies touches the rows of their subjects alone, so nearly all
rows are the same in both states. For a source whose egress is touched the ingress columns of all are turned;
for the others only those of the touched destinations. No pair is looked at by itself.

A verdict that stays may still have another reason. A flow is allowed by the policies that let it pass, on
both sides; it is denied by those that isolate the sides that deny (`Decision.because`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.impact.port import Asked
from netprobe.impact.states import State, States
from netprobe.model.flow import Family
from netprobe.model.policy import Direction, Policy, PolicyRef
from netprobe.simulate.bits import pack, turned, unpack
from netprobe.simulate.table import Table


@dataclass(frozen=True, slots=True)
class Delta:
    """The destinations of one source whose flows open, close, or stay as they are for another reason.

    A pod that is alone in its group is not left out of its own, though nothing keeps a pod from itself: so
    it stays alike to others, and who counts leaves it out.
    """

    opens: int = 0
    closes: int = 0
    reasons: int = 0

    def __and__(self, bits: int) -> Delta:
        return Delta(self.opens & bits, self.closes & bits, self.reasons & bits)

    def __or__(self, other: Delta) -> Delta:
        return Delta(self.opens | other.opens, self.closes | other.closes, self.reasons | other.reasons)

    def both(self, other: Delta) -> Delta:
        return Delta(self.opens & other.opens, self.closes & other.closes, self.reasons & other.reasons)

    def __bool__(self) -> bool:
        return bool(self.opens or self.closes or self.reasons)


class Reach(Table):
    """A table whose rows can be compared with those of another state."""

    def __init__(self, state: State, port: Asked, family: Family | None) -> None:
        super().__init__(state.ground, *port, family)
        everything = state.universe.everything
        self.rows = {
            direction: [everything if row is None else row for row in rows]
            for direction, rows in ((Direction.EGRESS, self._egress), (Direction.INGRESS, self._ingress))
        }


@dataclass(slots=True)
class _Side:
    """What is touched in one direction: rows, reasons to allow, and who isolates."""

    old: list[int]
    new: list[int]
    why: dict[int, int]  # for a group, the peers that other policies than before let pass
    isolated: set[int]  # groups that are isolated by other policies than before
    touched: int = 0


class Deltas:
    """Subtracts the two states, one port and family at a time."""

    def __init__(self, states: States) -> None:
        self._states = states
        self._size = len(states.groups)
        self._speaking: dict[Family | None, int] = {}
        self._differing = {direction: list(_differing(states, direction)) for direction in Direction}

    def at(self, port: Asked, family: Family | None) -> dict[int, Delta]:
        """The delta of each source that has one."""
        states = self._states
        if family not in self._speaking:
            self._speaking[family] = states.speaking(family)
        mask = self._speaking[family]
        old, new = (Reach(state, port, family) for state in (states.old, states.new))
        egress, ingress = (
            self._side(old, new, direction) for direction in (Direction.EGRESS, Direction.INGRESS)
        )
        if not (egress.touched | ingress.touched):
            return {}
        arriving = self._arriving(egress, ingress, mask)
        found: dict[int, Delta] = {}
        for source in unpack(mask):
            own = 1 << source
            others = mask & states.ordinary if states.outside & own else mask
            seen = others if egress.touched & own else others & ingress.touched
            if seen and (delta := self._delta(source, egress, arriving, seen)):
                found[source] = delta
        return found

    def _side(self, old: Reach, new: Reach, direction: Direction) -> _Side:
        side = _Side(old.rows[direction], new.rows[direction], defaultdict(int), set())
        rows = zip(side.old, side.new, strict=True)
        touched = {index for index, (one, other) in enumerate(rows) if one != other}
        for one, other in self._differing[direction]:
            before, after = (_allowed(*each, direction) for each in ((old, one), (new, other)))
            subjects_old, subjects_new = (subjects for _, subjects in (one or (0, 0), other or (0, 0)))
            for index in unpack((subjects_old | subjects_new) & self._states.ordinary):
                own = 1 << index
                let_before = _row(before, own) if subjects_old & own else 0
                let_after = _row(after, own) if subjects_new & own else 0
                if let_before != let_after:
                    side.why[index] |= let_before ^ let_after
                if (subjects_old ^ subjects_new) & own:
                    side.isolated.add(index)
        side.touched = pack(touched | side.why.keys() | side.isolated, self._size)
        return side

    def _arriving(self, egress: _Side, ingress: _Side, mask: int) -> _Arriving:
        """Turned by 90 degrees: all destinations for touched sources, touched destinations for all."""
        everywhere = list(unpack(mask))
        touched = list(unpack(mask & ingress.touched))
        near, far = mask & egress.touched, mask & ~egress.touched
        old, new = (
            {
                **turned({index: rows[index] for index in everywhere}, near, self._size),
                **turned({index: rows[index] for index in touched}, far, self._size),
            }
            for rows in (ingress.old, ingress.new)
        )
        why = turned(ingress.why, mask, self._size)
        return _Arriving(old, new, why, pack(ingress.isolated, self._size))

    @staticmethod
    def _delta(source: int, egress: _Side, arriving: _Arriving, seen: int) -> Delta:
        leaves_old, leaves_new = egress.old[source], egress.new[source]
        arrives_old, arrives_new = arriving.old.get(source, 0), arriving.new.get(source, 0)
        before, after = leaves_old & arrives_old, leaves_new & arrives_new
        other_way = egress.why.get(source, 0) | arriving.why.get(source, 0)
        sides = (leaves_old ^ leaves_new) | (arrives_old ^ arrives_new)
        walls = arriving.isolated & ~(arrives_old | arrives_new)
        if source in egress.isolated:
            walls |= ~(leaves_old | leaves_new)
        reasons = (before & after & other_way) | (~(before | after) & (sides | walls))
        return Delta(after & ~before & seen, before & ~after & seen, reasons & seen)


@dataclass(frozen=True, slots=True)
class _Arriving:
    """For each source: the destinations that let it in before and after, and those with other reasons."""

    old: Mapping[int, int]
    new: Mapping[int, int]
    why: Mapping[int, int]
    isolated: int


Numbered = tuple[int, int]
"""A policy's index in its state, and its subjects as bits."""


def _differing(states: States, direction: Direction) -> Iterator[tuple[Numbered | None, Numbered | None]]:
    """The policies that do not say the same in both states, by their place in each."""
    old, new = (_numbered(state, direction) for state in (states.old, states.new))
    for ref in dict.fromkeys((*old, *new)):
        before, after = old.get(ref), new.get(ref)
        if states.relabelled or before is None or after is None or before[0] != after[0]:
            yield before and before[1], after and after[1]


def _numbered(state: State, direction: Direction) -> dict[PolicyRef, tuple[Policy, Numbered]]:
    return {
        policy.ref: (policy, (number, state.universe.subjects(policy)))
        for number, policy in enumerate(state.policies)
        if policy.rules(direction) is not None
    }


def _allowed(reach: Reach, numbered: Numbered | None, direction: Direction) -> list[tuple[int, int]]:
    return reach.opened(direction, numbered[0]) if numbered is not None else []


def _row(opened: list[tuple[int, int]], subject: int) -> int:
    bits = 0
    for subjects, peers in opened:
        if subjects & subject:
            bits |= peers
    return bits
