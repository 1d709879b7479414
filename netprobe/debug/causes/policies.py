"""Policies deny the traffic, or should and do not."""

from __future__ import annotations

from netprobe.debug.causes.cause import Cause, Fix, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Leg
from netprobe.model.policy import Direction
from netprobe.model.text import listed


def both_policies(evidence: Evidence) -> Cause | None:
    """NetworkPolicies deny it at both ends: opening one of them changes nothing."""
    legs = [leg for leg in evidence.legs if evidence.at_both_ends(leg)]
    if not legs:
        return None
    leg = legs[0]
    sides = {
        denial.direction: f"{denial.policies} ({denial.near.text})" if denial.near else denial.policies
        for denial in leg.denials
    }
    text = (
        f"both ends deny {leg.port} from {evidence.source} to {leg.end}: "
        f"egress is isolated by {sides[Direction.EGRESS]}, ingress by "
        f"{sides[Direction.INGRESS]}{evidence.portion(legs)}"
    )
    return Cause(Place.POLICIES, text, fix_of(legs, "allow it at both ends"))


def almost_allowed(evidence: Evidence) -> Cause | None:
    """A policy almost allows it: one label, namespace, port, protocol, Service port or policy type is off."""
    found = [
        (leg, denial.near)
        for leg, denial in evidence.denials()
        if denial.near and not (denial.other or denial.host_network or evidence.at_both_ends(leg))
    ]
    if not found:
        return None
    leg, near = found[0]
    legs = [leg for leg, _ in found]
    text = (
        f"{near.policy} almost allows {leg.port} from {evidence.source} to {leg.end} "
        f"({near.miss.value}): {near.text}{evidence.portion(legs)}"
    )
    return Cause(Place.POLICIES, text, fix_of(legs, f"correct {near.policy}"))


def egress_policy(evidence: Evidence) -> Cause | None:
    """A NetworkPolicy at the source denies it: its egress is isolated; no rule allows the destination."""
    return _isolated(evidence, Direction.EGRESS)


def ingress_policy(evidence: Evidence) -> Cause | None:
    """A NetworkPolicy at the destination denies it: its ingress is isolated; no rule allows the source."""
    return _isolated(evidence, Direction.INGRESS)


def _isolated(evidence: Evidence, direction: Direction) -> Cause | None:
    found = evidence.plain(direction)
    if not found:
        return None
    leg, denial = found[0]
    legs = [leg for leg, _ in found]
    ends = listed(dict.fromkeys(leg.end for leg in legs))
    subject, peer = (
        (evidence.source, f"to {ends}")
        if direction is Direction.EGRESS
        else (ends, f"from {evidence.source}")
    )
    text = (
        f"{denial.policies} {denial.verb('isolate')} {subject} for {direction.value}, and no rule allows "
        f"{leg.port} {peer}{evidence.portion(legs)}"
    )
    return Cause(Place.POLICIES, text, fix_of(legs, f"allow it in {denial.policies}"))


def host_network(evidence: Evidence) -> Cause | None:
    """An end is on its node's network (hostNetwork): no selector matches it, only blocks of node addresses.

    A policy that allows the pod by its labels has no effect: at the other end, its packets are the node's.
    """
    found = [(leg, denial) for leg, denial in evidence.denials() if denial.host_network]
    if not found:
        return None
    leg, denial = found[0]
    ends = [leg.end, str(evidence.source)]
    subject, pod = ends if denial.direction is Direction.INGRESS else ends[::-1]
    text = (
        f"{pod} is on its node's network (hostNetwork), so the selectors of {denial.policies} do not match "
        f"it: {denial.direction.value} of {subject} on {leg.port} is denied"
    )
    fix = Fix(
        f"allow the addresses of the nodes (ipBlock) in {denial.policies}, or run {pod} without hostNetwork"
    )
    return Cause(Place.POLICIES, text, fix)


def other_policy(evidence: Evidence) -> Cause | None:
    """A policy of another kind or tier than NetworkPolicy denies it, whatever NetworkPolicies allow."""
    found = [(leg, denial) for leg, denial in evidence.denials() if denial.other]
    if not found:
        return None
    leg, denial = found[0]
    legs = [leg for leg, _ in found]
    egress = denial.direction is Direction.EGRESS
    subject, peer = (evidence.source, f"to {leg.end}") if egress else (leg.end, f"from {evidence.source}")
    text = (
        f"{denial.policies} {'denies' if len(denial.names) == 1 else 'deny'} {denial.direction.value} of "
        f"{subject} {peer} on {leg.port}{evidence.portion(legs)}"
    )
    otherwise = f"allow it in {denial.policies}, or in a policy that is evaluated before"
    return Cause(Place.POLICIES, text, fix_of(legs, otherwise))


def not_enforced(evidence: Evidence) -> Cause | None:
    """Policies deny it, but packets pass: nothing enforces policies here, or anywhere.

    This does not block traffic, but what the policies say is not what happens. (A new probe cannot see an old
    connection that outlives a policy.)
    """
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
        name = f" ({evidence.network})" if evidence.network else ""
        fix = Fix(
            f"install a network plugin that enforces policies, or enable enforcement in the present one{name}"
        )
    elif here:
        text += f"; on {listed(here)} a policy that the run created has no effect, on other nodes it has"
        fix = Fix(f"look at the network plugin's agent on {listed(here)}")
    else:
        where = listed(node or "its node" for node in nodes)
        if canaries:
            text += f"; a policy that the run created is in force on {where}, this one is not"
        fix = Fix(f"restart the network plugin's agent on {where}: its rules do not match the policies")
    return Cause(Place.POLICIES, text, fix)


def _passes(evidence: Evidence, leg: Leg) -> bool:
    seen = evidence.seen(leg)
    return seen is not None and seen.connected and seen.denied
