"""Policies that almost allow a flow, and what is wrong with their rule."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import chain
from typing import Final

from netprobe.debug.records import Miss, NearMiss
from netprobe.explain import Item, NearMissKind, ObstacleKind, RuleView, SideView
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import NETWORK_POLICY, Direction, PodPeer, Policy, PortRange
from netprobe.simulate import Simulator

ALIKE: Final = 0.6
"""How similar two values of a label are, from 0 to 1, for one to count as a typo of the other."""

DNS: Final = 53

_MISSED: Final = {
    NearMissKind.LABELS: Miss.LABEL,
    NearMissKind.NAMESPACE: Miss.NAMESPACE,
    NearMissKind.DIRECTION: Miss.POLICY_TYPES,
}
_LABEL: Final = {ObstacleKind.LABEL_MISSING, ObstacleKind.LABEL_DIFFERENT, ObstacleKind.LABEL_PRESENT}
_NAMESPACE: Final = {
    ObstacleKind.NAMESPACE,
    ObstacleKind.NAMESPACE_LABEL_MISSING,
    ObstacleKind.NAMESPACE_LABEL_DIFFERENT,
    ObstacleKind.NAMESPACE_LABEL_PRESENT,
}


def near_miss(simulator: Simulator, flow: Flow, side: SideView) -> NearMiss | None:
    """The first policy that almost allows the flow on a side that denies it; None if none does."""
    not_applying = (
        NearMiss(f"{miss.policy.kind} {miss.policy}", _MISSED[miss.kind], miss.text) for miss in side.near
    )
    return next(chain(_rules(simulator, flow, side), not_applying, _closed(simulator, side)), None)


def _rules(simulator: Simulator, flow: Flow, side: SideView) -> Iterator[NearMiss]:
    """Policies that apply and have a rule that matches except for its peers or its ports."""
    policies = {policy.ref: policy for policy in simulator.cluster.policies}
    for view in side.policies:
        for rule in view.rules if view.policy.kind == NETWORK_POLICY else ():
            policy = policies[view.policy]
            if rule.peer_matches and not _allows_dns(policy, flow, side.direction, rule):
                yield from _port(f"NetworkPolicy {view.policy}", simulator, flow, rule)
            elif rule.port_matches:
                yield from _peer(policy, simulator, flow, side.direction, rule)


def _closed(simulator: Simulator, side: SideView) -> Iterator[NearMiss]:
    """Policies that close the direction by policyTypes alone, though they have rules for the other one."""
    other = Direction.EGRESS if side.direction is Direction.INGRESS else Direction.INGRESS
    applying = {view.policy for view in side.policies if view.policy.kind == NETWORK_POLICY}
    for policy in simulator.cluster.policies:
        if policy.ref in applying and policy.rules(side.direction) == () and policy.rules(other):
            word = side.direction.value
            text = (
                f"spec.policyTypes has {word.capitalize()}, but there are no {word} rules, so all is denied"
            )
            yield NearMiss(f"NetworkPolicy {policy.ref}", Miss.POLICY_TYPES, text)


def _allows_dns(policy: Policy, flow: Flow, direction: Direction, rule: RuleView) -> bool:
    """Whether a rule is the usual one that allows DNS, and so was not written for this flow."""
    ports = (policy.rules(direction) or ())[rule.index].ports
    return flow.port != DNS and all(isinstance(port, PortRange) and port.first == DNS for port in ports)


def _port(name: str, simulator: Simulator, flow: Flow, rule: RuleView) -> Iterator[NearMiss]:
    """A rule that matches this peer on other ports."""
    for item in rule.ports:
        if item.obstacle is None:
            continue
        if item.obstacle.kind is ObstacleKind.PROTOCOL:
            yield NearMiss(name, Miss.PROTOCOL, f"{item.path} is {item.says}: {item.obstacle.text}")
            return
        service = _service_port(simulator, flow, item)
        if service:
            text = f"{item.path} is the port of {service}, but policies see the port of the pod, {flow.port}"
            yield NearMiss(name, Miss.SERVICE_PORT, text)
            return
    first = next((item for item in rule.ports if item.obstacle), None)
    if first is not None and first.obstacle is not None:
        yield NearMiss(name, Miss.PORT, f"{first.path} is {first.says}: {first.obstacle.text}")


def _service_port(simulator: Simulator, flow: Flow, item: Item) -> str:
    """The Service whose port a rule names instead of the port of its pods; "" if there is none."""
    pod = simulator.cluster.pods.get(flow.destination) if isinstance(flow.destination, PodRef) else None
    if pod is None:
        return ""
    for ref, service in simulator.cluster.services.items():
        selects = (
            ref.namespace == pod.ref.namespace
            and service.selector
            and service.selector.items() <= pod.labels.items()
        )
        for entry in service.ports if selects else ():
            if (
                entry.protocol is flow.protocol
                and entry.port != flow.port
                and str(entry.port) in item.says.split("/")[0].split()
            ):
                return str(ref)
    return ""


def _peer(
    policy: Policy, simulator: Simulator, flow: Flow, direction: Direction, rule: RuleView
) -> Iterator[NearMiss]:
    """A rule that matches this port and almost matches the peer."""
    end = flow.source if direction is Direction.INGRESS else flow.destination
    pod = simulator.cluster.pods.get(end) if isinstance(end, PodRef) else None
    if pod is None or pod.host_network:
        return
    name = f"NetworkPolicy {policy.ref}"
    peers = (policy.rules(direction) or ())[rule.index].peers
    for item in rule.peers:
        obstacle = item.obstacle
        peer = peers[item.index] if item.index is not None and item.index < len(peers) else None
        if obstacle is None or not isinstance(peer, PodPeer):
            continue
        text = f"{item.path}: {obstacle.text}"
        if obstacle.kind in _NAMESPACE:
            named = bool(peer.pods.match_labels or peer.pods.requirements)
            missing = obstacle.kind is ObstacleKind.NAMESPACE_LABEL_MISSING
            if peer.pods.matches(pod.labels) and (
                named or missing or _alike(obstacle.wanted, obstacle.found)
            ):
                yield NearMiss(name, Miss.NAMESPACE, text)
        elif obstacle.kind in _LABEL:
            off = [key for key, value in peer.pods.match_labels if pod.labels.get(key) != value]
            others = len(peer.pods.match_labels) > len(off) == 1
            missing = obstacle.kind is ObstacleKind.LABEL_MISSING and len(off) <= 1
            if others or missing or _alike(obstacle.wanted, obstacle.found):
                yield NearMiss(name, Miss.LABEL, text)


def _alike(one: str, other: str | None) -> bool:
    first, second = (text.rpartition("=")[2] for text in (one, other or ""))
    return SequenceMatcher(None, first, second).ratio() >= ALIKE
