"""The pods of a cluster as classes, and which classes each class reaches on a port, as bits.

A class is pods of one workload that no policy tells apart, with the same ports, and on one node if pods on
that node's network make a difference. The simulator evaluates the policies on these classes; only the pairs
of a pod and its own node are decided one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netprobe.generate.demand import PortNumber
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import Evaluation, Profile, evaluate
from netprobe.simulate.bits import pack

Rows: TypeAlias = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class WorkloadClass:
    """Pods that behave alike, all of one workload: `name` is "namespace/workload"."""

    name: str
    ports: tuple[PortNumber, ...]
    pods: tuple[PodRef, ...]

    @property
    def is_alone(self) -> bool:
        return len(self.pods) == 1


class WorkloadClasses:
    """All classes of a cluster, those of a namespace adjacent. The bit of a class is its index in `all`."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self.all = _classes(cluster, profile)
        self._evaluation = Evaluation(cluster, profile, parts=[each.pods for each in self.all])
        by_node: dict[str | None, list[int]] = defaultdict(list)
        for number, each in enumerate(self.all):
            by_node[cluster.pods[each.pods[0]].node].append(number)
        self._near = [
            pair
            for number, each in enumerate(self.all)
            if (pod := cluster.pods[each.pods[0]]).host_network
            for other in by_node[pod.node]
            for pair in ((number, other), (other, number))
        ]

    def rows(self, port: PortNumber) -> Rows:
        """For each class those that it reaches on a port in every family that they have in common.

        The bit of a class itself means its pods among each other, and nothing if it has only one pod.
        """
        evaluation, size = self._evaluation, len(self.all)
        families = evaluation.families or (None,)
        tables = [evaluation.table(*port, family) for family in families]
        speaking = [pack((g.index for g in evaluation.groups if g.speaks(f)), size) for f in families]
        found: dict[int, int] = {}
        for number in range(size):
            row, common = -1, 0
            for table, bits in zip(tables, speaking, strict=True):
                if bits >> number & 1:
                    row &= table.reached(number) | ~bits
                    common |= bits
            found[number] = row & common
        for one, other in self._near:
            ends = self.all[one].pods[0], self.all[other].pods[-1]
            if ends[0] != ends[1]:
                passes = evaluation.verdict(*ends, *port) is Verdict.ALLOW
                found[one] = found[one] & ~(1 << other) | passes << other
        return found


def _classes(cluster: Cluster, profile: Profile) -> tuple[WorkloadClass, ...]:
    evaluation = evaluate(cluster, profile)
    hosts = {pod.node for pod in cluster.pods.values() if pod.host_network}
    found: dict[str, dict[tuple[object, ...], list[PodRef]]] = defaultdict(lambda: defaultdict(list))
    for ref, pod in cluster.pods.items():
        name = pod.workload.partition("/")[2] if pod.workload else ref.name
        node = pod.node if pod.node in hosts else None
        found[ref.namespace][name, _ports(cluster, ref), evaluation.group_of(ref).index, node].append(ref)
    return tuple(
        WorkloadClass(f"{namespace}/{key[0]}", _ports(cluster, refs[0]), tuple(refs))
        for namespace, classes in found.items()
        for key, refs in classes.items()
    )


def _ports(cluster: Cluster, ref: PodRef) -> tuple[PortNumber, ...]:
    return tuple(dict.fromkeys((port.number, port.protocol) for port in cluster.pods[ref].ports))
