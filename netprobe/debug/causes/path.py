"""Packets are dropped on the way."""

from __future__ import annotations

from netprobe.debug.causes.cause import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Leg, Packets, Sender
from netprobe.model.flow import Protocol
from netprobe.model.text import listed


def packets_dropped(evidence: Evidence) -> Cause | None:
    """Policies allow it, but packets are dropped: a lag, stale rules on a node, or a broken path.

    Which one, and on which node, follows from three other tries (and from one of the run's own policies,
    which is in force on a node only if its agent works):

        policy-free pod -> policy-free pod on the destination's node   fails: the path is broken
        source          -> policy-free pod on the destination's node   fails: the source's node drops it
        policy-free pod -> destination                                 fails: the destination's node drops it

    A lag ends by itself, stale rules do not. A firewall of the node, and a policy of a kind that is not
    simulated, look like stale rules; where they fit, they are named too.
    """
    packets = evidence.packets
    if packets is None:
        return None
    blocked = [leg for leg in evidence.legs if not evidence.reaches(leg.end)]
    for leg in blocked:
        if cause := _agent(evidence, packets, leg) or _path(packets, leg):
            return cause
    for leg in blocked:
        if _dropped(evidence, leg):
            return _rules(evidence, packets, leg)
    return _service(evidence, packets) or _lagged(evidence, packets)


def _dropped(evidence: Evidence, leg: Leg) -> bool:
    """Whether packets of the source are dropped, or rejected, that the policies allow."""
    seen = evidence.seen(leg)
    if seen is None or leg.denied:
        return False
    # outside, and over UDP, a server that does not answer looks the same
    unsure = evidence.outside or leg.flow.protocol is Protocol.UDP
    if unsure and not evidence.free_connects(leg):
        return False
    return seen.lost or (seen.refused and (leg.proven or not evidence.refuses(leg)))


def _lagged(evidence: Evidence, packets: Packets) -> Cause | None:
    """Packets were dropped at first, and then were not."""
    if packets.lag_s is None or not all(evidence.connects(leg) for leg in evidence.legs):
        return None
    text = (
        f"enforcement lagged: packets to {listed(dict.fromkeys(leg.end for leg in evidence.legs))} were "
        f"dropped for {packets.lag_s:.1f} s, though policies allow them; now they pass"
    )
    return Cause(Place.PATH, text, Fix("nothing to do: it has ended by itself"), over=True)


def _agent(evidence: Evidence, packets: Packets, leg: Leg) -> Cause | None:
    """Pods that have just started on a node have no network: its agent does not connect them."""
    source = evidence.source.pod
    for node in dict.fromkeys((leg.node, source.node if source else None)):
        within = packets.within(node)
        if within is None or not within.lost:
            continue
        text = (
            f"packets are dropped on {node}: the network plugin's agent there does not work, so its rules "
            f"are stale, and pods that have just started have no network ({within.word})"
        )
        fix = Fix(f"look at the network plugin's agent on {node}, and restart it")
        if leg.proven and node == leg.node:
            return Cause(Place.PATH, f"{text}; {leg.end}, which is older, still answers its node", fix)
        other = f"the pod network of {node} is broken, for older pods too"
        apart = f"--ephemeral sends from the real pod; the agent on {node} should run, and be ready"
        return Cause(Place.PATH, text, fix, (other,), apart)
    return None


def _path(packets: Packets, leg: Leg) -> Cause | None:
    """Policy-free pods on two nodes do not reach each other either."""
    pair = packets.control(leg.node, Sender.FREE)
    if pair is None or not pair.lost:
        return None
    text = (
        f"the path from {pair.node} to {pair.to_node} is broken: two pods without policies do not connect "
        f"either ({pair.word})"
    )
    fix = Fix(
        f"look at the network between {pair.node} and {pair.to_node}: the overlay's port, a firewall between "
        "nodes, routes, and the network plugin's agents on both"
    )
    return Cause(Place.PATH, text, fix)


def _rules(evidence: Evidence, packets: Packets, leg: Leg) -> Cause:
    """The path is good, so the rules on one of the nodes drop it."""
    nodes, why = _side(evidence, packets, leg)
    text = f"policies allow {leg.port} from {evidence.source} to {leg.end}, but packets are dropped"
    where = listed(nodes)
    late = {canary.node: canary for canary in packets.canaries if canary.in_force is False}
    stale = [node for node in nodes if node in late]
    if stale:
        text += f" on {listed(stale)}, whose rules are stale: {why}"
        seen_s = late[stale[0]].seen_s
        text += f"; a policy that the run created is not in force there after {seen_s:.0f} s"
        fix = Fix(f"look at the network plugin's agent on {listed(stale)}, and restart it")
        if any(canary.in_force for canary in packets.canaries):
            return Cause(Place.PATH, text, fix)
        lag = "enforcement lags on all nodes, which ends by itself"
        return Cause(Place.PATH, text, fix, (lag,), "--watch tells when it ends")
    text += f" on {where}, by stale rules: {why}"
    if all(packets.in_force(node) for node in nodes):
        text += "; new policies are in force there"
    fix = Fix(f"restart the network plugin's agent on {where}, so that it rewrites its rules")
    others = [f"a firewall of {where} drops them", *(f"{phrase} denies it" for phrase in evidence.others)]
    if packets.control(leg.node, Sender.FREE) is None:
        others.append(f"the path to {leg.node} is broken: no pod of the run could be started there")
    apart = f"stale rules are gone after a restart of the agent; nft list ruleset on {where} shows a firewall"
    if evidence.others:
        apart += "; netprobe does not simulate the other policies, so read them"
    return Cause(Place.PATH, text, fix, tuple(others), apart)


def _side(evidence: Evidence, packets: Packets, leg: Leg) -> tuple[list[str], str]:
    """The nodes whose rules may drop it, and why these."""
    here = evidence.source.pod.node if evidence.source.pod else None
    there = leg.node
    out, into = packets.control(leg.node, Sender.SOURCE), evidence.free(leg)
    source, destination = [here or "the source's node"], [there or "the destination's node"]
    if out is not None and out.lost:
        return source, f"the source does not reach a policy-free pod on {there} either"
    if into is not None and into.lost:
        return destination, f"a policy-free pod does not reach {leg.end} either"
    if out is not None and out.connected:
        return destination, f"the source reaches a policy-free pod on {there}"
    if into is not None and into.connected:
        return source, f"a policy-free pod reaches {leg.end}"
    return list(dict.fromkeys([*source, *destination])), "neither side could be tried with a policy-free pod"


def _service(evidence: Evidence, packets: Packets) -> Cause | None:
    """Every backend is reached, and the Service's address is not: it is not translated."""
    tried = [one for one in packets.all(Aim.SERVICE, Sender.SOURCE) if one.lost or one.refused]
    if not tried or evidence.service is None or not all(evidence.connects(leg) for leg in evidence.legs):
        return None
    one = tried[0]
    text = (
        f"all backends of {evidence.service.ref} accept connections, but its address {one.host} does not on "
        f"{one.node} ({one.word}): the Service is not translated there"
    )
    return Cause(Place.PATH, text, Fix(f"look at kube-proxy, or what replaces it, on {one.node}"))


def outside_silent(evidence: Evidence) -> Cause | None:
    """The external address does not answer policy-free pods either: the fault is not in the policies."""
    if not evidence.outside:
        return None
    tried = [(leg, free) for leg in evidence.legs if (free := evidence.free(leg)) and not free.denied]
    if not tried or any(free.connected or evidence.connects(leg) for leg, free in tried):
        return None
    leg, free = tried[0]
    text = (
        f"{leg.address} does not answer anyone on {leg.port}, "
        f"not even a policy-free pod on {free.node} ({free.word})"
    )
    fix = Fix("look outside the cluster: the server, its firewall, and the route to it from the nodes")
    return Cause(Place.PATH, text, fix)
