"""What may pass, and what decided it."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.fastenum import FastEnum
from netprobe.model.flow import Flow
from netprobe.model.policy import Direction, PolicyRef


class Verdict(FastEnum):
    """The value is the word in reports; `mark` is the character in a matrix."""

    ALLOW = "allow"
    DENY = "deny"
    UNKNOWN = "unknown"

    @property
    def mark(self) -> str:
        return {"allow": ".", "deny": "X", "unknown": "?"}[self.value]


class Effect(FastEnum):
    ISOLATES = "isolates"
    ALLOWS = "allows"


@dataclass(frozen=True, slots=True)
class Cause:
    """A policy's part in a decision.

    An ALLOWS names the rule and, where the manifest lists them, the peer and the port entry that match,
    by their index from 0; None stands for a rule without such a list. An ISOLATES names the policy alone.
    """

    direction: Direction
    policy: PolicyRef
    effect: Effect
    rule: int | None = None
    peer: int | None = None
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One end's part: the policies that isolate it in this direction, and what they let pass.

    Not isolated: both empty, and the side lets everything pass.
    """

    direction: Direction
    isolating: tuple[Cause, ...] = ()
    allowing: tuple[Cause, ...] = ()

    @property
    def verdict(self) -> Verdict:
        return Verdict.DENY if self.isolating and not self.allowing else Verdict.ALLOW


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and the two sides that made it: source's egress, destination's ingress.

    `undefined` says why NetworkPolicy leaves the case to the implementation; the verdict is then that of
    the CNI profile. `reason` says why a verdict is UNKNOWN (a Service without a ready endpoint, say) or
    why no policy was asked (a pod to itself). `backends` holds the decision for each pod behind a Service.
    """

    verdict: Verdict
    egress: Side = Side(Direction.EGRESS)
    ingress: Side = Side(Direction.INGRESS)
    undefined: str | None = None
    reason: str | None = None
    backends: tuple[tuple[Flow, Decision], ...] = ()

    @property
    def because(self) -> tuple[Cause, ...]:
        """The causes that decide: what denies where a side denies, else what allows."""
        denying = [side for side in (self.egress, self.ingress) if side.verdict is Verdict.DENY]
        if denying:
            return tuple(cause for side in denying for cause in side.isolating)
        return (*self.egress.allowing, *self.ingress.allowing)
