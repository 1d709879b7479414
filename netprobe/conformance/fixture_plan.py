"""The objects that make up one fixture. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from netprobe.conformance.world import EMPTY, FIXTURE, HOST_PORT, NAMESPACES, OUTSIDE, PODS, container_ports
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, External, Pod, PodRef, Protocol
from netprobe.probe import OutsideHost
from netprobe.probe.canary import TARGET, ports
from netprobe.probe.run_objects import ROLE

CANARIES: Final = "k"
MOST_FIXTURES: Final = 16
HOST_PORTS: Final = 4096  # ports from HOST_PORT on: above the kernel's ephemeral range
OUTSIDE_PORTS: Final = (ContainerPort(80), ContainerPort(81))


@dataclass(frozen=True, slots=True)
class FixturePlan:
    """The objects of one fixture. Pods a and c run on the first node, b on the second if there is one.

    `kinds`: those of cases that the canaries have to show.
    """

    run: str
    index: int
    nodes: tuple[str, ...]
    kinds: tuple[str, ...] = ()

    def name(self, short: str) -> str:
        return f"netprobe-{self.run}-{self.index}{short}"

    def ref(self, name: str) -> PodRef:
        namespace, _, pod = name.partition("/")
        return PodRef(self.name(namespace), pod)

    @property
    def mark(self) -> str:
        """The value of the label FIXTURE of the namespaces that cases are about."""
        return f"{self.run}-{self.index}"

    def namespaces(self) -> Iterable[Namespace]:
        mark = {FIXTURE: self.mark}
        for short in NAMESPACES:
            yield Namespace(self.name(short), {"ns": short, **mark})
        yield Namespace(self.name(EMPTY), mark)
        yield Namespace(self.name(CANARIES), {})

    def pods(self) -> Iterable[Pod]:
        for name in PODS:
            ref = self.ref(name)
            node = self.nodes["abc".index(ref.name) % len(self.nodes)] if self.nodes else None
            yield Pod(ref, {"pod": ref.name}, ports=served(name), node=node)
        for (client, target), node in zip(self.pairs(), self.nodes or (None,), strict=True):
            yield Pod(client, {}, node=node)
            yield Pod(target, {ROLE: TARGET}, ports=ports(self.kinds), node=node)

    def pairs(self) -> tuple[tuple[PodRef, PodRef], ...]:
        """The clients of the canaries with their targets, a pair for each node."""
        home = self.name(CANARIES)
        return tuple(
            (PodRef(home, f"client-{number}"), PodRef(home, f"target-{number}"))
            for number in range(max(1, len(self.nodes)))
        )

    @property
    def host_port(self) -> int:
        """The port of hostNetwork pods, which rarely collides with another fixture or run."""
        return HOST_PORT + (int(self.run, 16) * MOST_FIXTURES + self.index) % HOST_PORTS

    def hosts(self) -> Iterable[OutsideHost]:
        """Hosts outside; their addresses in 203.0.113.0/24 depend on the run, since runs may share a lab."""
        base = int(self.run, 16) % 100 * 2
        for number, name in enumerate(OUTSIDE):
            last = 1 + (base + self.index * len(OUTSIDE) + number) % 254
            yield OutsideHost(External(ip_address(f"203.0.113.{last}"), name), OUTSIDE_PORTS)


def served(name: str) -> tuple[ContainerPort, ...]:
    """The ports that a pod is created with: all but SCTP, which nothing can serve."""
    return tuple(port for port in container_ports(name) if port.protocol is not Protocol.SCTP)
