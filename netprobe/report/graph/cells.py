"""The rows of a comparison as cells: ends by name, with the reasons of the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from netprobe.diff import Row
from netprobe.explain.why import path
from netprobe.model.policy import Policy
from netprobe.model.verdict import Cause, Decision, Side
from netprobe.report.graph.elements import Cell, Clause, EndName, Reasons, SideReasons

Cite: TypeAlias = Callable[[Cause], Clause]


def citer(policies: Iterable[Policy]) -> Cite:
    """Causes to clauses, with file and line if the policy came from a file."""
    known = {policy.ref: policy for policy in policies}

    def cite(cause: Cause) -> Clause:
        policy, at = known.get(cause.policy), path(cause)
        place = str(policy.origin.place(at)) if policy is not None and policy.origin is not None else None
        return Clause(str(cause.policy), at, place)

    return cite


class ReasonsOf:
    """Decisions to reasons. Equal reasons are one object: `grouping` compares identities."""

    def __init__(self, cite: Cite) -> None:
        self._cite = cite
        self._sides: dict[Side, SideReasons] = {}
        self._reasons: dict[tuple[int, int], Reasons] = {}

    def __call__(self, decision: Decision) -> Reasons:
        """For a flow to a Service: what decides for any of its backends."""
        if decision.backends:
            backends = [self(one) for _, one in decision.backends]
            egress, ingress = (_joined(b.egress for b in backends), _joined(b.ingress for b in backends))
            return Reasons(egress, ingress, complete=False)
        egress, ingress = self._side(decision.egress), self._side(decision.ingress)
        return self._reasons.setdefault((id(egress), id(ingress)), Reasons(egress, ingress))

    def _side(self, side: Side) -> SideReasons:
        found = self._sides.get(side)
        if found is None:
            isolating, allowing = (
                tuple(dict.fromkeys(map(self._cite, causes))) for causes in (side.isolating, side.allowing)
            )
            found = self._sides[side] = SideReasons(isolating, allowing)
        return found


def _joined(sides: Iterable[SideReasons]) -> SideReasons:
    held = list(sides)
    return SideReasons(
        tuple(dict.fromkeys(clause for side in held for clause in side.isolating)),
        tuple(dict.fromkeys(clause for side in held for clause in side.allowing)),
    )


def cells_of_rows(rows: Iterable[Row], cite: Cite) -> Iterator[Cell]:
    """A cell for each row."""
    reasons_of = ReasonsOf(cite)
    for row in rows:
        flow, decision = row.flow, row.decision
        yield Cell(
            EndName.of(flow.source),
            EndName.of(flow.destination),
            flow.port,
            flow.protocol,
            flow.family,
            row.declared,
            row.simulated,
            row.observed,
            row.mismatches,
            row.declared_by,
            reasons_of(decision) if decision else None,
            row.reason or (decision.reason if decision else None),
        )
