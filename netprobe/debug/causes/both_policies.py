"""NetworkPolicies deny it at both ends: opening one of them changes nothing."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Denial
from netprobe.model.policy import Direction


def find(evidence: Evidence) -> Cause | None:
    legs = [leg for leg in evidence.legs if evidence.at_both_ends(leg)]
    if not legs:
        return None
    leg = legs[0]
    sides = {denial.direction: denial for denial in leg.denials}
    text = (
        f"both ends deny {leg.port} from {evidence.source} to {leg.end}: "
        f"egress is isolated by {_side(sides[Direction.EGRESS])}, ingress by "
        f"{_side(sides[Direction.INGRESS])}{evidence.portion(legs)}"
    )
    return Cause(Place.POLICIES, text, fix_of(legs, "allow it at both ends"))


def _side(denial: Denial) -> str:
    return f"{denial.policies} ({denial.near.text})" if denial.near else denial.policies
