"""The steps of a report: what was declared, simulated and observed, compared and explained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netprobe.diff import FlowCounts, FlowStatus, Mismatch, Row, Why, compare
from netprobe.explain import explain
from netprobe.explain.why import blame
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.probe import Observed
from netprobe.run.moment import DeclaredBy, SimulatedMoment, by_nothing, joined_families
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import LONGEST, ReportStep
from netprobe.simulate import Simulator

MOST_CHANGES: Final = 200


def step(moment: SimulatedMoment, observed: Observed, number: int) -> ReportStep:
    """A moment and what was observed then."""
    seen = observed.matrix.where(moment.simulated.__contains__)
    simulated, seen = joined_families(moment.simulated, seen)
    rows = compare(moment.declared, simulated, seen, step=number)
    rows = explained(rows, moment.simulator, moment.declared_by)
    facts = observed.facts
    return ReportStep(
        moment.name,
        rows,
        FlowCounts.of(rows),
        facts.converged_s,
        facts.rounds,
        facts.execs,
        policies=PolicyTexts(moment.simulator.cluster),
    )


def explained(
    rows: Sequence[Row], simulator: Simulator, declared_by: DeclaredBy = by_nothing
) -> tuple[Row, ...]:
    """The rows with what decides them and what declares them.

    Rows that are as expected are explained if there are few enough to read. The first mismatches of
    policies and declaration also get the smallest change that resolves them, as `netprobe explain` suggests
    it; each costs a search, so that there are at most MOST_CHANGES.
    """
    blamed = blame(simulator.cluster.policies)
    changes = 0
    found = []
    for row in rows:
        why = Why()
        if row.status is not FlowStatus.AS_EXPECTED or len(rows) <= LONGEST:
            why = blamed(row)
        if Mismatch.DECLARED_SIMULATED in row.mismatches and changes < MOST_CHANGES:
            changes += 1
            why = replace(why, sentences=(*why.sentences, *_change(simulator, row.flow)))
        by = declared_by(row.flow) if row.declared is not None else None
        found.append(replace(row, why=why, declared_by=by))
    return tuple(found)


def _change(simulator: Simulator, flow: Flow) -> tuple[str, ...]:
    change = explain(simulator, flow).change
    if change is None:
        return ()
    aim = "be allowed" if change.verdict is Verdict.ALLOW else "be denied"
    return (f"to {aim}: {change.text}",)
