"""Nothing listens on the port, or only on the loopback address.

A refusal alone does not show this, since some network plugins reject what policies deny: here the policies
allow the source, or a policy-free pod, and that one is refused.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place, target_port
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Leg
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    refusing = [
        leg
        for leg in evidence.legs
        if evidence.refuses(leg) and not (leg.proven or evidence.answers_over_other_family(leg))
    ]
    if not refusing or any(evidence.connects(leg) for leg in evidence.legs) or evidence.outside:
        return None
    if target_port.find(evidence):
        return None
    leg = refusing[0]
    loopback = _on_loopback(evidence, leg)
    if loopback:
        text = f"{leg.end} listens on port {leg.flow.port} on its loopback address only ({loopback})"
        return Cause(Place.LISTENER, text, Fix("let the program listen on all addresses: 0.0.0.0 or ::"))
    free = evidence.free(leg)
    confirmed = free is not None and free.refused
    ends = listed(dict.fromkeys(leg.end for leg in refusing))
    text = f"nothing accepts connections on port {leg.flow.port} of {ends}: refused"
    text += ", to a policy-free pod too" if confirmed else ", though the policies allow it"
    if evidence.listeners(leg) is None:
        text += "; it may listen on its loopback address only, which --ephemeral shows"
    fix = Fix(
        f"start what serves {leg.port} in {ends}, on all of its addresses, or use the port that it serves"
    )
    if confirmed or evidence.listeners(leg) is not None:
        return Cause(Place.LISTENER, text, fix)
    stale = f"the rules of {leg.node} are not those of the policies, and reject it"
    apart = "--ephemeral reads what the pod listens on"
    return Cause(Place.LISTENER, text, fix, or_else=(stale,), tell_apart=apart)


def _on_loopback(evidence: Evidence, leg: Leg) -> str:
    """The loopback address that has a listener on the port, if no other address has one."""
    found = [one for one in evidence.listeners(leg) or () if one.port == leg.flow.port]
    return found[0].address if found and all(one.loopback for one in found) else ""
