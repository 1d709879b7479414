"""The rows of a comparison as cells: by name, with what decides them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from netprobe.diff import Row
from netprobe.model.verdict import Cause, Decision, Side
from netprobe.report.graph.record import Cell, Clause, Named, Part, Party, Why

Cite: TypeAlias = Callable[[Cause], Clause]


class Citing:
    """Decisions to `Why`; equal sides and equal pairs of sides become one object."""

    def __init__(self, cite: Cite) -> None:
        self._cite = cite
        self._parts: dict[Side, Part] = {}
        self._whys: dict[tuple[int, int], Why] = {}

    def why(self, decision: Decision) -> Why:
        """Of a flow to a Service, what decides for any of its backends."""
        if decision.backends:
            parts = [self.why(one) for _, one in decision.backends]
            return Why(
                _joined(one.egress for one in parts), _joined(one.ingress for one in parts), told=False
            )
        egress, ingress = self._part(decision.egress), self._part(decision.ingress)
        return self._whys.setdefault((id(egress), id(ingress)), Why(egress, ingress))

    def _part(self, side: Side) -> Part:
        part = self._parts.get(side)
        if part is None:
            isolating, allowing = (
                tuple(dict.fromkeys(map(self._cite, causes))) for causes in (side.isolating, side.allowing)
            )
            part = self._parts[side] = Part(isolating, allowing)
        return part


NAMED = {None: Named.NOT, "default": Named.NOT, "pattern": Named.WIDE, "row": Named.EXACTLY}
"""By what a suite declares a flow, as reports write it."""


def of_rows(rows: Iterable[Row], cite: Cite) -> Iterator[Cell]:
    """A cell for each row."""
    citing = Citing(cite)
    for row in rows:
        flow, decision = row.flow, row.decision
        yield Cell(
            Party.of(flow.source),
            Party.of(flow.destination),
            flow.port,
            flow.protocol,
            flow.family,
            row.declared,
            row.simulated,
            row.observed,
            row.mismatches,
            NAMED[row.declared_by],
            citing.why(decision) if decision else None,
            row.reason or (decision.reason if decision else None),
        )


def _joined(parts: Iterable[Part]) -> Part:
    held = list(parts)
    return Part(
        tuple(dict.fromkeys(clause for part in held for clause in part.isolating)),
        tuple(dict.fromkeys(clause for part in held for clause in part.allowing)),
    )
