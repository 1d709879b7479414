"""The sides of a flow: every policy that selects an end, with each rule, peer and port compared."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.explain.explanation import Item, Obstacle, PolicyView, RuleView, SideView
from netprobe.explain.obstacle import describe_peer, describe_port, of_peer, of_port
from netprobe.model.flow import Family, Flow
from netprobe.model.policy import ANY_PORT, AnyPeer, Direction, IPBlock, Place, Policy, Rule
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import ASSUMED


def side(simulator: Simulator, direction: Direction, flow: Flow, family: Family | None) -> SideView:
    """One end's view of a flow between pods and addresses."""
    source, destination = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
    ingress = direction is Direction.INGRESS
    subject, peer = (destination, source) if ingress else (source, destination)
    policies = simulator.sides.applying(subject.pod, direction) if subject.pod else []

    def view(policy: Policy, index: int, rule: Rule) -> RuleView:
        path = f"spec.{direction.value}[{index}]"
        peers = (
            (describe_peer(each, policy.ref.namespace), of_peer(simulator, policy, each, peer, family))
            for each in rule.peers
        )
        ports = ((describe_port(each), of_port(each, flow, destination)) for each in rule.ports)
        return RuleView(
            index,
            path,
            _items(policy, f"{path}.{'from' if ingress else 'to'}", peers, rule.peers == (AnyPeer(),)),
            _items(policy, f"{path}.ports", ports, rule.ports == ANY_PORT),
            locate(policy, path),
        )

    rules = {policy.ref: policy.rules(direction) or () for policy in policies}
    views = (
        PolicyView(
            policy.ref,
            tuple(view(policy, index, rule) for index, rule in enumerate(rules[policy.ref])),
            locate(policy, ""),
        )
        for policy in policies
    )
    peers = (entry for own in rules.values() for rule in own for entry in rule.peers)
    compared = {ASSUMED[entry.cidr.version] for entry in peers if isinstance(entry, IPBlock)}
    assumed = tuple(sorted(compared, key=str)) if peer.assumed else ()
    return SideView(direction, subject.name, peer.name, tuple(views), assumed)


def _items(
    policy: Policy, path: str, entries: Iterable[tuple[str, Obstacle | None]], everything: bool
) -> tuple[Item, ...]:
    """The entries of a list. An absent or empty list is one entry without an index."""
    found = []
    for index, (says, obstacle) in enumerate(entries):
        where = path if everything else f"{path}[{index}]"
        found.append(Item(None if everything else index, where, says, obstacle, locate(policy, where)))
    return tuple(found)


def locate(policy: Policy, path: str) -> Place | None:
    """Where a path of a policy is in its file; None without a file."""
    return policy.origin.place(path) if policy.origin is not None else None
