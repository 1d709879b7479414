"""An explanation as text: the answer first, then each side, then what to change."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.explain.explanation import Explanation, Item, PolicyView, RuleView, SideView
from netprobe.model.flow import Flow
from netprobe.model.policy import Direction, Place
from netprobe.model.verdict import Verdict

WORD = {Verdict.ALLOW: "ALLOWED", Verdict.DENY: "DENIED", Verdict.UNKNOWN: "UNKNOWN"}


def answer(flow: Flow, verdict: Verdict, sides: tuple[SideView, ...], reason: str | None) -> str:
    """One line that names verdict, side and policies."""
    if verdict is Verdict.UNKNOWN or not sides:
        return f"{WORD[verdict]}: {reason}"
    if verdict is Verdict.DENY:
        denying = [side for side in sides if side.verdict is Verdict.DENY]
        where = "at both ends" if len(denying) > 1 else f"at the {_end(denying[0].direction)}"
        return f"{WORD[verdict]} {where}: " + "; ".join(_denied(flow, side) for side in denying)
    return f"{WORD[verdict]}: " + "; ".join(_allowed(flow, side) for side in sides)


def lines(explanation: Explanation, depth: int = 0) -> Iterator[str]:
    """The lines of the whole explanation, indented by two spaces per level."""
    indent = "  " * depth
    yield indent + (f"{explanation.flow}: " if depth else "") + explanation.answer
    if explanation.undefined:
        yield f"{indent}undefined by the NetworkPolicy API: {explanation.undefined}"
    for part in explanation.parts:
        yield from lines(part, depth + 1)
    for side in explanation.sides:
        yield ""
        yield from (indent + line for line in _side(side))
    if explanation.change is not None:
        turned = "be allowed" if explanation.change.verdict is Verdict.ALLOW else "be denied"
        yield ""
        yield f"{indent}To {turned}: {explanation.change.text}"


def _end(direction: Direction) -> str:
    return "destination" if direction is Direction.INGRESS else "source"


def _toward(flow: Flow, side: SideView) -> str:
    word = "from" if side.direction is Direction.INGRESS else "to"
    return f"{flow.protocol.value} {flow.port} {word} {side.peer}"


def _denied(flow: Flow, side: SideView) -> str:
    """A default deny is named first: it isolates on purpose."""
    first = next((policy for policy in side.policies if not policy.rules), side.policies[0])
    isolates = f"{first.policy} isolates {side.subject} for {side.direction.value}"
    if len(side.policies) == 1:
        return f"{isolates} and does not allow {_toward(flow, side)}"
    return f"{isolates}, and none of its {len(side.policies)} policies allows {_toward(flow, side)}"


def _allowed(flow: Flow, side: SideView) -> str:
    if not side.policies:
        return f"nothing isolates {side.subject} for {side.direction.value}"
    allowing = [
        f"{view.policy} ({', '.join(rule.path.removeprefix('spec.') for rule in view.rules if rule.allows)})"
        for view in side.policies
        if view.allows
    ]
    verb = "allows" if len(allowing) == 1 else "allow"
    return f"{' and '.join(allowing)} {verb} {_toward(flow, side)}"


def _side(side: SideView) -> Iterator[str]:
    title = f"{_end(side.direction).capitalize()}, {side.direction.value} of {side.subject}: "
    if not side.policies:
        yield f"{title}passes, no policy isolates it"
        return
    passes = "passes" if side.verdict is Verdict.ALLOW else "denied"
    count = len(side.policies)
    yield f"{title}{passes}, {count} {'policy isolates' if count == 1 else 'policies isolate'} it"
    if side.assumed:
        addresses = " and ".join(map(str, side.assumed))
        yield f"  {side.peer} has no address yet; blocks are compared with {addresses}"
    for view in side.policies:
        yield from ("  " + line for line in _policy(view))


def _policy(view: PolicyView) -> Iterator[str]:
    yield f"{view.policy}{_at(view.place)}" + ("" if view.rules else ": has no rule, allows nothing")
    for rule in view.rules:
        yield from ("  " + line for line in _rule(rule))


def _rule(rule: RuleView) -> Iterator[str]:
    name = f"{rule.path.removeprefix('spec.')}{_at(rule.place)}"
    if rule.allows:
        matching = [
            item.says for items in (rule.peers, rule.ports) for item in items if item.obstacle is None
        ]
        yield f"{name}: allows it ({', '.join(matching)})"
        return
    yield f"{name}: does not match"
    for matches, items in ((rule.peer_matches, rule.peers), (rule.port_matches, rule.ports)):
        if not matches:
            yield from ("  " + _item(item, rule) for item in items)


def _item(item: Item, rule: RuleView) -> str:
    name = item.path.removeprefix(rule.path).removeprefix(".")
    place = item.place if item.place != rule.place else None
    why = item.obstacle.text if item.obstacle else "matches"
    return f"{name}{_at(place)}: {why}"


def _at(place: Place | None) -> str:
    return f" [{place}]" if place else ""
