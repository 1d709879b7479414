"""Whom the rows of an expectation name on a cluster, on which ports, and what is wrong with those that name
nobody."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TypeAlias

from netprobe.errors import Problem
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
from netprobe.suite.ends import AddressEnd, End, LabelPattern, PodPattern, ServiceEnd, names_of
from netprobe.suite.expectation import Expectation, Row

Somebody: TypeAlias = PodRef | External | ServiceRef


class Naming:
    """Reads rows against a cluster. What is wrong with them is collected in `problems`."""

    def __init__(self, expectation: Expectation, cluster: Cluster) -> None:
        self.cluster = cluster
        self.externals = expectation.externals
        self.problems: list[Problem] = []
        self._matched: dict[End, tuple[Somebody, ...]] = {}
        self._position = {ref: number for number, ref in enumerate(cluster.pods)}
        self._by_namespace: dict[str, list[Pod]] = defaultdict(list)
        self._by_name: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in cluster.pods.values():
            self._by_namespace[pod.ref.namespace].append(pod)
            for name in {pod.ref.name, pod.workload.partition("/")[2] if pod.workload else pod.ref.name}:
                self._by_name[pod.ref.namespace, name].append(pod)

    def ends(self, row: Row, field_name: str, patterns: Iterable[End]) -> list[Somebody]:
        """Everybody whom the patterns of one field match; a pattern that matches nobody is a problem."""
        found: dict[Somebody, None] = {}
        for pattern in patterns:
            matched = self.matched(pattern)
            if not matched:
                near = difflib.get_close_matches(
                    pattern.text, names_of(self.cluster.pods, tuple(self.externals)), 1
                )
                hint = f"; did you mean {near[0]}?" if near else ""
                self.problems.append(row.problem(field_name, f"{pattern} matches nobody{hint}"))
            found.update(dict.fromkeys(matched))
        return list(found)

    def matched(self, pattern: End) -> tuple[Somebody, ...]:
        """Pods in the order of the cluster, then hosts outside."""
        if pattern not in self._matched:
            self._matched[pattern] = tuple(self._matching(pattern))
        return self._matched[pattern]

    def _matching(self, pattern: End) -> Iterator[Somebody]:
        if isinstance(pattern, ServiceEnd):
            if pattern.ref in self.cluster.services:
                yield pattern.ref
            return
        pods = (pod.ref for pod in self._candidates(pattern) if pattern.matches_pod(pod))
        yield from sorted(pods, key=self._position.__getitem__)
        externals = [external for external in self.externals if pattern.matches_external(external)]
        yield from externals
        if isinstance(pattern, AddressEnd) and not externals:
            yield External(pattern.address)

    def _candidates(self, pattern: End) -> Iterable[Pod]:
        """Pods among which are all that match: no row is held against every pod of a large cluster."""
        if not isinstance(pattern, PodPattern | LabelPattern):
            return self.cluster.pods.values()
        spaces: Iterable[str] = [pattern.namespace]
        if _is_glob(pattern.namespace):
            spaces = [name for name in self._by_namespace if fnmatchcase(name, pattern.namespace)]
        if isinstance(pattern, PodPattern) and not _is_glob(pattern.name):
            return [pod for space in spaces for pod in self._by_name.get((space, pattern.name), ())]
        return [pod for space in spaces for pod in self._by_namespace.get(space, ())]

    @staticmethod
    def is_exact(row: Row, sources: list[Somebody]) -> bool:
        """Whether a row asks for a pod's way to itself where both ends are one pod."""
        return len(sources) == 1 and all(end.is_exact for end in (*row.source, *row.destination))

    def declared(self, end: Somebody) -> tuple[ContainerPort, ...]:
        match end:
            case PodRef():
                return self.cluster.pods[end].ports
            case External():
                return self.externals.get(end, ())
            case ServiceRef():
                ports = self.cluster.services[end].ports
                return tuple(ContainerPort(port.port, port.protocol, port.name) for port in ports)

    def ports(self, row: Row, destination: Somebody) -> list[tuple[int, Protocol]]:
        declared = self.declared(destination)
        if row.ports is None:
            return [(port.number, port.protocol) for port in declared]
        return [found for ask in row.ports for found in ask.on(declared)]

    def flow(self, source: Somebody, destination: Somebody, port: int, protocol: Protocol) -> Flow:
        via = {External: Via.EXTERNAL, ServiceRef: Via.SERVICE}.get(type(destination), Via.POD)
        return Flow(source, destination, port, protocol, self._family(source, destination), via)

    def _family(self, source: Somebody, destination: Somebody) -> Family | None:
        ours, theirs = families(self._addresses(source)), families(self._addresses(destination))
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

    def nothing(self, row: Row, sources: list[Somebody], destinations: list[Somebody]) -> Problem:
        """Why there is no flow from any of these to any of those."""
        if all(isinstance(end, External) for end in (*sources, *destinations)):
            return row.problem("", "both ends are outside the cluster: no policy stands between them")
        if not any(self.ports(row, destination) for destination in destinations):
            if row.ports is None:
                return row.problem("to", "matches nobody that declares a port; name the port")
            asked = ", ".join(map(str, row.ports))
            known = sorted({port.name for end in destinations for port in self.declared(end) if port.name})
            names = f"; it has {', '.join(known)}" if known else ""
            return row.problem("port", f"no destination of this row has a port named {asked}{names}")
        return row.problem(
            "", "matches only pods themselves; name the pod exactly at both ends to ask for that"
        )


def overridden(row: Row, later: Iterable[Row]) -> Problem:
    """Of a row none of whose flows is left to it."""
    paths = ", ".join(other.path for other in later)
    return row.problem("", f"later rows override every flow of this one: {paths}")


def families(addresses: Iterable[Address]) -> frozenset[Family]:
    return frozenset(address.version for address in addresses)


def _is_glob(text: str) -> bool:
    return re.search("[*?]", text) is not None
