"""What a declaration asks of policies, by kinds of pods, as bits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from netprobe.generate.asked import MOST_REFUSED, Asked, Asks, Piece, PortNumber, Refusal
from netprobe.generate.declared import Declared
from netprobe.generate.odds import at_odds
from netprobe.generate.reading import Reading
from netprobe.generate.space import Space
from netprobe.model.cluster import Cluster
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import pack, turned, unpack

NamedPeers: TypeAlias = Mapping[int, frozenset[Direction]]
"""For a row the directions in which it names its peers as themselves: for ingress its sources."""


@dataclass(frozen=True, slots=True)
class Opening:
    """With whom a subject may talk on a port, as bits; `named`: those whom a row names as themselves."""

    peers: int = 0
    named: int = 0


Openings: TypeAlias = Mapping[PortNumber, Opening]


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked, by crowds as declared, and by kinds as policies can tell them apart."""

    space: Space
    crowds: Asks
    kinds: Asks

    def openings(self, direction: Direction, named: NamedPeers) -> Mapping[int, dict[PortNumber, Opening]]:
        """What each kind or host may do in a direction."""
        found: dict[int, dict[PortNumber, Opening]] = defaultdict(dict)
        everybody = (1 << self.space.size) - 1
        for port, targets in self.kinds.items():
            peers = {target: asked.allow for target, asked in targets.items() if asked.allow}
            narrow = {target: _named(targets[target], direction, named) for target in peers}
            if direction is Direction.EGRESS:
                peers = turned(peers, everybody, self.space.size)
                narrow = turned(narrow, everybody, self.space.size)
            for subject, bits in peers.items():
                if bits:
                    found[subject][port] = Opening(bits, narrow.get(subject, 0))
        return found

    def callers(self, subject: int, openings: Openings) -> set[int | None]:
        """The rows by which a subject may be reached as these openings say."""
        return {
            piece.row
            for port, opening in openings.items()
            if subject in self.kinds[port]
            for piece in self.kinds[port][subject].pieces
            if piece.verdict is Verdict.ALLOW and piece.sources & opening.peers
        }

    def calls(self) -> Mapping[int, list[tuple[int | None, PortNumber, int]]]:
        """For each source the rows by which it reaches others: (row, port, destinations as bits)."""
        alike: dict[tuple[int | None, PortNumber, int], list[int]] = defaultdict(list)
        for port, targets in self.kinds.items():
            for target, asked in targets.items():
                for piece in asked.pieces:
                    if piece.verdict is Verdict.ALLOW:
                        alike[piece.row, port, piece.sources].append(target)
        found: dict[int, list[tuple[int | None, PortNumber, int]]] = defaultdict(list)
        for (row, port, sources), members in alike.items():
            bits = pack(members, self.space.size)
            for source in unpack(sources):
                found[source].append((row, port, bits))
        return found

    def between(self, verdict: Verdict) -> Counter[tuple[str | None, str | None]]:
        """How many pairs of kinds and ports have a verdict, by namespaces; None for outside."""
        spaces: list[tuple[str | None, int]] = [(None, self.space.outside), *self.space.namespaces.items()]
        home: dict[int, str | None] = {kind.bit: kind.namespace for kind in self.space.kinds}
        counted: dict[int, Counter[str | None]] = {}
        found: Counter[tuple[str | None, str | None]] = Counter()
        for targets in self.kinds.values():
            for target, asked in targets.items():
                bits = asked.allow if verdict is Verdict.ALLOW else asked.deny
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


def _named(asked: Asked, direction: Direction, named: NamedPeers) -> int:
    bits = 0
    for piece in asked.pieces:
        if piece.row is not None and piece.verdict is Verdict.ALLOW and direction in named.get(piece.row, ()):
            bits |= piece.sources
    return bits


def demand(declared: Declared, cluster: Cluster) -> tuple[Demand, tuple[Refusal, ...]]:
    """The demand of a declared matrix, and why no policies can meet it: of each reason the first of many."""
    reading = Reading(declared, cluster)
    kinds: dict[PortNumber, dict[int, Asked]] = {}
    for port, targets in reading.asks.items():
        of_port = kinds[port] = {}
        for target, asked in targets.items():
            known = of_port.setdefault(reading.space.bit(target), Asked())
            for piece in asked.pieces:
                sources = reading.space.known(piece.sources)
                known.add(Piece(piece.row, piece.verdict, sources, piece.toward, piece.port))
    refusals = (*reading.refusals[:MOST_REFUSED], *islice(at_odds(kinds, reading), MOST_REFUSED))
    return Demand(reading.space, reading.asks, kinds), refusals
