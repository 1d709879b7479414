"""What may pass, and what decided it."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.fastenum import FastEnum
from netprobe.model.flow import Flow
from netprobe.model.policy import DEFAULT_TIER, Direction, PolicyRef, Unsimulated


class Verdict(FastEnum):
    """The value is the word in reports; `mark` is the character in a matrix."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"

    @property
    def mark(self) -> str:
        return {"allow": ".", "deny": "X", "unknown": "?"}[self.value]


def together(egress: Verdict, ingress: Verdict) -> Verdict:
    """The verdict of two sides: both must allow."""
    verdicts = {egress, ingress}
    for verdict in (Verdict.DENY, Verdict.UNKNOWN):
        if verdict in verdicts:
            return verdict
    return Verdict.ALLOW


class Effect(FastEnum):
    """What a policy does in a decision."""

    ISOLATES = "isolates"  # a NetworkPolicy selects the end: what no rule allows is denied
    ALLOWS = "allows"
    DENIES = "denies"
    PASSES = "passes"
    TIER_DEFAULT = "tier-default"  # a policy of another kind applies, and no rule of its tier matches


@dataclass(frozen=True, slots=True)
class Cause:
    """A policy's part in a decision.

    ALLOWS, DENIES and PASSES name the rule and, if the manifest lists them, the peer and the port entry
    that match, by their index from 0; None for a rule without such a list. The other effects name
    the policy alone.
    """

    direction: Direction
    policy: PolicyRef
    effect: Effect
    rule: int | None = None
    peer: int | None = None
    port: int | None = None
    tier: str = DEFAULT_TIER.name

    @property
    def kind(self) -> str:
        return self.policy.kind


@dataclass(frozen=True, slots=True)
class Side:
    """One end's part: what the policies that apply to it do with the flow in this direction.

    `allowing` or `denying` are the rules that end the side. If several rules in front have the same action,
    each would have ended it, and all are here.
    `isolating` are the policies of the deciding tier that apply, if the tier denies by default: they deny
    what is not in `allowing`.
    `passing` are the earlier tiers: a rule with the action PASS, or the tier's default.
    All empty: no policy applies, and the side lets everything through.
    `undefined`: why another implementation may decide otherwise. `unknown`: why the verdict is UNKNOWN.
    """

    direction: Direction
    isolating: tuple[Cause, ...] = ()
    allowing: tuple[Cause, ...] = ()
    denying: tuple[Cause, ...] = ()
    passing: tuple[Cause, ...] = ()
    undefined: str | None = None
    unknown: str | None = None

    @property
    def verdict(self) -> Verdict:
        if self.unknown is not None:
            return Verdict.UNKNOWN
        denied = self.denying or (self.isolating and not self.allowing)
        return Verdict.DENY if denied else Verdict.ALLOW

    @property
    def applies(self) -> bool:
        """Whether any policy applies to this end in this direction."""
        return bool(self.isolating or self.allowing or self.denying or self.passing or self.unknown)

    @property
    def because(self) -> tuple[Cause, ...]:
        """The rules and policies that decide: rules that pass the flow on, then what ends the side."""
        passing = tuple(cause for cause in self.passing if cause.effect is Effect.PASSES)
        if self.verdict is Verdict.DENY:
            return passing + (self.denying or self.isolating)
        return passing + self.allowing


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the two sides that made it: source's egress, destination's ingress.

    `undefined` says why the API leaves the case to the implementation; the verdict is then that of
    the CNI profile. `reason` says why a verdict is UNKNOWN (a Service without a ready endpoint, say) or
    why no policy was evaluated (a pod to itself). `backends` holds the decision for each pod behind a
    Service. `qualified_by` are the objects that may decide the flow too and are not evaluated.
    """

    verdict: Verdict
    egress: Side = Side(Direction.EGRESS)
    ingress: Side = Side(Direction.INGRESS)
    undefined: str | None = None
    reason: str | None = None
    backends: tuple[tuple[Flow, Decision], ...] = ()
    qualified_by: tuple[Unsimulated, ...] = ()

    @property
    def because(self) -> tuple[Cause, ...]:
        """The causes that decide: those of the sides that deny, else of both sides."""
        sides = (self.egress, self.ingress)
        denying = tuple(side for side in sides if side.verdict is Verdict.DENY)
        return tuple(cause for side in denying or sides for cause in side.because)
