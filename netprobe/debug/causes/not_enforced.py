"""Policies deny it, but packets pass: nothing enforces policies here, or anywhere.

This does not block traffic, but what the policies say is not what happens. (An old connection that outlives a
policy cannot be seen by a new probe.)
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Leg
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    passing = [
        leg for leg in evidence.legs if leg.denied and not leg.decision.undefined and _passes(evidence, leg)
    ]
    if not passing or evidence.packets is None:
        return None
    leg = passing[0]
    policies = listed(dict.fromkeys(denial.policies for denial in leg.denials))
    text = f"{policies} denies {leg.port} from {evidence.source} to {leg.end}, but packets pass anyway"
    canaries = [canary for canary in evidence.packets.canaries if canary.in_force is not None]
    open_nodes = [canary.node for canary in canaries if canary.in_force is False]
    nodes = dict.fromkeys(evidence.deciding_node(leg, denial) for denial in leg.denials)
    here = [node for node in nodes if node in open_nodes]
    if open_nodes and len(open_nodes) == len(canaries):
        where = (
            f"on {listed(open_nodes)}" if len(canaries) > 1 else f"on {open_nodes[0]}, the only node tried"
        )
        text += f"; a policy that the run created has no effect either, {where}: nothing enforces policies"
        name = f" ({evidence.network} runs here)" if evidence.network else ""
        fix = Fix(f"install a network plugin that enforces policies, or switch enforcement on in it{name}")
    elif here:
        text += f"; on {listed(here)} a policy that the run created has no effect, on other nodes it has"
        fix = Fix(f"look at the network plugin's agent on {listed(here)}")
    else:
        where = listed(node or "its node" for node in nodes)
        if canaries:
            text += f"; a policy that the run created is in force on {where}, this one is not"
        fix = Fix(f"restart the network plugin's agent on {where}: its rules are not those of the policies")
    return Cause(Place.POLICIES, text, fix)


def _passes(evidence: Evidence, leg: Leg) -> bool:
    seen = evidence.seen(leg)
    return seen is not None and seen.connected and seen.denied
