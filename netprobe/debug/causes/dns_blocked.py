"""A policy blocks the source's DNS queries: it works by address but not by name.

An egress policy isolates the source, and no rule allows port 53/UDP to the cluster's DNS.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.model.policy import Direction
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    dns, name = evidence.dns, evidence.name
    if dns is None or name is None or evidence.dns_answers():
        return None
    denials = [denial for denial in dns.denials if evidence.enforced(dns, denial)]
    if not denials:
        return None
    policies = listed(denials[0].names)
    text = (
        f"{policies} allows {evidence.source} no DNS: it may not send to {dns.end} on 53/UDP, so "
        f"{name.text} does not resolve there"
        if denials[0].direction is Direction.EGRESS
        else f"{policies} of {dns.end} does not let {evidence.source} ask for {name.text} (53/UDP)"
    )
    fix = fix_of([dns], f"allow egress of {evidence.source} to {dns.end} on 53/UDP and 53/TCP")
    return Cause(Place.NAME if _first(evidence) else Place.LISTENER, text, fix)


def _first(evidence: Evidence) -> bool:
    """A Service that was given as such is reached by its address too: what blocks that comes first."""
    given = evidence.name is not None and evidence.name.given
    return given or not any(denial.direction is Direction.EGRESS for _, denial in evidence.denials())
