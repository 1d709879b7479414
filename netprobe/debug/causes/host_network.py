"""An end is on its node's network (hostNetwork): selectors do not match it, only blocks of node addresses.

A policy that allows the pod by its labels has no effect then: at the other end, its packets are the node's.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.model.policy import Direction


def find(evidence: Evidence) -> Cause | None:
    found = [(leg, denial) for leg, denial in evidence.denials() if denial.host_network]
    if not found:
        return None
    leg, denial = found[0]
    ingress = denial.direction is Direction.INGRESS
    pod = str(evidence.source) if ingress else leg.end
    text = (
        f"{pod} is on its node's network (hostNetwork), so the selectors of {denial.policies} do not match "
        f"it: {denial.direction.value} of {leg.end if ingress else evidence.source} on {leg.port} is denied"
    )
    fix = Fix(
        f"allow the addresses of the nodes (ipBlock) in {denial.policies}, or run {pod} without hostNetwork"
    )
    return Cause(Place.POLICIES, text, fix)
