"""What a suite expects, and what that declares for a cluster: the flows of its rows, the declared matrix.

A later row overrides an earlier one. A row that matches no flow, or that later rows override completely, is
an error: a typo must not produce a green run.

Rows are checked without listing flows, since a thousand pods have a million: each end is a bit, the
sources of a row are one integer, and for each destination and port there is the list of rows that name it.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from netprobe.errors import InputError, Problem
from netprobe.model.cluster import Cluster
from netprobe.model.flow import (
    Address,
    ContainerPort,
    End,
    External,
    Family,
    Flow,
    PodRef,
    Protocol,
    ServiceRef,
    via,
)
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Verdict
from netprobe.suite.ends import EndPattern, Matcher, PortPattern


@dataclass(frozen=True, slots=True)
class ExpectationRow:
    """An entry of `expect.flows`; `ports` None means every port that the destination declares.

    `place` is FILE:LINE:COLUMN, `path` is as in "expect.flows[3]".
    """

    source: tuple[EndPattern, ...]
    destination: tuple[EndPattern, ...]
    ports: tuple[PortPattern, ...] | None
    verdict: Verdict
    place: str = ""
    path: str = ""

    @property
    def names_both_ends(self) -> bool:
        """Whether neither end is a pattern of globs or labels."""
        return not any(set(end.text) & set("*?=") for end in (*self.source, *self.destination))

    def problem(self, field_name: str, message: str) -> Problem:
        return Problem(self.place, f"{self.path}.{field_name}" if field_name else self.path, message)


@dataclass(frozen=True, slots=True)
class Expectation:
    """Rows and a default.

    `externals`: the hosts outside that `*` and the default include, with the ports that they declare.
    """

    default: Verdict | None = None
    rows: tuple[ExpectationRow, ...] = ()
    externals: Mapping[External, tuple[ContainerPort, ...]] = field(default_factory=dict)


class PortOf(NamedTuple):
    """A destination on one port."""

    destination: End
    port: int
    protocol: Protocol


class NamedRow(NamedTuple):
    """A row, the ends that it names, and its sources as bits.

    `to_itself`: it names one pod exactly at both ends, and so declares the flow of that pod to itself.
    """

    row: ExpectationRow
    sources: tuple[End, ...]
    destinations: tuple[End, ...]
    bits: int
    to_itself: bool


class Declaration:
    """An expectation read against a cluster.

    Raises InputError for all rows that match nothing or that later rows override completely.
    """

    def __init__(self, expectation: Expectation, cluster: Cluster) -> None:
        self.expectation = expectation
        self.cluster = cluster
        self._matcher = Matcher(cluster, expectation.externals)
        self._index: dict[End, int] = {}
        self._outside = 0
        self._masks: dict[tuple[End, ...], int] = {}
        self._families: dict[End, frozenset[Family]] = {}
        problems: list[Problem] = []
        self.rows = tuple(self._named(row, problems) for row in expectation.rows)
        self.columns = self._columns()
        problems += self._useless_rows()
        if problems:
            raise InputError(problems)

    def matrix(self) -> Matrix[Verdict]:
        """The declared verdicts.

        First the flows of the default, if it is given: every ordered pair of different pods, and of a pod
        and an external host, on each port that the destination declares. Then those that only rows name, in
        the order of the rows. A flow has the only family that its ends have in common, and none if they have
        both, or no address is known. Only a row that names a pod exactly at both ends declares the flow of
        the pod to itself.
        """
        return Matrix(chain(self._by_default(), self._by_rows()))

    def _by_default(self) -> Iterator[tuple[Flow, Verdict]]:
        default = self.expectation.default
        if default is None:
            return
        everybody: list[End] = [*self.cluster.pods, *self.expectation.externals]
        for source in everybody:
            for destination in everybody:
                if self._is_flow(source, destination):
                    for port in self.ports_of(destination):
                        yield self.flow(source, destination, port.number, port.protocol), default

    def _by_rows(self) -> Iterator[tuple[Flow, Verdict]]:
        for one in self.rows:
            for source in one.sources:
                for destination in one.destinations:
                    if self._is_flow(source, destination, to_itself=one.to_itself):
                        for number, protocol in self.ports(one.row, destination):
                            yield self.flow(source, destination, number, protocol), one.row.verdict

    def declared_by(self, flow: Flow) -> str | None:
        """What declares a flow: "row" (it names both ends), "pattern" (any other row), "default" or None."""
        source = self._index.get(flow.source)
        numbers = self.columns.get(PortOf(flow.destination, flow.port, flow.protocol), ())
        found = [n for n in numbers if source is not None and self.sources(n, flow.destination) >> source & 1]
        if any(self.rows[number].row.names_both_ends for number in found):
            return "row"
        if found:
            return "pattern"
        return "default" if self.expectation.default is not None else None

    def verdict(self, source: End, destination: End, port: int, protocol: Protocol) -> Verdict | None:
        """What is declared for one flow, without listing all; None for nothing."""
        bit = self._index.get(source)
        for number in reversed(self.columns.get(PortOf(destination, port, protocol), ())):
            if bit is not None and self.sources(number, destination) >> bit & 1:
                return self.rows[number].row.verdict
        default = self.expectation.default
        if default is None or not self._is_flow(source, destination):
            return None
        known = all(self._is_known(end) for end in (source, destination))
        declared = known and any(
            (p.number, p.protocol) == (port, protocol) for p in self.ports_of(destination)
        )
        return default if declared else None

    @property
    def outside(self) -> tuple[External, ...]:
        """The addresses outside that rows name or the default includes."""
        named = (end for end in self._index if isinstance(end, External))
        return tuple(dict.fromkeys((*self.expectation.externals, *named)))

    def allowed_from(self, source: End) -> Iterator[Flow]:
        """The flows of a source that rows declare as allowed."""
        for destination, port, protocol in self.columns:
            if self.verdict(source, destination, port, protocol) is Verdict.ALLOW:
                yield self.flow(source, destination, port, protocol)

    def allowed_to(self, destination: End) -> Iterator[Flow]:
        """The flows to a destination that rows declare as allowed."""
        for end, port, protocol in self.columns:
            if end == destination:
                for source in self._index:
                    if self.verdict(source, destination, port, protocol) is Verdict.ALLOW:
                        yield self.flow(source, destination, port, protocol)

    def _is_known(self, end: End) -> bool:
        """Whether the default includes an end."""
        return end in self.cluster.pods or end in self.expectation.externals

    def ports_of(self, end: End) -> tuple[ContainerPort, ...]:
        """The ports that an end declares."""
        match end:
            case PodRef():
                return self.cluster.pods[end].ports
            case External():
                return self.expectation.externals.get(end, ())
            case ServiceRef():
                ports = self.cluster.services[end].ports
                return tuple(ContainerPort(port.port, port.protocol, port.name) for port in ports)

    def flow(self, source: End, destination: End, port: int, protocol: Protocol) -> Flow:
        ours, theirs = self.families(source), self.families(destination)
        common = ours & theirs if ours and theirs else ours | theirs
        family = next(iter(common)) if len(common) == 1 else None
        return Flow(source, destination, port, protocol, family, via(destination))

    def families(self, end: End) -> frozenset[Family]:
        """The families of an end's addresses."""
        if end not in self._families:
            self._families[end] = frozenset(address.version for address in self._addresses(end))
        return self._families[end]

    def sources(self, number: int, destination: End) -> int:
        """The sources of a row that have a flow to a destination, as bits."""
        bits = self.rows[number].bits
        if isinstance(destination, External):
            bits &= ~self._outside
        if self.rows[number].to_itself:
            return bits
        return bits & ~(1 << self._bit(destination))

    def _named(self, row: ExpectationRow, problems: list[Problem]) -> NamedRow:
        sources = self._ends(row, "from", problems)
        destinations = self._ends(row, "to", problems)
        if sources not in self._masks:
            self._masks[sources] = sum(1 << self._bit(end) for end in sources)
        exact = len(sources) == 1 and all(end.is_exact for end in (*row.source, *row.destination))
        return NamedRow(row, sources, destinations, self._masks[sources], exact)

    def _ends(self, row: ExpectationRow, field_name: str, problems: list[Problem]) -> tuple[End, ...]:
        """All ends that the patterns of one field match."""
        found: dict[End, None] = {}
        for pattern in row.source if field_name == "from" else row.destination:
            matching = self._matcher.matching(pattern)
            if not matching:
                near = difflib.get_close_matches(pattern.text, self._matcher.names(), 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                if pattern.text in map(str, self.cluster.finished):
                    hint = ": that pod has finished"
                problems.append(row.problem(field_name, f"{pattern} matches nothing{hint}"))
            found.update(dict.fromkeys(matching))
        return tuple(found)

    def _bit(self, end: End) -> int:
        if end not in self._index:
            self._index[end] = len(self._index)
            if isinstance(end, External):
                self._outside |= 1 << self._index[end]
        return self._index[end]

    def _columns(self) -> dict[PortOf, list[int]]:
        """The numbers of the rows that name a destination and port, in their order."""
        columns: dict[PortOf, list[int]] = defaultdict(list)
        for number, one in enumerate(self.rows):
            if one.sources:
                for destination in one.destinations:
                    for port, protocol in self.ports(one.row, destination):
                        columns[PortOf(destination, port, protocol)].append(number)
        return columns

    def ports(self, row: ExpectationRow, destination: End) -> Iterable[tuple[int, Protocol]]:
        declared = self.ports_of(destination)
        if row.ports is None:
            return dict.fromkeys((port.number, port.protocol) for port in declared)
        return dict.fromkeys(found for wanted in row.ports for found in wanted.on(declared))

    def _useless_rows(self) -> Iterator[Problem]:
        effective: set[int] = set()
        for (destination, _, _), numbers in self.columns.items():
            left = -1
            for number in reversed(numbers):
                if mine := self.sources(number, destination) & left:
                    effective.add(number)
                    left &= ~mine
        for number, one in enumerate(self.rows):
            if number in effective or not (one.sources and one.destinations):
                continue
            if later := self._overriding(number):
                paths = ", ".join(self.rows[other].row.path for other in sorted(later))
                yield one.row.problem("", f"later rows override every flow of this one: {paths}")
            else:
                yield self._without_flow(one)

    def _overriding(self, number: int) -> set[int]:
        """The later rows that decide the flows of a row."""
        found: set[int] = set()
        for (destination, _, _), numbers in self.columns.items():
            left = self.sources(number, destination) if number in numbers else 0
            for other in reversed(numbers):
                if left & self.sources(other, destination):
                    found.add(other)
                    left &= ~self.sources(other, destination)
        return found

    def _without_flow(self, one: NamedRow) -> Problem:
        row = one.row
        if all(isinstance(end, External) for end in (*one.sources, *one.destinations)):
            return row.problem("", "both ends are outside the cluster, where no policy applies")
        if not any(self.ports(row, destination) for destination in one.destinations):
            if row.ports is None:
                return row.problem("to", "matches nothing that declares a port; name the port")
            wanted = ", ".join(map(str, row.ports))
            known = sorted(
                {port.name for end in one.destinations for port in self.ports_of(end) if port.name}
            )
            names = f"; it has {', '.join(known)}" if known else ""
            return row.problem("port", f"no destination of this row has a port named {wanted}{names}")
        return row.problem(
            "", "matches only flows of pods to themselves; to declare one, name a pod at both ends"
        )

    @staticmethod
    def _is_flow(source: End, destination: End, *, to_itself: bool = False) -> bool:
        if source == destination:
            return to_itself and not isinstance(source, External)
        return not (isinstance(source, External) and isinstance(destination, External))

    def _addresses(self, end: End) -> tuple[Address, ...]:
        match end:
            case PodRef():
                return self.cluster.pods[end].addresses
            case External(address):
                return (address,)
            case ServiceRef():
                return self.cluster.services[end].addresses
