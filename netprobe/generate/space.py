"""The ends of a demand: classes of pods, and addresses outside. Sets of them are bits.

A policy tells pods apart by namespace and labels only, so pods that share both are one class. A class may
contain several crowds of the declaration; the bit of the first is used for all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from netprobe.generate.declared import Crowd, Shown, shown
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, External, PodRef, ServiceRef
from netprobe.simulate.bits import unpack


@dataclass(frozen=True, slots=True, eq=False)
class PodClass:
    """Pods of a namespace with the same labels. Compared by identity: there is one object per class."""

    namespace: str
    labels: Shown
    pods: tuple[PodRef, ...]
    name: str  # of the pod, or of the workload whose pods these are
    bit: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Space:
    """The crowds of a declaration as classes and hosts. All sets are bits.

    `place` maps each crowd to the crowd that policies see: itself, except for an external address that is
    the address of a pod. Services have no place.
    """

    def __init__(self, crowds: Sequence[Crowd], cluster: Cluster) -> None:
        self.crowds = crowds
        self.size = sum(not isinstance(crowd[0], ServiceRef) for crowd in crowds)
        self.of: dict[PodRef, int] = {
            end: number for number, crowd in enumerate(crowds) for end in crowd if isinstance(end, PodRef)
        }
        pods = (pod for pod in cluster.pods.values() if not pod.host_network)
        by_address: dict[Address, PodRef] = {address: pod.ref for pod in pods for address in pod.addresses}
        self.place = list(range(len(crowds)))
        self.hosts: dict[int, External] = {}
        for number, crowd in enumerate(crowds):
            end = crowd[0]
            if isinstance(end, External):
                if end.address in by_address:
                    self.place[number] = self.of[by_address[end.address]]
                else:
                    self.hosts[number] = end
        self.aliases = {number: place for number, place in enumerate(self.place) if number != place}
        self.outside = _bits(self.hosts)
        self.classes = tuple(self._classes(cluster))
        self.by_namespace: dict[str, list[PodClass]] = defaultdict(list)
        for pod_class in self.classes:
            self.by_namespace[pod_class.namespace].append(pod_class)
        self.namespaces = {name: _bits(k.bit for k in classes) for name, classes in self.by_namespace.items()}
        self.class_at = {pod_class.bit: pod_class for pod_class in self.classes}
        self._several = reduce(or_, self._members.values(), 0)
        self._known: dict[int, int] = {}

    def _classes(self, cluster: Cluster) -> Iterator[PodClass]:
        found: dict[tuple[str, Shown], list[int]] = defaultdict(list)
        for number, crowd in enumerate(self.crowds):
            if isinstance(first := crowd[0], PodRef):
                found[first.namespace, shown(cluster.pods[first])].append(number)
        self._members: dict[int, int] = {}  # of classes that hold several crowds
        self._bit_of: dict[int, int] = {}
        for (namespace, labels), numbers in found.items():
            refs = tuple(end for n in numbers for end in self.crowds[n] if isinstance(end, PodRef))
            if len(numbers) > 1:
                self._members[numbers[0]] = _bits(numbers)
                self._bit_of.update(dict.fromkeys(numbers, numbers[0]))
            yield PodClass(namespace, labels, refs, _name(cluster, refs), numbers[0])

    def bit(self, crowd: int) -> int:
        """The bit of the class or host that a crowd belongs to."""
        return self._bit_of.get(crowd, crowd)

    def members(self, bit: int) -> int:
        """The crowds of a class, as bits."""
        return self._members.get(bit, 1 << bit)

    def real(self, bits: int) -> int:
        """Crowds as policies see them: an address of a pod is that pod."""
        for number, place in self.aliases.items():
            if bits >> number & 1:
                bits = bits & ~(1 << number) | 1 << place
        return bits

    def known(self, crowds: int) -> int:
        """The classes and hosts with a crowd in a set."""
        mixed = crowds & self._several
        if not mixed:
            return crowds
        if mixed not in self._known:
            self._known[mixed] = _bits({self._bit_of[number] for number in unpack(mixed)})
        return crowds & ~self._several | self._known[mixed]

    def is_alone(self, crowd: int) -> bool:
        return len(self.crowds[crowd]) == 1


def _bits(numbers: Iterator[int] | Sequence[int] | set[int] | dict[int, External]) -> int:
    return reduce(or_, (1 << number for number in numbers), 0)


def _name(cluster: Cluster, refs: Sequence[PodRef]) -> str:
    workloads = {cluster.pods[ref].workload for ref in refs}
    only = workloads.pop() if len(workloads) == 1 else None
    return only.partition("/")[2] if only else refs[0].name
