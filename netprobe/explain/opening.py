"""What would allow a denied flow on one side: a label, a port, a peer, a rule, or a policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from netprobe.explain.explanation import ObstacleKind, PolicyView, RuleView, SideView, SuggestedEdit
from netprobe.explain.obstacle import describe_peer, describe_pods, describe_port
from netprobe.manifests.change import Apply, Patch, SetLabels, pointer
from netprobe.manifests.workload import CONTROLLER_LABELS
from netprobe.model.flow import Flow
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Labels, Selector
from netprobe.model.policy import (
    Direction,
    IPBlock,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
)
from netprobe.policies.networkpolicy import dump_policy
from netprobe.simulate import Simulator

LABEL, PORT, PEER, RULE, POLICY = range(1, 6)
"""Costs. A missing label is what people forget most often."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits that should reverse the verdict of one side. The lower the cost, the likelier what is wanted."""

    cost: int
    edits: tuple[SuggestedEdit, ...]


class Opener:
    """Makes the candidates for one side of one flow."""

    def __init__(self, simulator: Simulator, flow: Flow, side: SideView) -> None:
        self._side, self._section = side, side.direction.value
        ends = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
        ingress = side.direction is Direction.INGRESS
        self._peers_key = "from" if ingress else "to"
        self._peer, self._subject = ends if ingress else ends[::-1]
        self._family = flow.family or simulator.families(flow.source, flow.destination)[0]
        self._port: Port = PortRange(flow.protocol, flow.port, flow.port)

    def candidates(self) -> Iterator[Candidate]:
        for policy in self._side.policies:
            for rule in policy.rules:
                if rule.peer_matches:
                    yield self._add_port(policy, rule)
                if rule.port_matches:
                    yield from self._add_label(rule)
                    yield from self._add_peer(policy, rule)
            yield from self._add_rule(policy) if policy.rules else self._add_policy(policy)

    def _add_port(self, policy: PolicyView, rule: RuleView) -> Candidate:
        port = self._dumped(Rule(ports=(self._port,)))["ports"][0]
        text = f"add {describe_port(self._port)} to {rule.path.removeprefix('spec.')}.ports"
        return Candidate(PORT, (self._edit(policy, rule, "ports", text, port),))

    def _add_peer(self, policy: PolicyView, rule: RuleView) -> Iterator[Candidate]:
        for peer in self._new_peers(policy):
            path = f"{rule.path}.{self._peers_key}"
            item = self._dumped(Rule((peer,)))[self._peers_key][0]
            text = f"add {describe_peer(peer, policy.policy.namespace)} to {path.removeprefix('spec.')}"
            yield Candidate(PEER, (self._edit(policy, rule, self._peers_key, text, item),))

    def _add_rule(self, policy: PolicyView) -> Iterator[Candidate]:
        path = f"spec.{self._section}"
        for peer in self._new_peers(policy):
            rule = self._dumped(Rule((peer,), (self._port,)))
            text = f"add a rule to {policy.policy} that {self._allows(peer, policy)}"
            change = _patch(policy, pointer("spec", self._section, "-"), rule)
            yield Candidate(RULE, (SuggestedEdit(str(policy.policy), path, text, change, policy.place),))

    def _add_policy(self, policy: PolicyView) -> Iterator[Candidate]:
        """A new policy, for one without rules: that is probably a default deny."""
        if self._subject.pod is None:
            return
        namespace, pods = policy.policy.namespace, own_labels(self._subject.pod.labels)
        for peer in self._new_peers(policy):
            text = (
                f"add a policy to {namespace} that selects {describe_pods(pods)} "
                f"and {self._allows(peer, policy)}"
            )
            rule = Rule((peer,), (self._port,))
            change = Apply(new_policy(namespace, pods, self._side.direction, rule))
            edit = SuggestedEdit(f"namespace {namespace}", f"spec.{self._section}", text, change)
            yield Candidate(POLICY, (edit,))

    def _add_label(self, rule: RuleView) -> Iterator[Candidate]:
        """The one label that a peer requires and the other end does not have at all."""
        if self._peer.pod is None:
            return
        ref = self._peer.pod.ref
        for item in rule.peers:
            obstacle = item.obstacle
            if obstacle is None or obstacle.label is None:
                continue
            labels = dict((obstacle.label,))
            if obstacle.kind is ObstacleKind.NAMESPACE_LABEL_MISSING:
                change, target = SetLabels("Namespace", ref.namespace, labels), f"namespace {ref.namespace}"
            elif obstacle.kind is ObstacleKind.LABEL_MISSING:
                change, target = SetLabels("Pod", str(ref), labels), f"pod {ref}"
            else:
                continue
            text = f"label {target} {'='.join(obstacle.label)}"
            yield Candidate(LABEL, (SuggestedEdit(target, "metadata.labels", text, change),))

    def _allows(self, peer: Peer, policy: PolicyView) -> str:
        end = describe_peer(peer, policy.policy.namespace)
        return f"allows {describe_port(self._port)} {self._peers_key} {end}"

    def _edit(self, policy: PolicyView, rule: RuleView, key: str, text: str, item: Any) -> SuggestedEdit:
        """Append an item to a list of a rule."""
        change = _patch(policy, pointer("spec", self._section, rule.index, key, "-"), item)
        name = str(policy.policy)
        return SuggestedEdit(name, f"{rule.path}.{key}", f"{text} of {name}", change, rule.place)

    def _dumped(self, rule: Rule) -> Any:
        """A rule as in an API object."""
        return new_policy("", EVERYTHING, self._side.direction, rule)["spec"][self._section][0]

    def _new_peers(self, policy: PolicyView) -> Iterator[Peer]:
        """A peer for the other end: by labels for a pod, by address for everything else."""
        pod = self._peer.pod
        if pod is None:
            address = self._peer.address(self._family)
            if address is not None:
                yield IPBlock(ip_network(address))
            return
        selector = own_labels(pod.labels)
        if pod.ref.namespace == policy.policy.namespace:
            yield PodPeer(selector)
        else:
            yield PodPeer(selector, Selector.of({NAME_LABEL: pod.ref.namespace}))


def _patch(policy: PolicyView, path: str, value: Any) -> Patch:
    operation = {"op": "add", "path": path, "value": value}
    return Patch(policy.policy.kind, str(policy.policy), (operation,))


def new_policy(namespace: str, pods: Selector, direction: Direction, *rules: Rule) -> dict[str, Any]:
    """An object that isolates pods in one direction, except for what the rules allow."""
    ingress = rules if direction is Direction.INGRESS else None
    egress = rules if direction is Direction.EGRESS else None
    ref = PolicyRef(namespace, f"netprobe-suggests-{direction.value}")
    return dump_policy(Policy(ref, Subject(pods), ingress, egress))


def own_labels(labels: Labels) -> Selector:
    """A selector by the labels of a pod that people set."""
    written = {key: value for key, value in labels.items() if key not in CONTROLLER_LABELS}
    return Selector.of(written) if written else EVERYTHING
