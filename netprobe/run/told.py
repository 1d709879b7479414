"""What a run found, in the words of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final, TypeAlias

from netprobe.diff import Counts, Mismatch, Row, compare
from netprobe.explain import explain
from netprobe.explain.why import blame
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe import Facts
from netprobe.run.families import united
from netprobe.run.record import Step
from netprobe.simulate import Simulator

DeclaredBy: TypeAlias = Callable[[Flow], str | None]

MOST_CHANGES: Final = 200


def step(
    name: str,
    declared: Matrix[Verdict] | None,
    simulated: Matrix[Decision],
    observed: Matrix[Observation],
    *,
    facts: Facts,
    simulator: Simulator,
    number: int = 0,
    declared_by: DeclaredBy = lambda _: None,
) -> Step:
    """One change and what was seen after it."""
    simulated, observed = united(simulated, observed)
    rows = compare(declared, simulated, observed, step=number)
    rows = explained(rows, simulator, declared_by)
    return Step(name, rows, Counts.of(rows), facts.converged_s, facts.rounds, facts.execs)


def enforcement(facts: Facts) -> str | None:
    """The sentence for the top of a report where a cluster enforces nothing; else None."""
    if facts.enforcement.enforcing is False:
        return f"this cluster enforces no NetworkPolicy: {facts.enforcement.evidence}"
    return None


def explained(
    rows: Iterable[Row], simulator: Simulator, declared_by: DeclaredBy = lambda _: None
) -> tuple[Row, ...]:
    """The rows with what decides them and what declares them.

    The first mismatches of policies and declaration also get the smallest change that resolves them: what
    `netprobe explain` suggests. Each costs a search, so that a suite that is wrong everywhere gets
    MOST_CHANGES of them.
    """
    why = blame(simulator.cluster.policies)
    changes = 0
    found = []
    for row in rows:
        reason = why(row)
        if Mismatch.DECLARED_SIMULATED in row.mismatches and changes < MOST_CHANGES:
            changes += 1
            reason = replace(reason, sentences=(*reason.sentences, *_change(simulator, row.flow)))
        by = declared_by(row.flow) if row.declared is not None else None
        found.append(replace(row, why=reason, declared_by=by))
    return tuple(found)


def _change(simulator: Simulator, flow: Flow) -> tuple[str, ...]:
    change = explain(simulator, flow).change
    if change is None:
        return ()
    aim = "be allowed" if change.verdict is Verdict.ALLOW else "be denied"
    return (f"to {aim}: {change.text}",)
