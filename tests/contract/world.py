"""One world for every cluster that the prober is held against: its pods, policies and what must be seen."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef, Protocol
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.observation import Observation
from netprobe.probe import Fixture

TCP, UDP = Protocol.TCP, Protocol.UDP
PORTS = (ContainerPort(8080, TCP, "http"), ContainerPort(8053, UDP))


@dataclass(frozen=True)
class World:
    """Two namespaces, three pods, each with a TCP and a UDP port; every ordered pair is a flow."""

    tag: str = field(default_factory=lambda: secrets.token_hex(3))

    @property
    def front(self) -> str:
        return f"front-{self.tag}"

    @property
    def back(self) -> str:
        return f"back-{self.tag}"

    @property
    def fixture(self) -> Fixture:
        namespaces = Namespace(self.front, {"tier": "front"}), Namespace(self.back, {})
        pods = (PodRef(self.front, "web"), PodRef(self.back, "api"), PodRef(self.back, "db"))
        return Fixture(namespaces, tuple(Pod(ref, {"app": ref.name}, ports=PORTS) for ref in pods))

    @property
    def flows(self) -> tuple[Flow, ...]:
        pods = [pod.ref for pod in self.fixture.pods]
        return tuple(
            Flow(source, destination, port.number, port.protocol)
            for source in pods
            for destination in pods
            if source != destination
            for port in PORTS
        )

    def close_db(self) -> Object:
        """db accepts only namespaces labelled tier=back, on TCP 8080."""
        rule = {
            "from": [{"namespaceSelector": {"matchLabels": {"tier": "back"}}}],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
        return {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "close-db", "namespace": self.back},
            "spec": {
                "podSelector": {"matchLabels": {"app": "db"}},
                "policyTypes": ["Ingress"],
                "ingress": [rule],
            },
        }

    def picture(self, matrix: Matrix[Observation]) -> list[str]:
        """ "web -> api .." : the marks of the TCP and the UDP port."""
        pods = [pod.ref for pod in self.fixture.pods]
        return [
            f"{source.name} -> {destination.name} "
            + "".join(matrix[Flow(source, destination, p.number, p.protocol)].verdict.mark for p in PORTS)
            for source in pods
            for destination in pods
            if source != destination
        ]


CLOSED = ["web -> api ..", "web -> db XX", "api -> web ..", "api -> db XX", "db -> web ..", "db -> api .."]
LABELLED = ["web -> api ..", "web -> db XX", "api -> web ..", "api -> db .X", "db -> web ..", "db -> api .."]
OPEN = ["web -> api ..", "web -> db ..", "api -> web ..", "api -> db ..", "db -> web ..", "db -> api .."]
