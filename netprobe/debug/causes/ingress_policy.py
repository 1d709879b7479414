"""A NetworkPolicy at the destination denies it: its ingress is isolated, and no rule allows the source."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.model.policy import Direction
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    found = evidence.plain(Direction.INGRESS)
    if not found:
        return None
    leg, denial = found[0]
    ends = listed(dict.fromkeys(leg.end for leg, _ in found))
    text = (
        f"{denial.policies} {denial.verb('isolate')} {ends} for ingress, and no rule allows {leg.port} "
        f"from {evidence.source}{evidence.portion(leg for leg, _ in found)}"
    )
    return Cause(Place.POLICIES, text, fix_of((leg for leg, _ in found), f"allow it in {denial.policies}"))
