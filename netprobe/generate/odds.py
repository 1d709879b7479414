"""Flows that are declared differently, and that no policy can treat so."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.generate.asked import Asks, Piece, PortNumber, Refusal
from netprobe.generate.reading import Reading
from netprobe.generate.space import Kind, Shown
from netprobe.model.flow import End, External, Flow, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import unpack


def at_odds(kinds: Asks, reading: Reading) -> Iterator[Refusal]:
    """Pairs of kinds whose pods are declared differently."""
    space = reading.space
    for port, targets in kinds.items():
        for target, asked in targets.items():
            for source in unpack(asked.allow & asked.deny):
                flows = []
                for verdict in (Verdict.ALLOW, Verdict.DENY):
                    piece = next(
                        piece
                        for piece in asked.pieces
                        if piece.verdict is verdict and piece.sources >> source & 1
                    )
                    flows.append((piece, _sample(reading, piece, (source, target), port)))
                (one, allowed), (other, denied) = flows
                ends = (space.kind_at.get(source), space.kind_at.get(target))
                reason = _same(ends, allowed, denied)
                yield Refusal(reason, (allowed, denied), (one.row, other.row))


def _sample(reading: Reading, piece: Piece, ends: tuple[int, int], port: PortNumber) -> Flow:
    """A declared flow of a piece, from a pod of one kind to one of another."""
    space, crowds, of_port = reading.space, reading.declared.crowds, reading.asks[port]
    source, target = ends
    pairs = (
        (one, other)
        for place in unpack(space.members(target))
        for own in (of_port[place].pieces if place in of_port else ())
        if (own.row, own.verdict, own.toward) == (piece.row, piece.verdict, piece.toward)
        for crowd in unpack(own.sources & space.members(source))
        for one in crowds[crowd]
        for other in crowds[own.toward]
    )
    first = next(pairs)
    # A pod and itself only where it is the one pod behind an address or a Service.
    one, other = next((ends for ends in (first, *pairs) if ends[0] != ends[1]), first)
    return reading.flow(one, other, piece.port, port[1])


def _same(ends: tuple[Kind | None, Kind | None], allowed: Flow, denied: Flow) -> str:
    """The sentence that names the pods that no policy can tell apart."""
    pairs = ((allowed.source, denied.source), (allowed.destination, denied.destination))
    alike = [
        f"{_name(one)} and {_name(other)} of {kind.namespace} have the same labels ({_labels(kind.labels)})"
        for kind, (one, other) in zip(ends, pairs, strict=True)
        if kind is not None and one != other
    ]
    reason = " and ".join(alike) or "two rows speak about the same pods"
    return f"{reason}: no policy can allow {allowed} and deny {denied}"


def _name(end: End) -> str:
    return str(end) if isinstance(end, External | ServiceRef) else end.name


def _labels(labels: Shown) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels) or "none"
