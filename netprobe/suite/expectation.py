"""What the author meant: rows and a default, and the matrix that they declare for a cluster.

Rows go from coarse to fine, a later one overrides an earlier one. A row that names nothing, or of which
later rows leave nothing, is an error: a typing mistake must not pass as a green run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netprobe.errors import InputError, Problem
from netprobe.model.cluster import Cluster
from netprobe.model.flow import (
    Address,
    ContainerPort,
    External,
    Family,
    Flow,
    Pod,
    PodRef,
    Protocol,
    ServiceRef,
    Via,
)
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Verdict
from netprobe.suite.ends import AddressEnd, End, ServiceEnd, names_of
from netprobe.suite.ports import PortAsk

Somebody = PodRef | External | ServiceRef


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `flows`; `ports` None means every port that the destination declares."""

    source: tuple[End, ...]
    destination: tuple[End, ...]
    ports: tuple[PortAsk, ...] | None
    verdict: Verdict
    place: str = ""  # file:line:column
    path: str = ""  # expect.flows[3]

    def problem(self, field_name: str, message: str) -> Problem:
        return Problem(self.place, f"{self.path}.{field_name}" if field_name else self.path, message)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected at one moment. `externals`: the hosts outside that `*` and the default mean, and
    the ports that they declare."""

    default: Verdict | None = None
    rows: tuple[Row, ...] = ()
    externals: Mapping[External, tuple[ContainerPort, ...]] = field(default_factory=dict)


def resolve(expectation: Expectation, cluster: Cluster) -> Matrix[Verdict]:
    """The declared matrix.

    First the flows of the default, if there is one: every ordered pair of different pods, and of a pod and
    an external host, on each port that the destination declares. Then those that only rows name, in the
    order of the rows. A flow has the only family that its ends have in common, and none where they have
    both, or no address is known. A pod's way to itself is declared only by a row that names it exactly at
    both ends.

    Raises InputError for rows that match nothing or that later ones wholly override.
    """
    return _Resolver(expectation, cluster).matrix()


class _Resolver:
    def __init__(self, expectation: Expectation, cluster: Cluster) -> None:
        self.expectation = expectation
        self.cluster = cluster
        self.externals = expectation.externals
        self.problems: list[Problem] = []

    def matrix(self) -> Matrix[Verdict]:
        cells: dict[Flow, Verdict] = {}
        winner: dict[Flow, int] = {}
        if self.expectation.default is not None:
            cells = dict.fromkeys(self._all_flows(), self.expectation.default)
        per_row: list[list[Flow]] = []
        for index, row in enumerate(self.expectation.rows):
            flows = list(dict.fromkeys(self._row(row)))
            per_row.append(flows)
            for flow in flows:
                cells[flow] = row.verdict
                winner[flow] = index
        effective = set(winner.values())
        for index, (row, flows) in enumerate(zip(self.expectation.rows, per_row, strict=True)):
            if flows and index not in effective:
                later = sorted({winner[flow] for flow in flows})
                paths = ", ".join(self.expectation.rows[number].path for number in later)
                self.problems.append(row.problem("", f"later rows override every flow of this one: {paths}"))
        if self.problems:
            raise InputError(self.problems)
        return Matrix(cells)

    def _all_flows(self) -> Iterator[Flow]:
        everybody: list[Somebody] = [*self.cluster.pods, *self.externals]
        for source in everybody:
            for destination in everybody:
                for port in self._declared(destination):
                    if flow := self._flow(source, destination, port.number, port.protocol):
                        yield flow

    def _row(self, row: Row) -> Iterator[Flow]:
        sources = self._ends(row, "from", row.source)
        destinations = self._ends(row, "to", row.destination)
        if not sources or not destinations:
            return
        exact = len(sources) == 1 and all(end.is_exact for end in (*row.source, *row.destination))
        found = False
        for source in sources:
            for destination in destinations:
                for number, protocol in self._ports(row, destination):
                    flow = self._flow(source, destination, number, protocol, to_itself=exact)
                    if flow is not None:
                        found = True
                        yield flow
        if not found:
            self.problems.append(self._nothing(row, sources, destinations))

    def _nothing(self, row: Row, sources: list[Somebody], destinations: list[Somebody]) -> Problem:
        if all(isinstance(end, External) for end in (*sources, *destinations)):
            return row.problem("", "both ends are outside the cluster: no policy stands between them")
        if not any(self._ports(row, destination) for destination in destinations):
            if row.ports is None:
                return row.problem("to", "matches nobody that declares a port; name the port")
            asked = ", ".join(map(str, row.ports))
            known = sorted({port.name for end in destinations for port in self._declared(end) if port.name})
            names = f"; it has {', '.join(known)}" if known else ""
            return row.problem("port", f"no destination of this row has a port named {asked}{names}")
        return row.problem(
            "", "matches only pods themselves; name the pod exactly at both ends to ask for that"
        )

    def _ends(self, row: Row, field_name: str, patterns: Iterable[End]) -> list[Somebody]:
        found: dict[Somebody, None] = {}
        for pattern in patterns:
            matched = list(self._matching(pattern))
            if not matched:
                near = difflib.get_close_matches(
                    pattern.text, names_of(self.cluster.pods, tuple(self.externals)), 1
                )
                hint = f"; did you mean {near[0]}?" if near else ""
                self.problems.append(row.problem(field_name, f"{pattern} matches nobody{hint}"))
            found.update(dict.fromkeys(matched))
        return list(found)

    def _matching(self, pattern: End) -> Iterator[Somebody]:
        if isinstance(pattern, ServiceEnd):
            if pattern.ref in self.cluster.services:
                yield pattern.ref
            return
        yield from (pod.ref for pod in self.cluster.pods.values() if pattern.matches_pod(pod))
        externals = [external for external in self.externals if pattern.matches_external(external)]
        yield from externals
        if isinstance(pattern, AddressEnd) and not externals:
            yield External(pattern.address)

    def _declared(self, end: Somebody) -> tuple[ContainerPort, ...]:
        match end:
            case PodRef():
                return self.cluster.pods[end].ports
            case External():
                return self.externals.get(end, ())
            case ServiceRef():
                ports = self.cluster.services[end].ports
                return tuple(ContainerPort(port.port, port.protocol, port.name) for port in ports)

    def _ports(self, row: Row, destination: Somebody) -> list[tuple[int, Protocol]]:
        declared = self._declared(destination)
        if row.ports is None:
            return [(port.number, port.protocol) for port in declared]
        return [found for ask in row.ports for found in ask.on(declared)]

    def _flow(
        self,
        source: Somebody,
        destination: Somebody,
        port: int,
        protocol: Protocol,
        *,
        to_itself: bool = False,
    ) -> Flow | None:
        if source == destination and not to_itself:
            return None
        if isinstance(source, External) and isinstance(destination, External):
            return None
        via = {External: Via.EXTERNAL, ServiceRef: Via.SERVICE}.get(type(destination), Via.POD)
        return Flow(source, destination, port, protocol, self._family(source, destination), via)

    def _family(self, source: Somebody, destination: Somebody) -> Family | None:
        ours, theirs = _families(self._addresses(source)), _families(self._addresses(destination))
        common = ours & theirs if ours and theirs else ours | theirs
        return next(iter(common)) if len(common) == 1 else None

    def _addresses(self, end: Somebody) -> tuple[Address, ...]:
        match end:
            case PodRef():
                pod: Pod = self.cluster.pods[end]
                return pod.addresses
            case External(address):
                return (address,)
            case ServiceRef():
                return self.cluster.services[end].addresses


def _families(addresses: tuple[Address, ...]) -> set[Family]:
    return {address.version for address in addresses}
