"""Policies that almost allow a flow: in what one rule of them is off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any, Final

from netprobe.debug.evidence import Miss, NearMiss
from netprobe.debug.facts import Facts
from netprobe.explain import Item, ObstacleKind, RuleView, explain
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import Direction, PodPeer, Policy
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.simulate import Simulator

ALIKE: Final = 0.6
"""How similar two values of a label are, from 0 to 1, if one is taken for a typing mistake of the other."""

_LABEL: Final = {ObstacleKind.LABEL_MISSING, ObstacleKind.LABEL_DIFFERENT, ObstacleKind.LABEL_PRESENT}
_NAMESPACE: Final = {
    ObstacleKind.NAMESPACE,
    ObstacleKind.NAMESPACE_LABEL_MISSING,
    ObstacleKind.NAMESPACE_LABEL_DIFFERENT,
    ObstacleKind.NAMESPACE_LABEL_PRESENT,
}


def near_miss(simulator: Simulator, facts: Facts, flow: Flow, direction: Direction) -> NearMiss | None:
    """The first policy of a side that almost allows the flow; None if none does."""
    found = next(_rules(simulator, flow, direction), None)
    return found or _policy_types(simulator, facts, flow, direction)


def _rules(simulator: Simulator, flow: Flow, direction: Direction) -> Iterator[NearMiss]:
    policies = {policy.ref: policy for policy in simulator.cluster.policies}
    for side in explain(simulator, flow, suggest=False).sides:
        if side.direction is not direction:
            continue
        for view in side.policies:
            for rule in view.rules:
                if view.policy.kind != NETWORK_POLICY.kind:
                    continue
                if rule.peer_matches:
                    yield from _port(f"NetworkPolicy {view.policy}", simulator, flow, rule)
                elif rule.port_matches and view.policy in policies:
                    yield from _peer(policies[view.policy], simulator, flow, direction, rule)


def _port(name: str, simulator: Simulator, flow: Flow, rule: RuleView) -> Iterator[NearMiss]:
    """A rule for this peer, and for other ports."""
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
    """The Service whose port a rule names, in place of the port of its pods; "" if there is none."""
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
    """A rule for this port, and for pods that are almost the peer."""
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


def _policy_types(simulator: Simulator, facts: Facts, flow: Flow, direction: Direction) -> NearMiss | None:
    """A section without effect that would allow it, or a direction that policyTypes closes without rules."""
    word, key = direction.value.capitalize(), direction.value
    subject = flow.destination if direction is Direction.INGRESS else flow.source
    for obj in facts.around.of("NetworkPolicy", subject.namespace if isinstance(subject, PodRef) else None):
        spec: dict[str, Any] = obj.get("spec") or {}
        types = spec.get("policyTypes") or ()
        name = f"NetworkPolicy {obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
        if spec.get(key) and types and word not in types:
            changed = {**obj, "spec": {**spec, "policyTypes": [*types, word]}}
            policy = NETWORK_POLICY.policy(changed)
            others = tuple(one for one in simulator.cluster.policies if one.ref != policy.ref)
            cluster = replace(simulator.cluster, policies=(*others, policy))
            decision = Simulator(cluster, simulator.profile).decide(flow)
            side = decision.ingress if direction is Direction.INGRESS else decision.egress
            if side.verdict is Verdict.ALLOW:
                text = f"its {key} rules allow it, but spec.policyTypes has no {word}, so they have no effect"
                return NearMiss(name, Miss.POLICY_TYPES, text)
    for policy in simulator.cluster.policies:
        other = Direction.EGRESS if direction is Direction.INGRESS else Direction.INGRESS
        decides = any(
            cause.policy == policy.ref
            for side in (simulator.decide(flow).ingress, simulator.decide(flow).egress)
            if side.direction is direction
            for cause in side.isolating
        )
        if decides and policy.rules(direction) == () and policy.rules(other):
            text = f"spec.policyTypes has {word}, but it has no {key} rules, so all {key} is denied"
            return NearMiss(f"NetworkPolicy {policy.ref}", Miss.POLICY_TYPES, text)
    return None
