"""What a declaration demands of policies: who must reach whom, and who must not. Sets are bits.

A policy tells pods apart by namespace and labels only, so pods that share both are one class. A class may
contain several crowds of the declaration; the bit of the first is used for all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import NamedTuple, TypeAlias

from netprobe.generate.declared import Crowd, Share, Shown, as_bits, shown
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, External, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import pack, unpack


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
        self.outside = as_bits(self.hosts)
        self.classes = tuple(self._classes(cluster))
        self.by_namespace: dict[str, list[PodClass]] = defaultdict(list)
        for pod_class in self.classes:
            self.by_namespace[pod_class.namespace].append(pod_class)
        self.namespaces = {
            name: as_bits(k.bit for k in classes) for name, classes in self.by_namespace.items()
        }
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
                self._members[numbers[0]] = as_bits(numbers)
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
            self._known[mixed] = as_bits({self._bit_of[number] for number in unpack(mixed)})
        return crowds & ~self._several | self._known[mixed]

    def is_alone(self, crowd: int) -> bool:
        return len(self.crowds[crowd]) == 1


def _name(cluster: Cluster, refs: Sequence[PodRef]) -> str:
    workloads = {cluster.pods[ref].workload for ref in refs}
    only = workloads.pop() if len(workloads) == 1 else None
    return only.partition("/")[2] if only else refs[0].name


PortNumber: TypeAlias = tuple[int, Protocol]

Closed: TypeAlias = frozenset[tuple[str, Direction]]
"""The namespaces that get a default deny, each with the direction."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no policies can do what is declared. `flows` are the declared flows in conflict.

    `rows` are the rows that declare them, by their numbers; None for the default.
    """

    reason: str
    flows: tuple[Flow, ...]
    rows: tuple[int | None, ...] = ()


@dataclass(slots=True)
class TargetDemand:
    """What must reach one destination on one port, and what must not: sources, as bits."""

    allow: int = 0
    deny: int = 0
    rows: list[Share] = field(default_factory=list)

    def add(self, part: Share) -> None:
        self.rows.append(part)
        if part.verdict is Verdict.ALLOW:
            self.allow |= part.sources
        else:
            self.deny |= part.sources


Demands: TypeAlias = Mapping[PortNumber, dict[int, TargetDemand]]
"""By port and destination."""


NamedPeers: TypeAlias = Mapping[int, frozenset[Direction]]
"""For each row the directions in which it names its peers exactly, not by a glob.

The peers for ingress are the sources of the row. A namespace may not replace exactly named pods in a rule.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The peers of a subject on a port, as bits; `named`: those that a row names exactly."""

    peers: int = 0
    named: int = 0


Openings: TypeAlias = Mapping[PortNumber, Opening]


class RowPermission(NamedTuple):
    """What a row allows one subject: peers on a port, as bits. `row` None: the default."""

    row: int | None
    port: PortNumber
    peers: int


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything that is demanded, by the crowds of the declaration, and by classes for policies."""

    space: Space
    crowds: Demands
    classes: Demands

    def permissions(self, direction: Direction) -> Mapping[int, list[RowPermission]]:
        """What the rows allow each class or host in a direction."""
        found: dict[int, list[RowPermission]] = defaultdict(list)
        alike: dict[RowPermission, list[int]] = defaultdict(list)
        for port, targets in self.classes.items():
            for target, demanded in targets.items():
                for part in demanded.rows:
                    if part.verdict is Verdict.ALLOW:
                        alike[RowPermission(part.row, port, part.sources)].append(target)
        for permission, targets_alike in alike.items():
            if direction is Direction.INGRESS:
                for target in targets_alike:
                    found[target].append(permission)
            else:
                outgoing = permission._replace(peers=pack(targets_alike, self.space.size))
                for source in unpack(permission.peers):
                    found[source].append(outgoing)
        return found

    def between(self, verdict: Verdict) -> Counter[tuple[str | None, str | None]]:
        """The number of pairs of classes and ports with a verdict, by namespaces; None for outside."""
        spaces: list[tuple[str | None, int]] = [(None, self.space.outside), *self.space.namespaces.items()]
        home: dict[int, str | None] = {pod_class.bit: pod_class.namespace for pod_class in self.space.classes}
        counted: dict[int, Counter[str | None]] = {}
        found: Counter[tuple[str | None, str | None]] = Counter()
        for targets in self.classes.values():
            for target, demanded in targets.items():
                bits = demanded.allow if verdict is Verdict.ALLOW else demanded.deny
                if bits not in counted:
                    counted[bits] = (
                        Counter(home.get(source) for source in unpack(bits))
                        if bits.bit_count() < len(spaces)
                        else Counter({name: (bits & mask).bit_count() for name, mask in spaces})
                    )
                for name, number in counted[bits].items():
                    if number:
                        found[name, home.get(target)] += number
        return found


def openings_by_port(
    permissions: Iterable[RowPermission], direction: Direction, named: NamedPeers
) -> Openings:
    """What permissions of one subject allow, port by port."""
    found: dict[PortNumber, Opening] = {}
    for row, port, peers in permissions:
        before = found.get(port, Opening())
        narrow = peers if row is not None and direction in named.get(row, ()) else 0
        found[port] = Opening(before.peers | peers, before.named | narrow)
    return found
