"""The ends of a flow as policies see them: a pod with its labels, or an address without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import FAMILIES, Address, External, Family, Pod, PodRef, ServiceRef
from netprobe.model.labels import Labels, labels_of_account, labels_of_namespace, labels_of_pod

ASSUMED: Mapping[Family, Address] = {
    4: IPv4Address("10.244.255.254"),
    6: IPv6Address("fd00:10:244:ffff::fffe"),
}
"""The addresses assumed for pods that have none, as in manifests that were never applied.

At the far end of the usual pod network: a block of all addresses or of that network holds them; one that
excepts private networks, or is about some node's pods or one pod, does not. They are held against blocks of
both families, whatever the family of a flow: theirs is as little known as their addresses.
"""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An end of a flow.

    `pod` is what selectors and named ports see; None for an address outside, and for a hostNetwork pod,
    which is usually "ignored by selectors and treated as the node's address" (docs). `host` is that pod
    then. `addresses` holds one address a family at most; empty if none is known. Labels are those that
    selectors see.
    """

    name: str
    addresses: Mapping[Family, Address]
    pod: Pod | None = None
    host: Pod | None = None
    labels: Labels | None = None
    namespace_labels: Labels | None = None
    account_labels: Labels | None = None

    def address(self, family: Family | None) -> Address | None:
        """The address that a flow of this family uses."""
        return self.addresses.get(family) if family else None

    @property
    def assumed(self) -> bool:
        """Whether it is a pod that has no address yet."""
        return self.pod is not None and not self.addresses

    @property
    def pod_behind(self) -> Pod | None:
        """The pod behind the end, even if policies do not see it as a pod."""
        return self.pod or self.host


def first_of_each_family(addresses: tuple[Address, ...]) -> dict[Family, Address]:
    """A pod has one address a family (docs, IPv4/IPv6 dual-stack); the first counts."""
    found: dict[Family, Address] = {}
    for address in addresses:
        found.setdefault(address.version, address)
    return found


class Directory:
    """Who is who in a cluster: pods, nodes and Services by name and by address."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.namespace_labels: dict[str, Labels] = {
            name: labels_of_namespace(name, namespace.labels)
            for name, namespace in cluster.namespaces.items()
        }
        for ref in cluster.pods:
            if ref.namespace not in self.namespace_labels:
                self.namespace_labels[ref.namespace] = labels_of_namespace(ref.namespace, {})
        self._ends: dict[PodRef, Endpoint] = {}

    @cached_property
    def _pods(self) -> dict[Address, PodRef]:
        pods = self.cluster.pods.values()
        return {address: pod.ref for pod in pods if not pod.host_network for address in pod.addresses}

    @cached_property
    def _services(self) -> dict[Address, ServiceRef]:
        services = self.cluster.services.values()
        return {address: service.ref for service in services for address in service.addresses}

    @cached_property
    def _node_addresses(self) -> dict[str, set[Address]]:
        """The addresses of each node, as far as it or its pods are known."""
        found = {name: set(node.addresses) for name, node in self.cluster.nodes.items()}
        for pod in self.cluster.pods.values():
            if pod.node is not None:
                own = found.setdefault(pod.node, set())
                own.update(pod.node_addresses)
                own.update(pod.addresses if pod.host_network else ())
        return found

    @cached_property
    def _nodes(self) -> frozenset[Address]:
        nameless = (pod.node_addresses for pod in self.cluster.pods.values())
        return frozenset[Address]().union(*nameless, *self._node_addresses.values())

    def is_node(self, end: Endpoint) -> bool:
        """Whether the end is a node, or a pod on a node's network."""
        return end.host is not None or not self._nodes.isdisjoint(end.addresses.values())

    def pod(self, ref: PodRef) -> Endpoint:
        """The pod of that name as an end, always the same object; UsageError if there is none."""
        end = self._ends.get(ref)
        if end is None:
            end = self._ends[ref] = self._pod(ref)
        return end

    def _pod(self, ref: PodRef) -> Endpoint:
        pod = self.cluster.pods.get(ref) or self.cluster.finished.get(ref)
        if pod is None:
            raise UsageError(f"there is no pod {ref}")
        own = (*pod.addresses, *pod.node_addresses) if pod.host_network else pod.addresses
        return Endpoint(
            str(ref),
            first_of_each_family(own),
            pod=None if pod.host_network else pod,
            host=pod if pod.host_network else None,
            labels=labels_of_pod(ref.namespace, pod.service_account, pod.labels),
            namespace_labels=self.namespace_labels[ref.namespace],
            account_labels=self.account_labels(pod),
        )

    def account_labels(self, pod: Pod) -> Labels:
        """The labels of a pod's service account."""
        name = pod.service_account
        return labels_of_account(name, self.cluster.service_accounts.get((pod.ref.namespace, name)))

    def nodes_of(self, end: Endpoint) -> frozenset[str]:
        """The names of the nodes that an end is, or is an address of."""
        if end.pod is not None:
            return frozenset()
        named = {end.host.node} if end.host is not None and end.host.node is not None else set()
        addresses = set(end.addresses.values())
        return frozenset(named).union(
            name for name, own in self._node_addresses.items() if not own.isdisjoint(addresses)
        )

    def external(self, end: External) -> Endpoint:
        """An address, or the pod that has it: policies see the pod."""
        if end.address in self._pods:
            return self.pod(self._pods[end.address])
        return Endpoint(str(end), {end.address.version: end.address})

    def service_at(self, address: Address) -> ServiceRef | None:
        return self._services.get(address)

    @cached_property
    def _by_node_address(self) -> dict[Address, set[PodRef]]:
        """The pods on the node that has an address."""
        found: dict[Address, set[PodRef]] = {}
        for pod in self.cluster.pods.values():
            known = self._node_addresses.get(pod.node, set()) if pod.node is not None else set()
            for address in {*known, *pod.node_addresses}:
                found.setdefault(address, set()).add(pod.ref)
        return found

    @cached_property
    def _by_node(self) -> dict[str | None, set[PodRef]]:
        found: dict[str | None, set[PodRef]] = {}
        for pod in self.cluster.pods.values():
            found.setdefault(pod.node, set()).add(pod.ref)
        return found

    def pods_on(self, end: Endpoint) -> frozenset[PodRef]:
        """The pods that run on the node that an end is; none for a pod with its own address."""
        if end.pod is not None:
            return frozenset()
        node = end.host.node if end.host is not None else None
        named = self._by_node.get(node, set()) if node is not None else set()
        return frozenset(named).union(
            *(self._by_node_address.get(address, ()) for address in end.addresses.values())
        )

    def same_node(self, one: Endpoint, other: Endpoint) -> bool:
        """Whether the pod `one` runs on the node that `other` is, or whose address it is."""
        return one.pod is not None and one.pod.ref in self.pods_on(other)


def common_families(source: Endpoint, destination: Endpoint) -> tuple[Family | None, ...]:
    """The families in which two ends can talk.

    (None,) if neither has a known address, () if they have no family in common. An end without an address
    has the families of the other.
    """
    if not source.addresses and not destination.addresses:
        return (None,)
    return tuple(
        family
        for family in FAMILIES
        if (family in source.addresses or not source.addresses)
        and (family in destination.addresses or not destination.addresses)
    )
