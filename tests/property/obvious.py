"""A second evaluator, slow and obvious: written from the APIs' texts, sharing only the model.

It asks every policy about every flow and keeps nothing. Pods are judged by one address a family, as
Calico does; flows to Services and causes are not its business. What an API leaves open is a choice of `Ways`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from netprobe.model.cluster import Cluster
from netprobe.model.expression import AllOf, AnyOf, Expression, Negation, Part, ValuePart
from netprobe.model.flow import Address, End, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import Labels, Operator, Requirement, Selector
from netprobe.model.policy import (
    Action,
    AllPeers,
    AnyPeer,
    AnyPort,
    DomainPeer,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
    Rule,
    ServicePeer,
    Subject,
    Tier,
    UnknownPeer,
)

ASSUMED: tuple[Address, ...] = ip_address("10.244.255.254"), ip_address("fd00:10:244:ffff::fffe")
CALICO_ONLY = ("GlobalNetworkPolicy", "NetworkPolicy.projectcalico.org")
TIER_NAMES = {
    "adminnetworkpolicy": "kube-admin",
    "Admin": "kube-admin",
    "baselineadminnetworkpolicy": "kube-baseline",
    "Baseline": "kube-baseline",
}
KIND_NAMES = {
    "NetworkPolicy": "KubernetesNetworkPolicy",
    "NetworkPolicy.projectcalico.org": "NetworkPolicy",
    "ClusterNetworkPolicy": "KubernetesClusterNetworkPolicy",
    "AdminNetworkPolicy": "KubernetesAdminNetworkPolicy",
}


@dataclass(frozen=True, slots=True)
class Ways:
    """How an implementation decides what the APIs leave open; the defaults are Calico's."""

    calico: bool = True
    blocks_see_pods: bool = True
    blocks_see_nodes: bool = True
    unknown_peers_fail_closed: bool = True
    knows_nodes_and_domains: bool = False
    namespaces_have_sets: bool = True
    domains_match: bool = False
    hides_baseline: bool = False
    last_of_tied_first: bool = False


CALICO = Ways()
WAYS: Mapping[str, Ways] = {
    "calico": CALICO,
    "kube-network-policies": Ways(calico=False, knows_nodes_and_domains=True, hides_baseline=True),
    "antrea": Ways(calico=False, knows_nodes_and_domains=True),
    "cilium": Ways(calico=False, knows_nodes_and_domains=True, blocks_see_pods=False, blocks_see_nodes=False),
}
"""By the names of the simulator's profiles."""


def passes(cluster: Cluster, flow: Flow, ways: Ways = CALICO) -> bool:
    """Whether policies let a new connection pass, in a family that both ends can speak."""
    return flow.source == flow.destination or _Question(cluster, flow, ways).passes()


@dataclass(frozen=True, slots=True)
class _Question:
    cluster: Cluster
    flow: Flow
    ways: Ways

    def passes(self) -> bool:
        source, destination = self.end(self.flow.source), self.end(self.flow.destination)
        return self.side("egress", source, destination) and (
            self.is_node_of(source, destination) or self.side("ingress", destination, source)
        )

    def end(self, end: End) -> Pod | Address:
        assert not isinstance(end, ServiceRef)
        return self.cluster.pods[end] if isinstance(end, PodRef) else end.address

    def side(self, direction: str, subject: Pod | Address, peer: Pod | Address) -> bool:
        if not isinstance(subject, Pod) or subject.host_network:
            return True
        mine = [policy for policy in self.cluster.policies if self.is_subject(policy, subject)]
        policies = [policy for policy in mine if getattr(policy, direction) is not None]
        known = {tier_name(tier.name): tier for tier in self.cluster.tiers}
        names = {tier_name(policy.tier) for policy in policies}
        tiers = {name: known.get(name) or Tier(name, math.inf, Action.DENY) for name in names}
        for name in sorted(tiers, key=lambda name: (tiers[name].order, name)):
            if name == "kube-baseline" and self.hides_baseline(mine, direction):
                return True
            own = self.ordered([policy for policy in policies if tier_name(policy.tier) == name])
            actions = [a for policy in own for a in self.actions(policy, direction, subject, peer)]
            if (action := (*actions, tiers[name].default)[0]) is not Action.PASS:
                return action is Action.ALLOW
        return True

    def hides_baseline(self, policies: list[Policy], direction: str) -> bool:
        isolating = [policy for policy in policies if policy.kind == "NetworkPolicy"]
        return (
            self.ways.hides_baseline
            and len(isolating) > 0
            and all(getattr(policy, direction) is None for policy in isolating)
        )

    def ordered(self, policies: list[Policy]) -> list[Policy]:
        found = sorted(policies, key=lambda p: (p.order, f"{p.ref.name}/{p.ref.namespace}/{kind_name(p)}"))
        if self.ways.last_of_tied_first:
            for at, policy in enumerate(found):
                tied = [p for p in found[at:] if p.order == policy.order and is_cnp(p) and is_cnp(policy)]
                if len(tied) > 1 and found[at : at + len(tied)] == tied:
                    found[at : at + len(tied)] = reversed(tied)
                    break
        return found

    def is_subject(self, policy: Policy, pod: Pod) -> bool:
        if policy.kind in CALICO_ONLY and not self.ways.calico:
            return False
        return self.selects(policy.subject, policy.ref.namespace, pod)

    def selects(self, wanted: Subject | PodPeer, own_namespace: str, pod: Pod) -> bool:
        if wanted.namespaces is None:
            right_namespace = pod.ref.namespace == own_namespace
        else:
            labels = self.namespace_labels(pod.ref.namespace)
            right_namespace = selected(wanted.namespaces, labels)
        account = self.cluster.service_accounts.get((pod.ref.namespace, pod.service_account))
        known = {} if account is None else {**account, "projectcalico.org/name": pod.service_account}
        return (
            right_namespace
            and selected(wanted.pods, pod_labels(pod))
            and (wanted.accounts is None or selected(wanted.accounts, known))
        )

    def namespace_labels(self, name: str) -> Labels:
        known = self.cluster.namespaces.get(name)
        own = known.labels if known else {"kubernetes.io/metadata.name": name}
        return {**own, "projectcalico.org/name": name}

    def actions(self, policy: Policy, direction: str, subject: Pod, peer: Pod | Address) -> list[Action]:
        """The actions of the rules that match, top down."""
        found = []
        for rule in getattr(policy, direction):
            if rule.action is Action.LOG:
                continue
            if any(self.fails_closed(each) for each in rule.peers):
                found += [Action.DENY] if rule.action is not Action.ALLOW else []
            elif self.matches(policy, rule, direction, subject, peer):
                found.append(rule.action)
        return found

    def fails_closed(self, peer: Peer) -> bool:
        if isinstance(peer, NodePeer | DomainPeer):
            return not self.ways.knows_nodes_and_domains
        return isinstance(peer, UnknownPeer) and self.ways.unknown_peers_fail_closed

    def matches(self, policy: Policy, rule: Rule, direction: str, subject: Pod, peer: Pod | Address) -> bool:
        destination = peer if direction == "egress" else subject
        if not source_ports_match(rule, self.flow.protocol):
            return False
        excluding = [entry for entry in rule.not_ports if self.port_matches(entry, destination)]
        if any(not isinstance(entry, NamedPort) for entry in excluding):
            return False
        for entry in rule.ports:
            if not self.port_matches(entry, destination):
                continue
            for item in rule.peers:
                either, itself = (
                    self.peer_matches(policy, item, peer, itself=named and direction == "egress")
                    and self.peer_matches(policy, rule.own, subject, itself=named and direction == "ingress")
                    for named in (False, True)
                )
                if excluding and itself:
                    continue
                if itself if isinstance(entry, NamedPort) else either:
                    return True
        return False

    def peer_matches(self, policy: Policy, item: Peer, end: Pod | Address, *, itself: bool = False) -> bool:
        """`itself`: a pod has to match, not a network set around its address."""
        namespace = policy.ref.namespace
        match item:
            case AnyPeer() | UnknownPeer():
                found = isinstance(item, AnyPeer)
            case AllPeers(peers):
                found = all(self.peer_matches(policy, each, end, itself=itself) for each in peers)
            case NotPeer(negated):
                found = not self.peer_matches(policy, negated, end)
            case PodPeer():
                found = isinstance(end, Pod) and not end.host_network and self.selects(item, namespace, end)
                if not found and not itself and self.sees_sets(item):
                    found = self.in_sets(item, namespace, end)
            case _:
                found = self.special_matches(item, end)
        return found

    def special_matches(self, item: Peer, end: Pod | Address) -> bool:
        """Peers that are known by their addresses, or by another object."""
        is_pod = isinstance(end, Pod) and not end.host_network
        match item:
            case Networks(cidrs, excluded):
                found = self.inside(cidrs, excluded, end)
            case IPBlock(cidr, excluded):
                visible = self.ways.blocks_see_pods if is_pod else self.ways.blocks_see_nodes
                if not is_pod and not self.is_node_address(end):
                    visible = True
                found = visible and self.inside((cidr,), excluded, end)
            case ServicePeer(service, on_ports):
                found = isinstance(end, Pod) and is_pod and self.behind(service, on_ports, end)
            case NodePeer(nodes):
                known = {name: node.labels for name, node in self.cluster.nodes.items()}
                found = any(
                    selected(nodes, known.get(name, {"kubernetes.io/hostname": name}))
                    for name in self.node_names(end)
                )
            case DomainPeer():
                outside = not isinstance(end, Pod) and not self.is_node_address(end)
                found = outside and self.ways.domains_match
            case _:
                raise AssertionError(item)
        return found

    def sees_sets(self, item: PodPeer) -> bool:
        wanted = self.ways.namespaces_have_sets if item.sets is None else item.sets
        return self.ways.calico and wanted

    def in_sets(self, item: PodPeer, namespace: str, end: Pod | Address) -> bool:
        for each in self.cluster.network_sets:
            own = {"projectcalico.org/namespace": each.namespace} if each.namespace else {}
            labels = self.namespace_labels(each.namespace) if each.namespace else {}
            if item.namespaces is None:
                right_namespace = each.namespace == namespace
            elif item.sets is None and item.namespaces == Selector():
                right_namespace = each.namespace != ""  # "all namespaces" of a ClusterNetworkPolicy
            else:
                right_namespace = selected(item.namespaces, labels)
            if (
                right_namespace
                and selected(item.pods, {**each.labels, **own})
                and (item.accounts is None or selected(item.accounts, {}))
                and self.inside(each.networks, (), end)
            ):
                return True
        return False

    def inside(self, cidrs: tuple[Network, ...], excluded: tuple[Network, ...], end: Pod | Address) -> bool:
        versions: set[int | None] = {self.flow.family}
        known = addresses_of(end)
        if isinstance(end, Pod) and end.host_network:
            known = tuple({address.version: address for address in reversed(known)}.values())
        elif isinstance(end, Pod) and not known:
            known, versions = ASSUMED, {4, 6}
        return any(
            address.version in versions
            and any(address in cidr for cidr in cidrs)
            and not any(address in other for other in excluded)
            for address in known
        )

    def behind(self, ref: ServiceRef, on_ports: bool, pod: Pod) -> bool:
        service = self.cluster.services.get(ref)
        if service is None or service.selector is None or pod.ref.namespace != ref.namespace:
            return False
        if any(pod.labels.get(key) != value for key, value in service.selector.items()):
            return False
        if not on_ports:
            return True
        for entry in service.ports:
            targets = [p.number for p in pod.ports if (p.name, p.protocol) == (entry.target, entry.protocol)]
            target = entry.target if isinstance(entry.target, int) else (*targets, None)[0]
            if (target, entry.protocol) == (self.flow.port, self.flow.protocol):
                return True
        return False

    def node_addresses(self, name: str) -> set[Address]:
        found = set(self.cluster.nodes[name].addresses) if name in self.cluster.nodes else set()
        for pod in self.cluster.pods.values():
            if pod.node == name:
                found.update(pod.node_addresses)
                found.update(pod.addresses if pod.host_network else ())
        return found

    def node_names(self, end: Pod | Address) -> set[str]:
        if isinstance(end, Pod) and not end.host_network:
            return set()
        own = set(addresses_of(end))
        known = {*self.cluster.nodes, *(pod.node for pod in self.cluster.pods.values() if pod.node)}
        names = {name for name in known if self.node_addresses(name) & own}
        return names | ({end.node} if isinstance(end, Pod) and end.node else set())

    def is_node_address(self, end: Pod | Address) -> bool:
        nameless = {a for pod in self.cluster.pods.values() for a in pod.node_addresses}
        is_host = isinstance(end, Pod) and end.host_network
        return is_host or bool(self.node_names(end)) or not nameless.isdisjoint(addresses_of(end))

    def is_node_of(self, node: Pod | Address, pod: Pod | Address) -> bool:
        if not isinstance(pod, Pod) or pod.host_network:
            return False
        if isinstance(node, Pod) and not node.host_network:
            return False
        own = set(addresses_of(node))
        if isinstance(node, Pod) and node.node is not None and node.node == pod.node:
            return True
        theirs = {*pod.node_addresses, *(self.node_addresses(pod.node) if pod.node else ())}
        return not own.isdisjoint(theirs)

    def port_matches(self, item: Port, destination: Pod | Address) -> bool:
        port, protocol = self.flow.port, self.flow.protocol
        match item:
            case AnyPort():
                return True
            case OtherProtocol():
                return False
            case PortRange(own, first, last):
                return protocol == own and first <= port <= last
            case NamedPort(name, own):
                if (
                    not isinstance(destination, Pod)
                    or destination.host_network
                    or own not in {None, protocol}
                ):
                    return False
                return any(
                    (p.number, p.protocol, p.name) == (port, protocol, name) for p in destination.ports
                )


def addresses_of(end: Pod | Address) -> tuple[Address, ...]:
    if not isinstance(end, Pod):
        return (end,)
    return (*end.addresses, *end.node_addresses) if end.host_network else end.addresses


def tier_name(name: str) -> str:
    return TIER_NAMES.get(name, name)


def kind_name(policy: Policy) -> str:
    return KIND_NAMES.get(policy.kind, policy.kind)


def is_cnp(policy: Policy) -> bool:
    return policy.kind in {"ClusterNetworkPolicy", "AdminNetworkPolicy"}


def pod_labels(pod: Pod) -> Labels:
    return {
        **pod.labels,
        "projectcalico.org/namespace": pod.ref.namespace,
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/serviceaccount": pod.service_account,
    }


def source_ports_match(rule: Rule, protocol: Protocol) -> bool:
    """Whether every port that a client's kernel may choose is among the source ports."""
    for port in (32768, 40000, 60999):
        if not any(
            isinstance(entry, AnyPort)
            or (
                isinstance(entry, PortRange)
                and entry.protocol is protocol
                and entry.first <= port <= entry.last
            )
            for entry in rule.source_ports
        ):
            return False
    return True


def selected(selector: Selector, labels: Labels) -> bool:
    return (
        all(labels.get(key) == value for key, value in selector.match_labels)
        and all(holds(wanted, labels) for wanted in selector.requirements)
        and (selector.expression is None or holds(selector.expression, labels))
    )


def holds(wanted: Expression, labels: Labels) -> bool:
    match wanted:
        case AllOf(terms):
            return all(holds(term, labels) for term in terms)
        case AnyOf(terms):
            return any(holds(term, labels) for term in terms)
        case Negation(term):
            return not holds(term, labels)
        case ValuePart(key, part, text):
            value = labels.get(key)
            if value is None:
                return False
            starts, ends = value[: len(text)] == text, value.endswith(text)
            return {Part.START: starts, Part.END: ends, Part.ANYWHERE: value.find(text) >= 0}[part]
        case Requirement(key, operator, values):
            present, inside = key in labels, labels.get(key) in values
            return {
                Operator.IN: present and inside,
                Operator.NOT_IN: not (present and inside),
                Operator.EXISTS: present,
                Operator.DOES_NOT_EXIST: not present,
            }[operator]
