"""Where cells come from: the rows of a comparison, or a saved report."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.diff import Row
from netprobe.model.policy import Direction
from netprobe.model.verdict import Cause, Decision, Effect, Side
from netprobe.report.graph.elements import EndName, GraphCell, Pairs, by_pair
from netprobe.report.saved import SavedFlow, SavedReport


class SharedSides:
    """Decisions to their two sides. Equal sides are one object: `grouping` and pages compare identities."""

    def __init__(self) -> None:
        self._known: dict[Side, Side] = {}
        self._pairs: dict[tuple[int, int], tuple[Side, Side]] = {}

    def of(self, decision: Decision) -> tuple[Side, Side]:
        """For a flow to a Service: what decides for any of its backends."""
        decisions = [one for _, one in decision.backends] or [decision]
        return self.shared(
            _joined(Direction.EGRESS, [one.egress for one in decisions]),
            _joined(Direction.INGRESS, [one.ingress for one in decisions]),
        )

    def shared(self, egress: Side, ingress: Side) -> tuple[Side, Side]:
        sides = self._known.setdefault(egress, egress), self._known.setdefault(ingress, ingress)
        return self._pairs.setdefault((id(sides[0]), id(sides[1])), sides)


def _joined(direction: Direction, sides: list[Side]) -> Side:
    if len(sides) == 1:
        return sides[0]
    return Side(
        direction,
        isolating=tuple(dict.fromkeys(cause for side in sides for cause in side.isolating)),
        allowing=tuple(dict.fromkeys(cause for side in sides for cause in side.allowing)),
        denying=tuple(dict.fromkeys(cause for side in sides for cause in side.denying)),
    )


def cells_of_rows(rows: Iterable[Row]) -> Pairs:
    """A cell for each row."""
    sides = SharedSides()
    return by_pair(
        (
            EndName.of(row.flow.source),
            EndName.of(row.flow.destination),
            GraphCell(
                row.flow.port,
                row.flow.protocol,
                row.flow.family,
                row.declared,
                row.simulated,
                row.observed,
                row.mismatches,
                row.declared_by,
                sides.of(row.decision) if row.decision else None,
                not (row.decision and row.decision.backends),
                row.reason or (row.decision.reason if row.decision else None),
            ),
        )
        for row in rows
    )


def cells_of_report(report: SavedReport, step: int) -> Pairs:
    """A cell for each flow of one step. A report has the causes that decide, and no others."""
    sides = SharedSides()
    return by_pair(
        (
            EndName.parse(flow.source),
            EndName.parse(flow.to),
            GraphCell(
                flow.port,
                flow.protocol,
                flow.family,
                flow.declared,
                flow.simulated,
                flow.observed,
                flow.mismatch,
                flow.declared_by,
                _saved_sides(flow, sides) if flow.simulated else None,
                complete=False,
                note=flow.reason,
            ),
        )
        for flow in report.flows
        if flow.step == step
    )


def _saved_sides(flow: SavedFlow, sides: SharedSides) -> tuple[Side, Side]:
    causes = [saved.cause() for saved in flow.because]
    return sides.shared(_side(Direction.EGRESS, causes), _side(Direction.INGRESS, causes))


def _side(direction: Direction, causes: Iterable[Cause]) -> Side:
    own = [one for one in causes if one.direction is direction]
    return Side(
        direction,
        isolating=tuple(one for one in own if one.effect in {Effect.ISOLATES, Effect.TIER_DEFAULT}),
        allowing=tuple(one for one in own if one.effect is Effect.ALLOWS),
        denying=tuple(one for one in own if one.effect is Effect.DENIES),
    )
