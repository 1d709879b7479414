"""The ends of a flow as policies see them: a pod with its labels, or an address without one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, External, Family, Pod, PodRef, ServiceRef
from netprobe.model.labels import Labels

NAME_LABEL = "kubernetes.io/metadata.name"
FAMILIES: tuple[Family, Family] = (4, 6)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An end of a flow.

    `pod` is what selectors and named ports see; None for an address outside, and for a hostNetwork pod,
    which is usually "ignored by selectors and treated as the node's address" (docs). `host` is that pod
    then. `addresses` holds one address a family at most; empty where none is known.
    """

    name: str
    addresses: Mapping[Family, Address]
    pod: Pod | None = None
    host: Pod | None = None
    namespace_labels: Labels | None = None

    def address(self, family: Family | None) -> Address | None:
        """The address that a flow of this family uses."""
        return self.addresses.get(family) if family else None

    @property
    def somebody(self) -> Pod | None:
        """The pod behind the end, whatever policies make of it."""
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
        # The API server sets this label and does not let go of it (docs).
        self.namespace_labels: dict[str, Labels] = {
            name: {**namespace.labels, NAME_LABEL: name} for name, namespace in cluster.namespaces.items()
        }
        for ref in cluster.pods:
            self.namespace_labels.setdefault(ref.namespace, {NAME_LABEL: ref.namespace})
        self._node_addresses: dict[str, set[Address]] = {}
        self._pods: dict[Address, PodRef] = {}
        for pod in cluster.pods.values():
            if pod.node is not None:
                own = self._node_addresses.setdefault(pod.node, set())
                own.update(pod.node_addresses)
                own.update(pod.addresses if pod.host_network else ())
            if not pod.host_network:
                self._pods.update(dict.fromkeys(pod.addresses, pod.ref))
        self.nodes: frozenset[Address] = frozenset(
            address for pod in cluster.pods.values() for address in pod.node_addresses
        ).union(*self._node_addresses.values())
        self._services: dict[Address, ServiceRef] = {
            address: service.ref for service in cluster.services.values() for address in service.addresses
        }

    def pod(self, ref: PodRef) -> Endpoint:
        pod = self.cluster.pods.get(ref)
        if pod is None:
            raise UsageError(f"there is no pod {ref}")
        if pod.host_network:
            addresses = first_of_each_family((*pod.addresses, *pod.node_addresses))
            return Endpoint(str(ref), addresses, host=pod)
        addresses = first_of_each_family(pod.addresses)
        return Endpoint(str(ref), addresses, pod=pod, namespace_labels=self.namespace_labels[ref.namespace])

    def external(self, end: External) -> Endpoint:
        """An address; the pod that has it, where one does: policies see the pod."""
        if end.address in self._pods:
            return self.pod(self._pods[end.address])
        return Endpoint(str(end), {end.address.version: end.address})

    def service_at(self, address: Address) -> ServiceRef | None:
        return self._services.get(address)

    def on_node_of(self, pod: Pod, address: Address | None) -> bool:
        """Whether the address belongs to the node that the pod runs on."""
        if address is None:
            return False
        own = self._node_addresses.get(pod.node, set()) if pod.node is not None else set()
        return address in own or address in pod.node_addresses

    def same_node(self, one: Endpoint, other: Endpoint) -> bool:
        """Whether `one`, a pod, runs on the node that `other` is an address of."""
        if one.pod is None or other.pod is not None:
            return False
        if other.host is not None and other.host.node is not None and other.host.node == one.pod.node:
            return True
        return any(self.on_node_of(one.pod, address) for address in other.addresses.values())

    def endpoints(self) -> Iterator[Endpoint]:
        return (self.pod(ref) for ref in self.cluster.pods)


def common_families(source: Endpoint, destination: Endpoint) -> tuple[Family | None, ...]:
    """The families in which two ends can talk.

    (None,) where neither has a known address, () where they have no family in common. An end without an
    address goes along with the other's.
    """
    if not source.addresses and not destination.addresses:
        return (None,)
    return tuple(
        family
        for family in FAMILIES
        if (family in source.addresses or not source.addresses)
        and (family in destination.addresses or not destination.addresses)
    )
