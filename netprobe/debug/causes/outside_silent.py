"""The external address does not answer policy-free pods either: the fault is not in the policies."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    if not evidence.outside:
        return None
    tried = [(leg, free) for leg in evidence.legs if (free := evidence.free(leg)) and not free.denied]
    if not tried or any(free.connected or evidence.connects(leg) for leg, free in tried):
        return None
    leg, free = tried[0]
    text = (
        f"{leg.address} does not answer on {leg.port} ({free.word}), "
        f"not even a policy-free pod on {free.node}"
    )
    fix = Fix("look outside the cluster: the server, its firewall, and the route to it from the nodes")
    return Cause(Place.PATH, text, fix)
