"""The sides of a flow: every policy that selects an end, with each rule, peer and port compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netprobe.explain.explanation import Item, PolicyView, RuleView, SideView
from netprobe.explain.obstacle import describe_peer, describe_port, of_peer, of_port
from netprobe.model.flow import Family, Flow
from netprobe.model.policy import AnyPeer, AnyPort, Direction, IPBlock, Place, Policy, Rule
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import ASSUMED, Endpoint


@dataclass(frozen=True, slots=True)
class FlowAtSide:
    """A flow, seen from one of its ends."""

    direction: Direction
    flow: Flow
    family: Family | None
    peer: Endpoint
    destination: Endpoint


def side(simulator: Simulator, direction: Direction, flow: Flow, family: Family | None) -> SideView:
    """One end's view of a flow between pods and addresses."""
    source, destination = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
    ingress = direction is Direction.INGRESS
    subject, peer = (destination, source) if ingress else (source, destination)
    policies = simulator.sides.applying(subject.pod, direction) if subject.pod else []
    seen = FlowAtSide(direction, flow, family, peer, destination)
    views = (
        PolicyView(
            policy.ref,
            tuple(
                _rule(simulator, policy, seen, index, rule)
                for index, rule in enumerate(policy.rules(direction) or ())
            ),
            locate(policy, ""),
        )
        for policy in policies
    )
    compared = {
        ASSUMED[entry.cidr.version]
        for policy in policies
        for rule in policy.rules(direction) or ()
        for entry in rule.peers
        if isinstance(entry, IPBlock)
    }
    assumed = tuple(sorted(compared, key=str)) if peer.assumed else ()
    return SideView(direction, subject.name, peer.name, tuple(views), assumed)


def _rule(simulator: Simulator, policy: Policy, seen: FlowAtSide, index: int, rule: Rule) -> RuleView:
    toward = "from" if seen.direction is Direction.INGRESS else "to"
    path = f"spec.{seen.direction.value}[{index}]"
    peers = tuple(
        _item(
            policy,
            f"{path}.{toward}",
            number,
            describe_peer(entry, policy.ref.namespace),
            isinstance(entry, AnyPeer),
        )
        for number, entry in enumerate(rule.peers)
    )
    ports = tuple(
        _item(policy, f"{path}.ports", number, describe_port(entry), isinstance(entry, AnyPort))
        for number, entry in enumerate(rule.ports)
    )
    return RuleView(
        index,
        path,
        tuple(
            replace(item, obstacle=of_peer(simulator, policy, entry, seen.peer, seen.family))
            for item, entry in zip(peers, rule.peers, strict=True)
        ),
        tuple(
            replace(item, obstacle=of_port(entry, seen.flow, seen.destination))
            for item, entry in zip(ports, rule.ports, strict=True)
        ),
        locate(policy, path),
    )


def _item(policy: Policy, path: str, number: int, says: str, everything: bool) -> Item:
    """An entry of a list. An absent or empty list is one entry without an index."""
    where = path if everything else f"{path}[{number}]"
    return Item(None if everything else number, where, says, place=locate(policy, where))


def locate(policy: Policy, path: str) -> Place | None:
    """Where a path of a policy is in its file; None without a file."""
    if policy.origin is None:
        return None
    return policy.origin.place(path)
