"""A declared matrix by crowds: ends that the declaration treats alike.

Pods that every row includes or excludes together, with the same ports and labels, are a crowd. A crowd is a
bit; the sources of a row are one integer. For each destination crowd and each port there is the list of rows
that name it. From the last row to the first, each row gets the sources that no later row has, and the default
gets the rest. The cost is linear in the pods, in the ends of the rows, and in rows times their destination
crowds. It does not depend on the number of pairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TypeAlias

from netprobe.manifests.workload import ROLLOUT_LABELS
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.suite import Declaration, Expectation

Crowd: TypeAlias = tuple[End, ...]
"""Ends with the same flows, declared alike: pods of one namespace, one address outside, or one Service."""


Shown: TypeAlias = tuple[tuple[str, str], ...]


def shown(pod: Pod) -> Shown:
    """The labels that a policy may select by."""
    return tuple(sorted((k, v) for k, v in pod.labels.items() if k not in ROLLOUT_LABELS))


@dataclass(frozen=True, slots=True)
class Share:
    """What one row decides about one crowd on one port; `row` None: the default.

    `sources` are crowds, as bits. The bit of the destination's own crowd means its members among each other,
    and nothing if it has only one member. `toward` and `port` are the destination's, as declared: also when
    the share of a Service is read as one of its backends.
    """

    row: int | None
    verdict: Verdict
    sources: int
    toward: int
    port: int


@dataclass(frozen=True, slots=True)
class DeclaredColumn:
    """All flows to one crowd on one port. A source that is in no share is not declared."""

    destination: int
    port: int
    protocol: Protocol
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that is declared. Crowds of a namespace are adjacent, and those of Services are last.

    `itself` has the declared flows of pods to themselves, with verdicts and rows.
    """

    crowds: tuple[Crowd, ...]
    columns: tuple[DeclaredColumn, ...]
    itself: Mapping[Flow, Share] = field(default_factory=dict)


def declared_crowds(expectation: Expectation, cluster: Cluster) -> Declared:
    """The declared matrix by crowds.

    Raises InputError for rows that match nothing or that later rows override completely.
    """
    return _Crowds(Declaration(expectation, cluster)).declared()


class _Crowds:
    def __init__(self, read: Declaration) -> None:
        self.read = read
        externals = read.expectation.externals
        named = dict.fromkeys(end for row in read.rows for end in (*row.sources, *row.destinations))
        hosts = dict.fromkeys((*externals, *(end for end in named if isinstance(end, External))))
        services = [end for end in named if isinstance(end, ServiceRef)]
        pods = self._pods(hosts)
        self.crowds: list[Crowd] = [*pods, *((end,) for end in hosts), *((end,) for end in services)]
        self.index: dict[End, int] = {
            end: number for number, crowd in enumerate(self.crowds) for end in crowd
        }
        self.hosts = as_bits(range(len(pods), len(pods) + len(hosts)))
        self.everybody = as_bits(range(len(pods) + len(externals)))
        self._masks: dict[tuple[End, ...], int] = {}

    def _pods(self, hosts: Iterable[External]) -> list[Crowd]:
        """The crowds of pods, those of a namespace side by side, in the order of the cluster."""
        addresses = {end.address for end in hosts}
        numbers: dict[Hashable, int] = {}
        of: dict[PodRef, int] = {}
        for ref, pod in self.read.cluster.pods.items():
            # Pods on their node's network are crowds by themselves, and pods whose address is declared too.
            alone = ref if pod.host_network or not addresses.isdisjoint(pod.addresses) else None
            key = (ref.namespace, pod.ports, self.read.families(ref), alone, shown(pod))
            of[ref] = numbers.setdefault(key, len(numbers))
        sizes = Counter(of.values())
        for ends in dict.fromkeys(ends for row in self.read.rows for ends in (row.sources, row.destinations)):
            members = [end for end in ends if isinstance(end, PodRef)]
            if len(members) == len(of):
                continue
            hit = Counter(of[ref] for ref in members)
            split = [number for number in hit if hit[number] < sizes[number]]
            split_off = {number: len(sizes) + i for i, number in enumerate(split)}
            sizes.update({new: hit[old] for old, new in split_off.items()})
            sizes.subtract({old: hit[old] for old in split_off})
            for ref in members:
                of[ref] = split_off.get(of[ref], of[ref])
        by_namespace: dict[str, dict[int, list[PodRef]]] = defaultdict(lambda: defaultdict(list))
        for ref, number in of.items():
            by_namespace[ref.namespace][number].append(ref)
        return [tuple(members) for space in by_namespace.values() for members in space.values()]

    def declared(self) -> Declared:
        layers, itself = self._layers()
        default = self.read.expectation.default
        columns: list[DeclaredColumn] = []
        for (target, port, protocol), (rows, by_default) in layers.items():
            left, shares = self._possible(target), list[Share]()
            for number in reversed(rows):
                if mine := self._sources(number) & left:
                    shares.append(Share(number, self._verdict(number), mine, target, port))
                    left &= ~mine
            if by_default and default is not None and (mine := left & self.everybody):
                shares.append(Share(None, default, mine, target, port))
            columns.append(DeclaredColumn(target, port, protocol, tuple(shares)))
        own_flows = {
            flow: Share(rows[-1], self._verdict(rows[-1]), 0, self.index[flow.destination], flow.port)
            for flow, rows in itself.items()
        }
        return Declared(tuple(self.crowds), tuple(columns), own_flows)

    def _layers(
        self,
    ) -> tuple[dict[tuple[int, int, Protocol], tuple[list[int], bool]], dict[Flow, Sequence[int]]]:
        """For each destination and port the rows that name it, and whether the default does; and the rows of
        each pod's flow to itself."""
        layers: dict[tuple[int, int, Protocol], tuple[list[int], bool]] = {}
        itself: dict[Flow, list[int]] = defaultdict(list)
        if self.read.expectation.default is not None:
            for number, crowd in enumerate(self.crowds):
                if self.everybody >> number & 1:
                    for port in self.read.ports_of(crowd[0]):
                        layers.setdefault((number, port.number, port.protocol), ([], True))
        for number, row in enumerate(self.read.rows):
            for target in dict.fromkeys(self.index[end] for end in row.destinations):
                first = self.crowds[target][0]
                for port_number in self.read.ports(row.row, first):
                    rows, _ = layers.setdefault((target, *port_number), ([], False))
                    rows.append(number)
                    if row.to_itself and row.sources == (first,):
                        itself[self.read.flow(first, first, *port_number)].append(number)
        return layers, dict(itself)

    def _verdict(self, number: int) -> Verdict:
        return self.read.rows[number].row.verdict

    def _sources(self, number: int) -> int:
        """The sources of a row, as bits."""
        ends = self.read.rows[number].sources
        if ends not in self._masks:
            self._masks[ends] = as_bits(dict.fromkeys(self.index[end] for end in ends))
        return self._masks[ends]

    def _possible(self, target: int) -> int:
        """The sources that can have flows to a crowd; its own bit among them."""
        return ~self.hosts if self.hosts >> target & 1 else -1


def as_bits(numbers: Iterable[int]) -> int:
    """Numbers as a set of bits."""
    return reduce(or_, (1 << number for number in numbers), 0)
