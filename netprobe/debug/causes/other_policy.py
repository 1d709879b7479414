"""A policy of another kind or tier than NetworkPolicy denies it, whatever NetworkPolicies allow."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.model.policy import Direction


def find(evidence: Evidence) -> Cause | None:
    found = [(leg, denial) for leg, denial in evidence.denials() if denial.other]
    if not found:
        return None
    leg, denial = found[0]
    egress = denial.direction is Direction.EGRESS
    peer = f"to {leg.end}" if egress else f"from {evidence.source}"
    text = (
        f"{denial.policies} {'denies' if len(denial.names) == 1 else 'deny'} {denial.direction.value} of "
        f"{evidence.source if egress else leg.end} {peer} on {leg.port}"
        f"{evidence.portion(leg for leg, _ in found)}"
    )
    otherwise = f"allow it in {denial.policies}, or in a policy that is evaluated before"
    return Cause(Place.POLICIES, text, fix_of((leg for leg, _ in found), otherwise))
