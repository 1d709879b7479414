"""A scripted cluster with a network plugin that is right, or wrong in one way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import time

from netprobe.doctor import Diagnosis, Examination
from netprobe.doctor.pods import NAME
from netprobe.kube.facts import ClusterFacts
from netprobe.model.objects import Object
from tests.probe.clock import now, virtually
from tests.probe.fake import OPEN, SILENT, FakeCluster

Plugin = Callable[[str, str, bool, bool], bool]
"""(source node, destination node, is ingress forbidden, is egress forbidden) -> whether it passes."""


FACTS = ClusterFacts("v1.33.0", False, None, "Calico", "DaemonSet kube-system/calico-node")


def node(name: str, *, ready: bool = True, taint: str | None = None, os: str = "linux") -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/os": os}},
        "spec": {"taints": [{"key": "t", "effect": taint}]} if taint else {},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def fully(_source: str, _destination: str, ingress: bool, egress: bool) -> bool:
    return not (ingress or egress)


@dataclass
class World:
    """`lag_s`: how long a policy takes to act. `back`: whether servers reach clients under a policy.

    `memory`: what was once denied stays denied.
    """

    plugin: Plugin = fully
    nodes: tuple[Object, ...] = (node("n1"), node("n2"))
    lag_s: float = 0.0
    back: bool = True
    memory: bool = False
    resolves: bool = True
    cut: frozenset[str] = frozenset()  # pairs of nodes, as "n1n2", between which nothing passes
    cluster: FakeCluster = field(init=False)

    def __post_init__(self) -> None:
        self.cluster = FakeCluster(
            network=self._network,
            outside=frozenset({NAME.host}) if self.resolves else frozenset(),
            says={"sctp": "sctp no", "time": f"time {time()}"},
        )
        self._since: dict[str, float] = {}
        self._denied: set[tuple[str, str, int]] = set()

    def _forbidden(self, direction: str) -> bool:
        there = any(k == "NetworkPolicy" and n == f"deny-{direction}" for k, _, n in self.cluster.objects)
        if not there:
            self._since.pop(direction, None)
            return False
        return now() - self._since.setdefault(direction, now()) >= self.lag_s

    def _node(self, pod: str) -> str:
        namespace, _, name = pod.partition("/")
        return str(self.cluster.objects["Pod", namespace, name]["spec"]["nodeName"])

    def _network(self, source: str, destination: str, port: int, _protocol: str) -> str:
        if destination == NAME.host:
            return OPEN
        ends = self._node(source), self._node(destination)
        if "".join(ends) in self.cut:
            return SILENT
        ingress, egress = self._forbidden("ingress"), self._forbidden("egress")
        if "/client" in destination:  # nothing forbids it
            return OPEN if self.back or not (ingress or egress) else SILENT
        egress = egress and "/client" in source
        key = source, destination, port
        if (self.memory and key in self._denied) or not self.plugin(*ends, ingress, egress):
            self._denied.add(key)
            return SILENT
        return OPEN

    def diagnose(self, *, most_nodes: int = 3) -> Diagnosis:
        async def run() -> Diagnosis:
            for obj in self.nodes:
                await self.cluster.create(obj)
            visit = Examination(self.cluster, FACTS, "https://here", most_nodes=most_nodes)
            return await visit.diagnose()

        return virtually(run())

    @property
    def left(self) -> set[str]:
        return {kind for kind, _, _ in self.cluster.objects} - {"Node"}
