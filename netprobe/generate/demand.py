"""What a declaration demands of policies: who must reach whom, and who must not. Sets are bits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.generate.declared import Share
from netprobe.generate.space import Space
from netprobe.model.flow import Flow, Protocol
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import pack, transposed, unpack

PortNumber: TypeAlias = tuple[int, Protocol]

Closed: TypeAlias = frozenset[tuple[str, Direction]]
"""The namespaces that get a default deny, each with the direction."""
MOST_REFUSED = 20  # of each class; who reads more?


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no policies can do what is declared. `flows` are the declared flows in conflict.

    `rows` are the rows that declare them, by their numbers; None for the default.
    """

    reason: str
    flows: tuple[Flow, ...]
    rows: tuple[int | None, ...] = ()


@dataclass(slots=True)
class TargetDemand:
    """What must reach one destination on one port, and what must not: sources, as bits."""

    allow: int = 0
    deny: int = 0
    rows: list[Share] = field(default_factory=list)

    def add(self, part: Share) -> None:
        self.rows.append(part)
        if part.verdict is Verdict.ALLOW:
            self.allow |= part.sources
        else:
            self.deny |= part.sources


Demands: TypeAlias = Mapping[PortNumber, dict[int, TargetDemand]]
"""By port and destination."""


NamedPeers: TypeAlias = Mapping[int, frozenset[Direction]]
"""For each row the directions in which it names its peers exactly, not by a glob.

The peers for ingress are the sources of the row. A namespace may not replace exactly named pods in a rule.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The peers of a subject on a port, as bits; `named`: those that a row names exactly."""

    peers: int = 0
    named: int = 0


Openings: TypeAlias = Mapping[PortNumber, Opening]


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything that is demanded, by the crowds of the declaration, and by classes for policies."""

    space: Space
    crowds: Demands
    classes: Demands

    def openings(self, direction: Direction, named: NamedPeers) -> Mapping[int, dict[PortNumber, Opening]]:
        """What each class or host may do in a direction."""
        found: dict[int, dict[PortNumber, Opening]] = defaultdict(dict)
        everybody = (1 << self.space.size) - 1
        for port, targets in self.classes.items():
            peers = {target: demanded.allow for target, demanded in targets.items() if demanded.allow}
            narrow = {target: _named(targets[target], direction, named) for target in peers}
            if direction is Direction.EGRESS:
                peers = transposed(peers, everybody, self.space.size)
                narrow = transposed(narrow, everybody, self.space.size)
            for subject, bits in peers.items():
                if bits:
                    found[subject][port] = Opening(bits, narrow.get(subject, 0))
        return found

    def callers(self, subject: int, openings: Openings) -> set[int | None]:
        """The rows that allow these openings to a subject."""
        return {
            part.row
            for port, opening in openings.items()
            if subject in self.classes[port]
            for part in self.classes[port][subject].rows
            if part.verdict is Verdict.ALLOW and part.sources & opening.peers
        }

    def calls(self) -> Mapping[int, list[tuple[int | None, PortNumber, int]]]:
        """For each source the rows that allow its flows: (row, port, destinations as bits)."""
        alike: dict[tuple[int | None, PortNumber, int], list[int]] = defaultdict(list)
        for port, targets in self.classes.items():
            for target, demanded in targets.items():
                for part in demanded.rows:
                    if part.verdict is Verdict.ALLOW:
                        alike[part.row, port, part.sources].append(target)
        found: dict[int, list[tuple[int | None, PortNumber, int]]] = defaultdict(list)
        for (row, port, sources), members in alike.items():
            bits = pack(members, self.space.size)
            for source in unpack(sources):
                found[source].append((row, port, bits))
        return found

    def between(self, verdict: Verdict) -> Counter[tuple[str | None, str | None]]:
        """The number of pairs of classes and ports with a verdict, by namespaces; None for outside."""
        spaces: list[tuple[str | None, int]] = [(None, self.space.outside), *self.space.namespaces.items()]
        home: dict[int, str | None] = {pod_class.bit: pod_class.namespace for pod_class in self.space.classes}
        counted: dict[int, Counter[str | None]] = {}
        found: Counter[tuple[str | None, str | None]] = Counter()
        for targets in self.classes.values():
            for target, demanded in targets.items():
                bits = demanded.allow if verdict is Verdict.ALLOW else demanded.deny
                if bits not in counted:
                    counted[bits] = (
                        Counter(home.get(source) for source in unpack(bits))
                        if bits.bit_count() < len(spaces)
                        else Counter({name: (bits & mask).bit_count() for name, mask in spaces})
                    )
                for name, number in counted[bits].items():
                    if number:
                        found[name, home.get(target)] += number
        return found


def _named(demanded: TargetDemand, direction: Direction, named: NamedPeers) -> int:
    bits = 0
    for part in demanded.rows:
        if part.row is not None and part.verdict is Verdict.ALLOW and direction in named.get(part.row, ()):
            bits |= part.sources
    return bits
