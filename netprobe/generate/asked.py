"""What is asked of policies, piece by piece: who must reach a destination on a port, and who must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.model.flow import Flow, Protocol
from netprobe.model.verdict import Verdict

PortNumber: TypeAlias = tuple[int, Protocol]
MOST_REFUSED = 20  # of each kind; who reads more?


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a declaration cannot be had from policies; `flows` are the declared flows at odds.

    `rows` are the rows that declare them, by their numbers; None for the default.
    """

    reason: str
    flows: tuple[Flow, ...]
    rows: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of what is asked of one destination on one port: what a row says of some sources.

    `toward` is the crowd that the row speaks of: the destination, or the Service in front of it.
    """

    row: int | None
    verdict: Verdict
    sources: int
    toward: int
    port: int


@dataclass(slots=True)
class Asked:
    """What must pass, and what must not, to one destination on one port: sources, as bits."""

    allow: int = 0
    deny: int = 0
    pieces: list[Piece] = field(default_factory=list)

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if piece.verdict is Verdict.ALLOW:
            self.allow |= piece.sources
        else:
            self.deny |= piece.sources


Asks: TypeAlias = Mapping[PortNumber, dict[int, Asked]]
"""By port and destination."""
