"""Why a flow has its verdict: a sentence, and the place of the deciding policy in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from netprobe.diff import Row, Why
from netprobe.model.flow import Flow
from netprobe.model.policy import NETWORK_POLICY, Direction, Place, Policy, PolicyRef
from netprobe.model.text import listed
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict

Explainer: TypeAlias = Callable[[Row], Why]


def blame(policies: Iterable[Policy] = ()) -> Explainer:
    """An explainer that reads the decision; with the policies at hand it names file and line too."""
    known = {policy.ref: policy for policy in policies}

    def explain(row: Row) -> Why:
        if row.decision is None:
            return Why()
        return Why(_sentences(row.flow, row.decision, known), _place(row.decision, known))

    return explain


def path(cause: Cause) -> str:
    """The cause's place inside its policy, as in "spec.ingress[0].from[1]"."""
    if cause.rule is None:
        return "spec.podSelector" if cause.effect is Effect.ISOLATES else f"spec.{cause.direction.value}"
    peers = "from" if cause.direction is Direction.INGRESS else "to"
    entry = f".{peers}[{cause.peer}]" if cause.peer is not None else ""
    return f"spec.{cause.direction.value}[{cause.rule}]{entry}"


def _sentences(flow: Flow, decision: Decision, known: dict[PolicyRef, Policy]) -> tuple[str, ...]:
    if decision.verdict is Verdict.UNKNOWN or (decision.reason and not decision.because):
        return (decision.reason,) if decision.reason else ()
    if decision.backends and not decision.because:
        return tuple(
            f"{backend.destination}: {sentence}"
            for backend, one in decision.backends
            for sentence in _sentences(backend, one, known)
        )
    sides = [side for side in (decision.egress, decision.ingress) if side.verdict is Verdict.DENY]
    return tuple(_side(flow, side, known) for side in sides or (decision.egress, decision.ingress))


def _side(flow: Flow, side: Side, known: dict[PolicyRef, Policy]) -> str:
    ingress = side.direction is Direction.INGRESS
    subject, peer = (flow.destination, flow.source) if ingress else (flow.source, flow.destination)
    way = side.direction.value
    if deciding := side.denying or side.allowing:
        verb = "denies" if side.denying else "allows"
        return f"{way}: " + _by_rules(deciding, verb, known)
    if not side.isolating:
        passed = [cause for cause in side.passing if cause.effect is Effect.PASSES]
        if passed:
            return f"{way}: {_by_rules(passed, 'passes', known)}, and nothing after that denies it"
        return f"{way}: no policy isolates {subject}"
    names = listed((f"{_name(cause)}{_at(cause, known)}" for cause in side.isolating), len(side.isolating))
    unmatched = f"no rule allows {flow.protocol.value} {flow.port} {'from' if ingress else 'to'} {peer}"
    if any(cause.effect is Effect.TIER_DEFAULT for cause in side.isolating):
        tier = side.isolating[0].tier
        return f"{way}: the tier {tier} ends with a deny: {names} selects {subject}, and {unmatched}"
    verb = "isolates" if len(side.isolating) == 1 else "isolate"
    return f"{way}: {names} {verb} {subject}, and {unmatched}"


def _by_rules(causes: Iterable[Cause], verb: str, known: dict[PolicyRef, Policy]) -> str:
    return " and ".join(f"{_name(cause)} {verb} it by {_rule(cause)}{_at(cause, known)}" for cause in causes)


def _name(cause: Cause) -> str:
    """The policy; with its kind, if that is not NetworkPolicy."""
    return str(cause.policy) if cause.kind == NETWORK_POLICY else f"{cause.kind} {cause.policy}"


def _rule(cause: Cause) -> str:
    """The rule and the peer, numbered as the manifest's lists are, from 0."""
    peer = f", peer {cause.peer}" if cause.peer is not None else ""
    rule = f"rule {cause.rule}{peer}" if cause.rule is not None else "its rules"
    return f"{rule} ({path(cause).removeprefix('spec.')})" if cause.rule is not None else rule


def _at(cause: Cause, known: dict[PolicyRef, Policy]) -> str:
    place = _locate(cause, known)
    return f" [{place}]" if place else ""


def _place(decision: Decision, known: dict[PolicyRef, Policy]) -> Place | None:
    causes = decision.because or tuple(c for _, one in decision.backends for c in one.because)
    return next((place for cause in causes if (place := _locate(cause, known))), None)


def _locate(cause: Cause, known: dict[PolicyRef, Policy]) -> Place | None:
    policy = known.get(cause.policy)
    return policy.place(path(cause)) if policy is not None else None
