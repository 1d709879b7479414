"""An explanation as text: the answer first, then each side, then what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.explain.explanation import (
    Explanation,
    Item,
    NearMiss,
    PolicyView,
    Role,
    RuleView,
    SideView,
    TierView,
)
from netprobe.manifests.change import SideEffects, Suggestion
from netprobe.model.flow import Flow
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, Place, Unsimulated
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict

WORD = {Verdict.ALLOW: "ALLOWED", Verdict.DENY: "DENIED", Verdict.UNKNOWN: "UNKNOWN"}
_DOES = {Action.ALLOW: "allows", Action.DENY: "denies", Action.PASS: "passes", Action.LOG: "logs"}
MOST_EFFECTS = 5
"""Groups of flows that a suggestion changes besides, in a line of text."""
NO_CHANGE = "no change was found that keeps every other declared flow"


def answer(flow: Flow, verdict: Verdict, sides: tuple[SideView, ...], reason: str | None) -> str:
    """One line that names verdict, side and policies."""
    if verdict is Verdict.UNKNOWN or not sides:
        return f"{WORD[verdict]}: {reason}"
    if verdict is Verdict.DENY:
        denying = [side for side in sides if side.verdict is Verdict.DENY]
        where = "at both ends" if len(denying) > 1 else f"at the {_end(denying[0].direction)}"
        return f"{WORD[verdict]} {where}: " + "; ".join(_denied(flow, side) for side in denying)
    return f"{WORD[verdict]}: " + "; ".join(_allowed(flow, side) for side in sides)


def qualified(text: str, unsimulated: Sequence[Unsimulated]) -> str:
    """An answer, with the objects that are not simulated and may decide the flow too."""
    if not unsimulated:
        return text
    names = listed(f"{each.ref.kind} {each.ref}" for each in unsimulated)
    may = "may decide it too and is" if len(unsimulated) == 1 else "may decide it too and are"
    return f"{text} (as far as simulated: {names} {may} not simulated)"


def lines(explanation: Explanation, depth: int = 0) -> Iterator[str]:
    """The lines of the whole explanation, indented by two spaces per level."""
    indent = "  " * depth
    yield indent + (f"{explanation.flow}: " if depth else "") + explanation.answer
    if explanation.others:
        pairs = (f"{flow.source} -> {flow.destination}" for flow in explanation.others)
        yield f"{indent}the same holds for {listed(pairs, MOST_EFFECTS)}"
    if explanation.undefined:
        yield f"{indent}undefined by the NetworkPolicy API: {explanation.undefined}"
    for number, part in enumerate(explanation.parts):
        if number:
            yield ""
        yield from lines(part, depth + 1)
    for side in explanation.sides:
        yield ""
        yield from (indent + line for line in _side(side))
    if explanation.change is not None and not explanation.parts:
        yield ""
        yield from (indent + line for line in suggestion(explanation.change))
    if explanation.note:
        yield ""
        yield f"{indent}{explanation.note}"


def near_misses(explanation: Explanation) -> Iterator[NearMiss]:
    """The policies that almost apply, on any side of any part, without repetitions."""
    found = {miss for side in explanation.sides for miss in side.near}
    yield from sorted(found, key=lambda miss: str(miss.policy))
    for part in explanation.parts:
        yield from (miss for miss in near_misses(part) if miss not in found)


def suggestion(change: Suggestion) -> Iterator[str]:
    """What to do, and what else it would open and close."""
    yield f"{change.aim.capitalize()}: {change.text}"
    yield from (f"  {sentence}" for sentence in side_effects(change.effects))


def side_effects(found: SideEffects, *, resolved: bool = True) -> Iterator[str]:
    """What else a change opens and closes, with `resolved` also which flows become as declared."""
    for verb, effects, count, declared in (
        ("opens", found.opens, found.opens_count, found.opens_resolved),
        ("closes", found.closes, found.closes_count, found.closes_resolved),
    ):
        for number, as_declared in ((count - declared, ""), (declared, ", as declared")):
            some = [one for one in effects if (one.resolved == one.flows) is bool(as_declared)]
            if some and number and (resolved or not as_declared):
                flows = "1 flow" if number == 1 else f"{number:,} flows"
                yield f"this also {verb} {flows}{as_declared}: {listed(some, MOST_EFFECTS)}"


def _end(direction: Direction) -> str:
    return "destination" if direction is Direction.INGRESS else "source"


def _toward(flow: Flow, side: SideView) -> str:
    word = "from" if side.direction is Direction.INGRESS else "to"
    return f"{flow.protocol.value} {flow.port} {word} {side.peer}"


def _denied(flow: Flow, side: SideView) -> str:
    tier = side.deciding
    if tier is None:
        return "no policy applies"
    if not tier.by_default:
        return f"{_deciding_rule(tier)} denies {_toward(flow, side)}"
    if any(view.policy.kind != NETWORK_POLICY for view in tier.policies):
        names = listed(view.policy for view in tier.policies)
        return f"tier {tier.name} denies what none of its rules matches ({names}): {_toward(flow, side)}"
    # A default deny is named first: it isolates on purpose.
    first = next((policy for policy in tier.policies if not policy.rules), tier.policies[0])
    isolates = f"{first.policy} isolates {side.subject} for {side.direction.value}"
    if len(tier.policies) == 1:
        return f"{isolates} and does not allow {_toward(flow, side)}"
    return f"{isolates}, and none of its {len(tier.policies)} policies allows {_toward(flow, side)}"


def _deciding_rule(tier: TierView) -> str:
    view, rule = next(
        (view, rule)
        for view in tier.policies
        for rule in view.rules
        if rule.role in {Role.DECIDES, Role.PASSES}
    )
    return f"{_rule_name(rule)} of {view.policy} in tier {tier.name}"


def _allowed(flow: Flow, side: SideView) -> str:
    if not side.policies:
        return f"nothing isolates {side.subject} for {side.direction.value}"
    tier = side.deciding
    if tier is None:
        return f"no tier denies {_toward(flow, side)}"
    if not side.plain:
        return f"{_deciding_rule(tier)} allows {_toward(flow, side)}"
    allowing = [
        f"{view.policy} ({', '.join(rule.path.removeprefix('spec.') for rule in view.rules if rule.allows)})"
        for view in tier.policies
        if view.allows
    ]
    verb = "allows" if len(allowing) == 1 else "allow"
    return f"{' and '.join(allowing)} {verb} {_toward(flow, side)}"


def _side(side: SideView) -> Iterator[str]:
    title = f"{_end(side.direction).capitalize()}, {side.direction.value} of {side.subject}: "
    passes = "passes" if side.verdict is Verdict.ALLOW else "denied"
    if not side.policies:
        yield f"{title}passes, no policy isolates it"
    elif side.plain:
        count = len(side.policies)
        yield f"{title}{passes}, {count} {'policy isolates' if count == 1 else 'policies isolate'} it"
    else:
        tier = side.deciding
        yield f"{title}{passes} in tier {tier.name}" if tier is not None else f"{title}passes all tiers"
    if side.assumed:
        addresses = " and ".join(map(str, side.assumed))
        yield f"  {side.peer} has no address yet; blocks are compared with {addresses}"
    if side.plain:
        for view in side.policies:
            yield from ("  " + line for line in _policy(view))
    else:
        names = [tier.name for tier in side.tiers]
        for tier, after in zip(side.tiers, [*names[1:], None], strict=True):
            yield from ("  " + line for line in _tier(tier, after))
    for miss in side.near:
        yield f"  {miss.policy}{_at(miss.place)} {miss.text}"


def _tier(tier: TierView, after: str | None) -> Iterator[str]:
    """A tier, its policies and rules. `after` is the next tier with policies for the subject."""
    if tier.outcome is Action.PASS:
        does = f"goes on to tier {after}" if after is not None else "is allowed, as no tier follows"
        does = f"no rule matches, so it {does}" if tier.by_default else f"a rule passes it, so it {does}"
    elif tier.by_default:
        does = f"no rule matches, and its default {_DOES[tier.outcome]} it"
    else:
        does = f"a rule {_DOES[tier.outcome]} it"
    if not tier.reached:
        yield f"tier {tier.name}: not reached; {_would(tier)}"
    else:
        yield f"tier {tier.name}: {does}"
    for view in tier.policies:
        yield from ("  " + line for line in _policy(view, kind=True))


def _would(tier: TierView) -> str:
    if tier.outcome is Action.PASS:
        return "it would decide nothing"
    how = "its default" if tier.by_default else _deciding_shadow(tier)
    return f"{how} would {'allow' if tier.outcome is Action.ALLOW else 'deny'} it"


def _deciding_shadow(tier: TierView) -> str:
    view, rule = next((view, rule) for view in tier.policies for rule in view.rules if rule.matches)
    return f"{_rule_name(rule)} of {view.policy}"


def _policy(view: PolicyView, *, kind: bool = False) -> Iterator[str]:
    name = f"{view.policy.kind} {view.policy}" if kind else str(view.policy)
    nothing = "has no rule, matches nothing" if kind else "has no rule, allows nothing"
    yield f"{name}{_at(view.place)}" + ("" if view.rules else f": {nothing}")
    for rule in view.rules:
        yield from ("  " + line for line in _rule(rule, ordered=kind))


def _rule_name(rule: RuleView) -> str:
    return rule.path.removeprefix("spec.") + (f' "{rule.name}"' if rule.name else "")


def _rule(rule: RuleView, *, ordered: bool) -> Iterator[str]:
    name = f"{_rule_name(rule)}{_at(rule.place)}"
    if rule.matches:
        matching = [
            item.says for items in (rule.peers, rule.ports) for item in items if item.obstacle is None
        ]
        yield f"{name}: {_role(rule)} ({', '.join([*matching, *(item.says for item in rule.conditions)])})"
        return
    yield f"{name}: does not match" if not ordered else f"{name}: {rule.action.value}, does not match"
    for matches, items in ((rule.peer_matches, rule.peers), (rule.port_matches, rule.ports)):
        if not matches:
            yield from ("  " + _item(item, rule) for item in items)
    yield from ("  " + _item(item, rule) for item in rule.conditions if item.obstacle)


def _role(rule: RuleView) -> str:
    if rule.role is Role.SHADOWED:
        return f"{_DOES[rule.action]} it too, but an earlier rule decides"
    more = {Role.PASSES: " on, past the rest of this tier", Role.LOGS: "; the next rules decide"}
    return f"{_DOES[rule.action]} it{more.get(rule.role, '')}"


def _item(item: Item, rule: RuleView) -> str:
    name = item.path.removeprefix(rule.path).removeprefix(".")
    place = item.place if item.place != rule.place else None
    why = item.obstacle.text if item.obstacle else "matches"
    return f"{name}{_at(place)}: {why}" if name else why


def _at(place: Place | None) -> str:
    return f" [{place}]" if place else ""
