"""What would let a denied flow pass one side: a label, a port, a peer, else a rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import ip_network

from netprobe.explain.edit import (
    Candidate,
    directed,
    with_namespace_label,
    with_pod_label,
    with_policy,
    with_rules,
)
from netprobe.explain.obstacle import say_peer, say_pods, say_port
from netprobe.explain.record import Edit, Kind, PolicyView, RuleView, SideView
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
from netprobe.simulate import Simulator

GENERATED = (
    "pod-template-hash",
    "pod-template-generation",
    "controller-revision-hash",
    "statefulset.kubernetes.io/",
    "batch.kubernetes.io/",
    "apps.kubernetes.io/",
    "job-name",
    "controller-uid",
)
"""Labels that controllers write; nobody should write a policy by them."""

LABEL, PORT, PEER, RULE, POLICY = range(1, 6)
"""Costs. A label that is missing altogether is what was forgotten most often."""


class Opener:
    """Makes the candidates for one side of one flow."""

    def __init__(self, simulator: Simulator, flow: Flow, side: SideView) -> None:
        self._policies = {policy.ref: policy for policy in simulator.cluster.policies}
        self._side, self._direction = side, side.direction
        self._toward = "from" if side.direction is Direction.INGRESS else "to"
        self._end = simulator.endpoint(flow.source if self._toward == "from" else flow.destination)
        self._subject = simulator.endpoint(flow.destination if self._toward == "from" else flow.source)
        self._family = flow.family or simulator.families(flow.source, flow.destination)[0]
        self._port: Port = PortRange(flow.protocol, flow.port, flow.port)

    def candidates(self) -> Iterator[Candidate]:
        for view in self._side.policies:
            policy = self._policies[view.policy]
            for rule in view.rules:
                if rule.peer_matches:
                    yield self._add_port(policy, rule)
                if rule.port_matches:
                    yield from self._add_label(rule)
                    yield from self._add_peer(policy, rule)
            yield from self._add_rule(policy, view)

    def _add_port(self, policy: Policy, rule: RuleView) -> Candidate:
        path = f"{rule.path}.ports"
        text = f"add {say_port(self._port)} to {path.removeprefix('spec.')} of {policy.ref}"
        changed = self._rule(policy, rule)
        changed = replace(changed, ports=(*changed.ports, self._port))
        return self._candidate(PORT, policy, Edit(str(policy.ref), path, text, rule.place), rule, changed)

    def _add_peer(self, policy: Policy, rule: RuleView) -> Iterator[Candidate]:
        for peer in self._peers(policy):
            path = f"{rule.path}.{self._toward}"
            text = f"add {say_peer(peer, policy)} to {path.removeprefix('spec.')} of {policy.ref}"
            changed = self._rule(policy, rule)
            changed = replace(changed, peers=(*changed.peers, peer))
            edit = Edit(str(policy.ref), path, text, rule.place)
            yield self._candidate(PEER, policy, edit, rule, changed)

    def _add_rule(self, policy: Policy, view: PolicyView) -> Iterator[Candidate]:
        """A rule more; a policy without rules is likely a default deny, so a policy beside it instead."""
        path = f"spec.{self._direction.value}"
        for peer in self._peers(policy):
            rule = Rule((peer,), (self._port,))
            what = f"allows {say_port(self._port)} {self._toward} {say_peer(peer, policy)}"
            if view.rules:
                edit = Edit(str(policy.ref), path, f"add a rule to {policy.ref} that {what}", view.place)
                rules = (*(policy.rules(self._direction) or ()), rule)
                apply = partial(with_rules, ref=policy.ref, direction=self._direction, rules=rules)
                yield Candidate(RULE, (edit,), apply)
            elif self._subject.pod is not None:
                namespace, subjects = policy.ref.namespace, telling(self._subject.pod.labels)
                text = f"add a policy to {namespace} that selects {say_pods(subjects)} and {what}"
                made = directed(
                    Policy(PolicyRef(namespace, "netprobe-suggests"), Subject(subjects)),
                    self._direction,
                    (rule,),
                )
                yield Candidate(
                    POLICY, (Edit(f"namespace {namespace}", path, text),), partial(with_policy, policy=made)
                )

    def _add_label(self, rule: RuleView) -> Iterator[Candidate]:
        """The one label that keeps a peer from matching, where it is missing altogether."""
        if self._end.pod is None:
            return
        ref = self._end.pod.ref
        for item in rule.peers:
            obstacle = item.obstacle
            if obstacle is None or obstacle.label is None:
                continue
            label = dict((obstacle.label,))
            if obstacle.kind is Kind.NAMESPACE_LABEL_MISSING:
                target = f"namespace {ref.namespace}"
                apply = partial(with_namespace_label, name=ref.namespace, label=label)
            elif obstacle.kind is Kind.LABEL_MISSING:
                target, apply = f"pod {ref}", partial(with_pod_label, ref=ref, label=label)
            else:
                continue
            edit = Edit(target, "metadata.labels", f"label {target} {'='.join(obstacle.label)}")
            yield Candidate(LABEL, (edit,), apply)

    def _rule(self, policy: Policy, rule: RuleView) -> Rule:
        return (policy.rules(self._direction) or ())[rule.index]

    def _candidate(self, cost: int, policy: Policy, edit: Edit, rule: RuleView, changed: Rule) -> Candidate:
        rules = list(policy.rules(self._direction) or ())
        rules[rule.index] = changed
        apply = partial(with_rules, ref=policy.ref, direction=self._direction, rules=tuple(rules))
        return Candidate(cost, (edit,), apply)

    def _peers(self, policy: Policy) -> Iterator[Peer]:
        """A peer that is the other end: by labels for a pod, by address for everything else."""
        pod = self._end.pod
        if pod is None:
            address = self._end.address(self._family)
            if address is not None:
                yield IPBlock(ip_network(address))
            return
        selector = telling(pod.labels)
        if pod.ref.namespace == policy.ref.namespace:
            yield PodPeer(selector)
        else:
            yield PodPeer(selector, Selector.of({NAME_LABEL: pod.ref.namespace}))


def telling(labels: Labels) -> Selector:
    """A selector by the labels that somebody wrote."""
    written = {key: value for key, value in labels.items() if not key.startswith(GENERATED)}
    return Selector.of(written) if written else EVERYTHING
