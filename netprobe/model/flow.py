"""Who talks to whom: the ends of a flow, and the flow itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, TypeAlias

from netprobe.model.fastenum import FastEnum
from netprobe.model.labels import Labels

Address: TypeAlias = IPv4Address | IPv6Address
Family: TypeAlias = Literal[4, 6]
FAMILIES: tuple[Family, Family] = (4, 6)


def is_loopback(address: Address) -> bool:
    """Whether packets to an address stay in their network namespace; Linux takes 0.0.0.0 and :: for it."""
    return address.is_loopback or address.is_unspecified


class Protocol(FastEnum):
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"


class Via(FastEnum):
    """By which address the source reaches the destination."""

    POD = "pod"
    SERVICE = "service"
    DNS = "dns"
    NODE_PORT = "node-port"
    HOST = "host"
    EXTERNAL = "external"


class Placement(FastEnum):
    """Whether the source of a flow runs on the destination's node, if a run has placed it."""

    SAME = "same-node"
    OTHER = "other-node"


@dataclass(frozen=True, slots=True, order=True)
class PodRef:
    """The name of a pod: "namespace/name"."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> PodRef:
        """Read "namespace/name"; ValueError for anything else."""
        namespace, slash, name = text.partition("/")
        if not (namespace and slash and name) or "/" in name:
            raise ValueError(f"{text!r} is not of the form NAMESPACE/POD")
        return cls(namespace, name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, order=True)
class ServiceRef:
    """The name of a Service, written "svc:namespace/name" wherever a pod is possible too."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> ServiceRef:
        """Read "svc:namespace/name"; ValueError for anything else."""
        prefix, colon, rest = text.partition(":")
        if prefix != "svc" or not colon:
            raise ValueError(f"{text!r} is not of the form svc:NAMESPACE/SERVICE")
        pod = PodRef.parse(rest)
        return cls(pod.namespace, pod.name)

    def __str__(self) -> str:
        return f"svc:{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class External:
    """An address outside the cluster, with the name that a suite gave it, if any."""

    address: Address
    name: str | None = None

    def __str__(self) -> str:
        return self.name or str(self.address)


End: TypeAlias = PodRef | External | ServiceRef


def via(destination: End) -> Via:
    """The kind of address that is used to reach a destination."""
    return {External: Via.EXTERNAL, ServiceRef: Via.SERVICE}.get(type(destination), Via.POD)


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container declares; the name is what a policy's named port refers to.

    `host` is the port of the node that leads to it, if any: its hostPort.
    """

    number: int
    protocol: Protocol = Protocol.TCP
    name: str | None = None
    host: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Pod:
    """What policies and services can see of a pod."""

    ref: PodRef
    labels: Labels
    addresses: tuple[Address, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    node: str | None = None
    node_addresses: tuple[Address, ...] = ()
    host_network: bool = False
    ready: bool = True
    service_account: str = "default"
    workload: str | None = None  # "Deployment/web" if the pod comes from one

    @property
    def workload_name(self) -> str:
        """The name of its workload, or its own if it has none."""
        return self.workload.partition("/")[2] if self.workload else self.ref.name


@dataclass(frozen=True, slots=True)
class Flow:
    """New connections from a source to a port of a destination.

    `family` is None for both families, or for a pod without an address. `placement` is None if pods are
    wherever they are; policies do not know of it.
    """

    source: End
    destination: End
    port: int
    protocol: Protocol = Protocol.TCP
    family: Family | None = None
    via: Via = field(default=Via.POD)
    placement: Placement | None = None

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination} {self.port}/{self.protocol.value}"
