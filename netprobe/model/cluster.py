"""A cluster at one moment: everything that matters to the network and its policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netprobe.model.flow import Address, Family, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import Labels
from netprobe.model.objects import Source
from netprobe.model.policy import STANDARD_TIERS, NetworkSet, Policy, Staged, Tier, Unsimulated


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace and its labels, `kubernetes.io/metadata.name` among them."""

    name: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Node:
    """A node, its labels and its addresses, internal and external ones."""

    name: str
    labels: Labels
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; `target` is a number, or the name of a container port."""

    port: int
    target: int | str
    protocol: Protocol = Protocol.TCP
    name: str | None = None
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class ManualEndpoint:
    """An address and port of an EndpointSlice or Endpoints object. `name`: that of the Service's port."""

    address: Address
    port: int
    protocol: Protocol = Protocol.TCP
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A Service. `selector` None: its endpoints are managed manually. No addresses: headless.

    `endpoints` are those of a Service without a selector; None if the input does not show them.
    `exposed`: nodes or a load balancer serve it too. `external_traffic_local`: nodes pass that traffic only
    to their own pods, and keep its source.
    """

    ref: ServiceRef
    selector: Labels | None = None
    addresses: tuple[Address, ...] = ()
    ports: tuple[ServicePort, ...] = ()
    external_name: str | None = None
    publish_not_ready: bool = False
    endpoints: tuple[ManualEndpoint, ...] | None = None
    exposed: bool = False
    external_traffic_local: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """Everything that decides a flow. A pod's namespace is always among `namespaces`.

    `tiers` may be in any order: each has its own `order`. A policy whose tier is not among them comes after
    all others, in a tier that denies at its end; unless `tiers_known` is False, as for manifests, where such
    a tier may be anywhere.
    `service_accounts` holds labels by namespace and name; an account that is not there has none.
    `staged` policies are shown and never enforced. `unsimulated` objects may decide flows, and what they say
    is not evaluated. `sources` holds the objects that can be changed, by kind and name ("Namespace", "shop"),
    ("Deployment", "shop/web"): policies, namespaces, workloads, pods without one.
    `finished` are pods that have ended: they send and answer nothing, and may run again.
    `warnings` are sentences that qualify every answer about this cluster, such as policies that are not
    simulated.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    pods: Mapping[PodRef, Pod] = field(default_factory=dict)
    policies: tuple[Policy, ...] = ()
    services: Mapping[ServiceRef, Service] = field(default_factory=dict)
    tiers: tuple[Tier, ...] = STANDARD_TIERS
    tiers_known: bool = True
    network_sets: tuple[NetworkSet, ...] = ()
    service_accounts: Mapping[tuple[str, str], Labels] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    staged: tuple[Staged, ...] = ()
    unsimulated: tuple[Unsimulated, ...] = ()
    finished: Mapping[PodRef, Pod] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], Source] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @property
    def families(self) -> tuple[Family, ...]:
        """The address families of the pods; IPv4 if no pod has an address."""
        found = {address.version for pod in self.pods.values() for address in pod.addresses}
        return tuple(sorted(found)) or (4,)


T = TypeVar("T", Pod, Policy, Service)


def by_namespace(objects: Iterable[T]) -> dict[str, list[T]]:
    """The objects of each namespace that has some; those of cluster-scoped kinds under ""."""
    found: dict[str, list[T]] = {}
    for each in objects:
        found.setdefault(each.ref.namespace, []).append(each)
    return found
