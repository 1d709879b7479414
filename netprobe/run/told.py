"""What a run found, in the words of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from netprobe.diff import Mismatch, Row, compare
from netprobe.explain import explain
from netprobe.explain.why import Explainer, Why, blame
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe import Facts
from netprobe.run.families import united
from netprobe.run.record import Step
from netprobe.simulate import Simulator


def step(
    name: str,
    declared: Matrix[Verdict] | None,
    simulated: Matrix[Decision],
    observed: Matrix[Observation],
    *,
    facts: Facts,
    simulator: Simulator,
    number: int = 0,
    declared_by: Callable[[Flow], str | None] | None = None,
) -> Step:
    """One change and what was seen after it, as the report tells it."""
    simulated, observed = united(simulated, observed)
    return Step(
        name,
        compare(declared, simulated, observed, step=number),
        converged_s=facts.converged_s,
        rounds=facts.rounds,
        execs=facts.execs,
        explain=explainer(simulator),
        declared_by=declared_by,
    )


def enforcement(facts: Facts) -> str | None:
    """The sentence for the top of a report where a cluster enforces nothing; else None."""
    if facts.enforcement.enforcing is False:
        return f"this cluster enforces no NetworkPolicy: {facts.enforcement.evidence}"
    return None


def explainer(simulator: Simulator) -> Explainer:
    """Why a mismatch is one, as `blame`; where the policies do not say what is declared, with the change to
    them that would mend it: what `netprobe explain` says, in brief.
    """
    blamed = blame(simulator.cluster.policies)

    def why(row: Row) -> Why:
        told = blamed(row)
        if Mismatch.DECLARED_SIMULATED not in row.mismatches:
            return told
        change = explain(simulator, row.flow).change
        if change is None:
            return told
        turned = "be allowed" if change.verdict is Verdict.ALLOW else "be denied"
        return replace(told, sentences=(*told.sentences, f"to {turned}: {change.text}"))

    return why
