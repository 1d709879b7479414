"""Why a flow has its verdict, and which change would reverse it.

`explain` gives an explanation as data, `lines` its text, `document` its JSON form. `Advisor` finds changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netprobe.explain.advisor import Advisor
from netprobe.explain.document import document
from netprobe.explain.explanation import (
    Explanation,
    FlowSide,
    Item,
    NearMissKind,
    ObstacleKind,
    RuleView,
    SideView,
)
from netprobe.explain.text import WORD, answer, lines, qualified
from netprobe.model.flow import Flow, ServiceRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import Simulator

__all__ = [
    "Advisor",
    "Explanation",
    "Item",
    "NearMissKind",
    "ObstacleKind",
    "RuleView",
    "SideView",
    "document",
    "explain",
    "explain_all",
    "lines",
]


def explain(by: Simulator | Advisor, flow: Flow, *, suggest: bool = True) -> Explanation:
    """Why the simulator decides a flow as it does.

    `suggest=False` skips the search for a change, which simulates several times. UsageError if an end is not
    in the cluster.
    """
    advisor = by if isinstance(by, Advisor) else Advisor(by)
    simulator = advisor.simulator
    decision = simulator.decide(flow)
    parts: tuple[Explanation, ...] = ()
    if decision.backends:
        parts = _parts(advisor, [onward for onward, _ in decision.backends], suggest=suggest)
    elif decision.verdict is Verdict.UNKNOWN and len(rows := simulator.split(flow)) > 1:
        parts = tuple(explain(advisor, row, suggest=suggest) for row in rows)
    sides = () if parts else _sides(advisor, flow, decision)
    reason = decision.reason
    if not (parts or sides or reason):
        reason = f"{simulator.profile.name} allows it whatever the policies say"
    text = parts[0].answer if _agree(parts) else answer(flow, decision.verdict, sides, reason)
    change = advisor.suggest(flow, sides) if suggest and sides else None
    note = _untranslated(simulator, flow)
    if suggest and sides and change is None and advisor.declared(flow) is decision.verdict:
        note = "This is what the suite declares, so no change is suggested."
    elif note is not None:
        parts = tuple(replace(part, change=None) for part in parts)
    if parts and all(part.change == parts[0].change for part in parts):
        change = parts[0].change
    return Explanation(
        flow,
        decision.verdict,
        qualified(text, decision.qualified_by) if not _agree(parts) else text,
        sides,
        change,
        reason,
        decision.undefined,
        parts,
        qualified_by=decision.qualified_by,
        note=note,
    )


def explain_all(advisor: Advisor, flows: Sequence[Flow]) -> Explanation:
    """Flows between the pods of workloads as one explanation, with a part for each kind if they differ."""
    parts = _parts(advisor, flows)
    if len(parts) == 1:
        return parts[0]
    verdicts = {part.verdict for part in parts}
    verdict = verdicts.pop() if len(verdicts) == 1 else Verdict.UNKNOWN
    allowed = sum(1 + len(part.others) for part in parts if part.verdict is Verdict.ALLOW)
    text = f"{WORD[verdict]}: "
    if verdict is Verdict.UNKNOWN:
        text += f"the pods differ: {allowed} of {len(flows)} flows are allowed"
    else:
        text += f"all {len(flows)} flows, for {len(parts)} different reasons"
    unsimulated = tuple(dict.fromkeys(each for part in parts for each in part.qualified_by))
    text = qualified(text, unsimulated)
    return Explanation(flows[0], verdict, text, parts=parts, qualified_by=unsimulated)


def _parts(advisor: Advisor, flows: Sequence[Flow], *, suggest: bool = True) -> tuple[Explanation, ...]:
    """One explanation for all flows that the same rules decide alike on the same port."""
    alike: dict[object, list[Flow]] = {}
    for flow in flows:
        decision = advisor.simulator.decide(flow)
        because = tuple((one.direction, one.policy, one.effect, one.rule) for one in decision.because)
        alike.setdefault((decision.verdict, because, flow.port, flow.protocol), []).append(flow)
    return tuple(
        replace(explain(advisor, same[0], suggest=suggest), others=tuple(same[1:])) for same in alike.values()
    )


def _untranslated(simulator: Simulator, flow: Flow) -> str | None:
    """A remark on a headless Service whose port is not one of its pods: nobody translates it."""
    service = (
        simulator.cluster.services.get(flow.destination) if isinstance(flow.destination, ServiceRef) else None
    )
    if service is None or service.addresses or not service.selector:
        return None
    targets = [
        port.target for port in service.ports if (port.port, port.protocol) == (flow.port, flow.protocol)
    ]
    if not targets or flow.port in targets:
        return None
    return (
        f"{flow.destination} is headless, so its port {flow.port} is not translated to {targets[0]}: "
        f"connect to port {targets[0]}"
    )


def _agree(parts: tuple[Explanation, ...]) -> bool:
    return len(parts) == 1 or (bool(parts) and len({part.verdict for part in parts}) == 1)


def _sides(advisor: Advisor, flow: Flow, decision: Decision) -> tuple[SideView, ...]:
    """Both sides; none if something other than policies decided."""
    if decision.verdict is Verdict.UNKNOWN or decision.reason is not None:
        return ()
    family = flow.family or advisor.simulator.families(flow.source, flow.destination)[0]
    views = tuple(advisor.side(FlowSide(direction, flow, family)) for direction in reversed(Direction))
    judged = (decision.egress.verdict, decision.ingress.verdict)
    return views if tuple(view.verdict for view in views) == judged else ()
