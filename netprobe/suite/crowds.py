"""The declared matrix by crowds, without its flows being listed.

Theory of operation. Pods that every pattern of the rows names or leaves out together, and that declare the
same ports, are a crowd. A crowd is a bit; the sources of a row are then one big integer. For each crowd as a
destination and each port there is a list of the rows that speak about it. Read from the last row to the
first, each takes what no later row has taken, and the default what is left.

Cost. Linear in the pods, in what the rows' patterns match, and in rows times the crowds that each has as
destinations; never in the number of pairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import reduce
from operator import or_

from netprobe.errors import InputError
from netprobe.model.cluster import Cluster
from netprobe.model.declared import Column, Crowd, Declared, Share
from netprobe.model.flow import External, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.suite.ends import AddressEnd, End
from netprobe.suite.expectation import Expectation
from netprobe.suite.naming import Naming, Somebody, families, overridden

Place = tuple[int, int, Protocol]  # crowd as the destination, port


def _nothing(_: Pod) -> Hashable:
    return None


def crowded(
    expectation: Expectation, cluster: Cluster, apart: Callable[[Pod], Hashable] = _nothing
) -> Declared:
    """What `resolve` lists, by crowds. Pods for which `apart` differs are never in one.

    Raises InputError for the same rows as `resolve`.
    """
    return _Crowds(expectation, cluster, apart).declared()


class _Crowds:
    def __init__(self, expectation: Expectation, cluster: Cluster, apart: Callable[[Pod], Hashable]) -> None:
        self.expectation = expectation
        self.naming = Naming(expectation, cluster)
        rows = expectation.rows
        self.named = [
            (self.naming.ends(row, "from", row.source), self.naming.ends(row, "to", row.destination))
            for row in rows
        ]
        patterns = dict.fromkeys(end for row in rows for end in (*row.source, *row.destination))
        outside = list(expectation.externals)
        services: list[ServiceRef] = []
        for pattern in patterns:
            for end in self.naming.matched(pattern):
                if isinstance(end, External) and end not in expectation.externals:
                    outside.append(end)
                elif isinstance(end, ServiceRef):
                    services.append(end)
        pods = self._pods(cluster, patterns, outside, apart)
        hosts, behind = dict.fromkeys(outside), dict.fromkeys(services)
        self.crowds: list[Crowd] = [*pods, *((end,) for end in hosts), *((end,) for end in behind)]
        self.index: dict[Somebody, int] = {
            end: number for number, crowd in enumerate(self.crowds) for end in crowd
        }
        self.hosts = _bits(range(len(pods), len(pods) + len(hosts)))
        self.everybody = _bits(range(len(pods) + len(expectation.externals)))
        self._masks: dict[tuple[End, ...], int] = {}

    def _pods(
        self,
        cluster: Cluster,
        patterns: Iterable[End],
        outside: Iterable[External],
        apart: Callable[[Pod], Hashable],
    ) -> list[Crowd]:
        """The crowds of pods, those of a namespace side by side, in the order of the cluster."""
        addresses = {end.address for end in outside}
        numbers: dict[Hashable, int] = {}
        of: dict[PodRef, int] = {}
        for ref, pod in cluster.pods.items():
            # A pod whose address the declaration names as a host has a part that its replicas lack.
            alone = ref if not addresses.isdisjoint(pod.addresses) else None
            key = (ref.namespace, pod.ports, families(pod.addresses), alone, apart(pod))
            of[ref] = numbers.setdefault(key, len(numbers))
        sizes = Counter(of.values())
        for pattern in patterns:
            if isinstance(pattern, AddressEnd):
                continue
            members = [end for end in self.naming.matched(pattern) if isinstance(end, PodRef)]
            if len(members) == len(of):
                continue
            hit = Counter(of[ref] for ref in members)
            torn = {number: len(sizes) + i for i, number in enumerate(hit) if hit[number] < sizes[number]}
            sizes.update({new: hit[old] for old, new in torn.items()})
            sizes.subtract({old: hit[old] for old in torn})
            for ref in members:
                of[ref] = torn.get(of[ref], of[ref])
        by_namespace: dict[str, dict[int, list[PodRef]]] = defaultdict(lambda: defaultdict(list))
        for ref, number in of.items():
            by_namespace[ref.namespace][number].append(ref)
        return [tuple(members) for space in by_namespace.values() for members in space.values()]

    def declared(self) -> Declared:
        layers, itself = self._layers()
        default = self.expectation.default
        columns: list[Column] = []
        effective = {rows[-1] for rows in itself.values()}
        for (target, port, protocol), (rows, by_default) in layers.items():
            left, shares = self._possible(target), list[Share]()
            for number in reversed(rows):
                if mine := self._sources(number) & left:
                    shares.append(Share(number, self.expectation.rows[number].verdict, mine))
                    # The bit of a crowd of one says nothing: a row must not live by it.
                    if mine & self._pairs(target):
                        effective.add(number)
                    left &= ~mine
            if by_default and default is not None and (mine := left & self.everybody):
                shares.append(Share(None, default, mine))
            columns.append(Column(target, port, protocol, tuple(shares)))
        self._judge(layers, itself, effective)
        if self.naming.problems:
            raise InputError(self.naming.problems)
        told = self.expectation.rows
        ways = {flow: Share(rows[-1], told[rows[-1]].verdict, 0) for flow, rows in itself.items()}
        return Declared(tuple(self.crowds), tuple(columns), ways)

    def _layers(self) -> tuple[dict[Place, tuple[list[int], bool]], dict[Flow, list[int]]]:
        """For each destination and port the rows that speak about it, and whether the default does; and the
        rows of each way of a pod to itself."""
        layers: dict[Place, tuple[list[int], bool]] = {}
        itself: dict[Flow, list[int]] = defaultdict(list)
        if self.expectation.default is not None:
            for number, crowd in enumerate(self.crowds):
                if self.everybody >> number & 1:
                    for port in self.naming.declared(crowd[0]):
                        layers.setdefault((number, port.number, port.protocol), ([], True))
        for number, row in enumerate(self.expectation.rows):
            sources, destinations = self.named[number]
            if not (sources and destinations):
                continue
            exact = self.naming.is_exact(row, sources)
            for target in dict.fromkeys(self.index[end] for end in destinations):
                first = self.crowds[target][0]
                for asked in dict.fromkeys(self.naming.ports(row, first)):
                    rows, _ = layers.setdefault((target, *asked), ([], False))
                    rows.append(number)
                    if exact and sources == [first]:
                        itself[self.naming.flow(first, first, *asked)].append(number)
        return layers, itself

    def _judge(
        self,
        layers: dict[Place, tuple[list[int], bool]],
        itself: dict[Flow, list[int]],
        effective: set[int],
    ) -> None:
        """Rows without a flow, and rows of which later ones leave nothing."""
        doubtful = [n for n, ends in enumerate(self.named) if n not in effective and all(ends)]
        if not doubtful:
            return
        later: dict[int, set[int]] = {number: set() for number in doubtful}
        for (target, _, _), (rows, _) in layers.items():
            for number in later.keys() & set(rows):
                left = self._sources(number) & self._pairs(target)
                for other in reversed(rows):
                    if left & self._sources(other):
                        later[number].add(other)
                        left &= ~self._sources(other)
        for rows in itself.values():
            for number in later.keys() & set(rows):
                later[number].add(rows[-1])
        told = self.expectation.rows
        for number, others in later.items():
            problem = (
                overridden(told[number], (told[other] for other in sorted(others)))
                if others
                else self.naming.nothing(told[number], *self.named[number])
            )
            self.naming.problems.append(problem)

    def _sources(self, number: int) -> int:
        """The sources of a row, as bits."""
        patterns = self.expectation.rows[number].source
        if patterns not in self._masks:
            self._masks[patterns] = _bits(dict.fromkeys(self.index[end] for end in self.named[number][0]))
        return self._masks[patterns]

    def _possible(self, target: int) -> int:
        """The sources that can have flows to a crowd; its own bit among them."""
        return ~self.hosts if self.hosts >> target & 1 else -1

    def _pairs(self, target: int) -> int:
        """The same without the bit of a crowd of one."""
        alone = len(self.crowds[target]) == 1
        return self._possible(target) & ~(1 << target if alone else 0)


def _bits(numbers: Iterable[int]) -> int:
    return reduce(or_, (1 << number for number in numbers), 0)
