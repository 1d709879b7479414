"""Why a flow has its verdict, and which change would reverse it.

`explain` gives an explanation as data, `lines` its text, `document` its JSON form.
"""

from __future__ import annotations

from netprobe.explain.document import document
from netprobe.explain.explanation import (
    Explanation,
    Item,
    Obstacle,
    ObstacleKind,
    PolicyView,
    RuleView,
    SideView,
    SuggestedEdit,
    Suggestion,
)
from netprobe.explain.suggestion import suggest as find_suggestion
from netprobe.explain.text import answer, lines
from netprobe.explain.view import side
from netprobe.model.flow import Flow
from netprobe.model.policy import Direction
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import Simulator

__all__ = [
    "Explanation",
    "Item",
    "Obstacle",
    "ObstacleKind",
    "PolicyView",
    "RuleView",
    "SideView",
    "SuggestedEdit",
    "Suggestion",
    "document",
    "explain",
    "lines",
]


def explain(simulator: Simulator, flow: Flow, *, suggest: bool = True) -> Explanation:
    """Why the simulator decides a flow as it does.

    `suggest=False` skips the search for a change, which simulates several times. UsageError if an end is not
    in the cluster.
    """
    decision = simulator.decide(flow)
    parts: tuple[Explanation, ...] = ()
    if decision.backends:
        parts = tuple(explain(simulator, onward, suggest=suggest) for onward, _ in decision.backends)
    elif decision.verdict is Verdict.UNKNOWN and len(rows := simulator.split(flow)) > 1:
        parts = tuple(explain(simulator, row, suggest=suggest) for row in rows)
    sides = () if parts else _sides(simulator, flow, decision)
    reason = decision.reason
    if not (parts or sides or reason):
        reason = f"{simulator.profile.name} allows it whatever the policies say"
    text = parts[0].answer if _agree(parts) else answer(flow, decision.verdict, sides, reason)
    found = find_suggestion(simulator, flow, sides) if suggest and sides else None
    change = found[0] if found else None
    return Explanation(flow, decision.verdict, text, sides, change, reason, decision.undefined, parts)


def _agree(parts: tuple[Explanation, ...]) -> bool:
    return len(parts) == 1 or (bool(parts) and len({part.verdict for part in parts}) == 1)


def _sides(simulator: Simulator, flow: Flow, decision: Decision) -> tuple[SideView, ...]:
    """Both sides; none if something other than policies decided."""
    if decision.verdict is Verdict.UNKNOWN or decision.reason is not None:
        return ()
    family = flow.family or simulator.families(flow.source, flow.destination)[0]
    views = tuple(side(simulator, direction, flow, family) for direction in reversed(Direction))
    judged = (decision.egress.verdict, decision.ingress.verdict)
    return views if tuple(view.verdict for view in views) == judged else ()
