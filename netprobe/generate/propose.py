"""A declaration proposed from what is allowed today: rows for everything allowed, and deny for the rest.

Workloads whose pods have the same flows, in both directions, are named as workloads; the others pod by pod.
Flows are computed as bits, for classes of pods of one workload that no policy tells apart, with the same
ports, and on one node if pods on that node's network make a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeAlias

from netprobe.generate.demand import PortNumber
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, evaluate
from netprobe.simulate.bits import transposed, unpack


@dataclass(frozen=True, slots=True)
class ProposedRow:
    """A row with verdict allow, with names as in a suite; `ports` None: all declared ports."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[PortNumber, ...] | None


def propose(cluster: Cluster, profile: Profile = CALICO) -> tuple[ProposedRow, ...]:
    """The rows that, with `default: deny`, declare what the policies of a cluster allow among its pods."""
    return tuple(_Proposal(WorkloadClasses(cluster, profile)).rows())


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
        speaking = [evaluation.speaking(family) for family in families]
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
        node = pod.node if pod.node in hosts else None
        found[ref.namespace][
            pod.workload_name, _ports(cluster, ref), evaluation.group_of(ref).index, node
        ].append(ref)
    return tuple(
        WorkloadClass(f"{namespace}/{key[0]}", _ports(cluster, refs[0]), tuple(refs))
        for namespace, classes in found.items()
        for key, refs in classes.items()
    )


def _ports(cluster: Cluster, ref: PodRef) -> tuple[PortNumber, ...]:
    return tuple(dict.fromkeys((port.number, port.protocol) for port in cluster.pods[ref].ports))


@dataclass(frozen=True, slots=True)
class _Name:
    """What a row can name: a workload, or one of its pods if they differ. `places` are its classes."""

    text: str
    places: tuple[int, ...]
    is_alone: bool


class _Proposal:
    def __init__(self, classes: WorkloadClasses) -> None:
        self._classes = classes.all
        ports = dict.fromkeys(port for each in classes.all for port in each.ports)
        everybody = (1 << len(classes.all)) - 1
        self._reaches: dict[PortNumber, Rows] = {port: classes.rows(port) for port in ports}
        self._reached: dict[PortNumber, Rows] = {
            port: transposed(rows, everybody, len(classes.all)) for port, rows in self._reaches.items()
        }
        self._names = self._named()
        self._spaces: dict[str, int] = defaultdict(int)
        self._of_class: dict[int, int] = defaultdict(int)
        for number, name in enumerate(self._names):
            self._spaces[name.text.partition("/")[0]] |= 1 << number
            for place in name.places:
                self._of_class[place] |= 1 << number
        self._known: dict[int, int] = {}

    def _named(self) -> list[_Name]:
        by_workload: dict[str, list[int]] = defaultdict(list)
        for place, each in enumerate(self._classes):
            by_workload[each.name].append(place)
        names: list[_Name] = []
        for text, places in by_workload.items():
            pods = [(ref, place) for place in places for ref in self._classes[place].pods]
            if len(places) == 1 or self._alike(places):
                names.append(_Name(text, tuple(places), len(pods) == 1))
            else:
                names += [_Name(str(ref), (place,), True) for ref, place in pods]
        return names

    def _alike(self, places: list[int]) -> bool:
        """Whether classes have the same ports and flows, and all or none among each other.

        A row that names a port declares it for all pods that it names, whether they declare the port or not.
        """
        if len({frozenset(self._classes[place].ports) for place in places}) > 1:
            return False
        own = reduce(or_, (1 << place for place in places))
        for port in self._reaches:
            is_destination = port in self._classes[places[0]].ports
            for lines in (self._reaches[port], self._reached[port] if is_destination else {}):
                if len({lines.get(place, 0) & ~own for place in places}) > 1:
                    return False
            among = {
                self._reaches[port][one] >> other & 1
                for one in places
                for other in (places if is_destination else ())
                if one != other or not self._classes[one].is_alone
            }
            if len(among) > 1:
                return False
        return True

    def rows(self) -> Iterator[ProposedRow]:
        """Destinations with the same sources on the same ports share a row."""
        joined: dict[tuple[tuple[str, ...], tuple[PortNumber, ...] | None], list[str]] = defaultdict(list)
        for number, name in enumerate(self._names):
            declared = self._classes[name.places[0]].ports
            by_sources: dict[int, list[PortNumber]] = defaultdict(list)
            for port in declared:
                if found := self._sources(number, port):
                    by_sources[found].append(port)
            for sources, ports in by_sources.items():
                asked = None if len(ports) == len(declared) else tuple(ports)
                joined[self._short(sources, number), asked].append(name.text)
        for (names, asked), destinations in joined.items():
            yield ProposedRow(names, tuple(destinations), asked)

    def _sources(self, number: int, port: PortNumber) -> int:
        """The names from which one is reached on a port, as bits."""
        name = self._names[number]
        place = name.places[0]
        column = self._reached[port].get(place, 0)
        if self._classes[place].is_alone:
            column &= ~(1 << place)
        if column not in self._known:
            self._known[column] = reduce(or_, (self._of_class[one] for one in unpack(column)), 0)
        found = self._known[column]
        return found & ~(1 << number) if name.is_alone else found

    def _short(self, sources: int, number: int) -> tuple[str, ...]:
        """Names for the sources, complete namespaces by a glob. A pod to itself does not count."""
        free = 1 << number if self._names[number].is_alone else 0
        if not (1 << len(self._names)) - 1 & ~(sources | free):
            return ("*/*",)
        names: list[str] = []
        for namespace, inside in _touched(self._spaces, sources):
            if inside & (inside - 1) and not inside & ~(sources | free):
                names.append(f"{namespace}/*")
            else:
                names += [self._names[one].text for one in unpack(inside & sources)]
        return tuple(names)


def _touched(spaces: Mapping[str, int], sources: int) -> Iterator[tuple[str, int]]:
    return ((name, inside) for name, inside in spaces.items() if inside & sources)
