"""The pods of a cluster as classes, and what each class reaches on a port, as bits.

A class is pods of one workload that no policy tells apart, with the same ports, and on one node where pods
on that node's network make a difference. What the simulator's tables say of a group they say of its classes;
only the pairs of a pod and its own node are decided one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeAlias

from netprobe.generate.demand import PortNumber
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import Evaluation, Profile, evaluate
from netprobe.simulate.bits import pack, unpack

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
    """All classes of a cluster. A class is the bit of its place in `all`."""

    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self._evaluation: Evaluation = evaluate(cluster, profile)
        hosts = {pod.node for pod in cluster.pods.values() if pod.host_network}
        found: dict[tuple[str, tuple[PortNumber, ...], int, str | None], list[PodRef]] = defaultdict(list)
        for ref, pod in cluster.pods.items():
            name = pod.workload.partition("/")[2] if pod.workload else ref.name
            ports = tuple(dict.fromkeys((port.number, port.protocol) for port in pod.ports))
            node = pod.node if pod.node in hosts else None
            key = (f"{ref.namespace}/{name}", ports, self._evaluation.group_of(ref).index, node)
            found[key].append(ref)
        self.all = tuple(
            WorkloadClass(name, ports, tuple(refs)) for (name, ports, _, _), refs in found.items()
        )
        self._groups = [self._evaluation.group_of(each.pods[0]).index for each in self.all]
        of_group: dict[int, list[int]] = defaultdict(list)
        for number, group in enumerate(self._groups):
            of_group[group].append(number)
        self._of_group = {group: pack(numbers, len(self.all)) for group, numbers in of_group.items()}
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
        self._spread: dict[int, int] = {}

    def rows(self, port: PortNumber) -> Rows:
        """For each class those that it reaches on a port in every family that they have in common.

        The bit of a class itself means its pods among each other, and nothing if it has only one pod.
        """
        evaluation = self._evaluation
        groups = evaluation.groups
        tables = [evaluation.table(*port, family) for family in evaluation.families or (None,)]
        speaking = [pack((g.index for g in groups if g.speaks(t.family)), len(groups)) for t in tables]
        made: dict[int, int] = {}
        for group in dict.fromkeys(self._groups):
            row, met = -1, 0
            for table, bits in zip(tables, speaking, strict=True):
                if bits >> group & 1:
                    row &= table.reached(group) | ~bits
                    met |= bits
            made[group] = self._classes(row & met)
        found = {number: made[group] for number, group in enumerate(self._groups)}
        for one, other in self._near:
            ends = self.all[one].pods[0], self.all[other].pods[-1]
            if ends[0] != ends[1]:
                passes = evaluation.verdict(*ends, *port) is Verdict.ALLOW
                found[one] = found[one] & ~(1 << other) | passes << other
        return found

    def _classes(self, groups: int) -> int:
        if groups not in self._spread:
            self._spread[groups] = reduce(or_, (self._of_group.get(g, 0) for g in unpack(groups)), 0)
        return self._spread[groups]
