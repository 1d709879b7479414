"""Why a mismatch is one, with the change that would mend it: what `netprobe explain` says, in brief."""

from __future__ import annotations

from dataclasses import replace

from netprobe.diff import Mismatch, Row
from netprobe.explain import explain
from netprobe.model.verdict import Verdict
from netprobe.report import Why, blame
from netprobe.report.why import Explainer
from netprobe.simulate import Simulator


def explainer(simulator: Simulator) -> Explainer:
    """As `blame`; where the policies do not say what is declared, also the smallest change to them."""
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
