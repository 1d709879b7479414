"""A declaration proposed from what is allowed today: rows for all that passes, and deny for the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, evaluate

PortNumber = tuple[int, Protocol]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A row that allows: names as a suite spells them; `ports` None for all that are declared."""

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[PortNumber, ...] | None


def propose(cluster: Cluster, profile: Profile = CALICO) -> tuple[Proposed, ...]:
    """The rows under which `default: deny` declares what the policies of a cluster let pass among its pods.

    By workloads; a workload whose pods do not behave alike is told pod by pod. Costs the pairs of pods.
    """
    return tuple(_Proposal(cluster, profile).rows())


class _Proposal:
    def __init__(self, cluster: Cluster, profile: Profile) -> None:
        self._cluster = cluster
        self._evaluation: Evaluation = evaluate(cluster, profile)
        self._units: dict[str, list[PodRef]] = defaultdict(list)
        for ref, pod in cluster.pods.items():
            name = pod.workload.partition("/")[2] if pod.workload else ref.name
            self._units[f"{ref.namespace}/{name}"].append(ref)
        self._sources = self._settled()

    def rows(self) -> Iterator[Proposed]:
        """Destinations with the same sources on the same ports share a row."""
        joined: dict[tuple[tuple[str, ...], tuple[PortNumber, ...] | None], list[str]] = defaultdict(list)
        for unit in self._units:
            declared = self._declared(unit)
            by_sources: dict[tuple[str, ...], list[PortNumber]] = defaultdict(list)
            for port in declared:
                found = self._sources[unit, port]
                if found:
                    by_sources[self._short(found, unit)].append(port)
            for sources, ports in by_sources.items():
                joined[sources, None if len(ports) == len(declared) else tuple(ports)].append(unit)
        for (sources, asked), destinations in joined.items():
            yield Proposed(sources, tuple(destinations), asked)

    def _declared(self, unit: str) -> tuple[PortNumber, ...]:
        found = ((p.number, p.protocol) for ref in self._units[unit] for p in self._cluster.pods[ref].ports)
        return tuple(dict.fromkeys(found))

    def _settled(self) -> Mapping[tuple[str, PortNumber], frozenset[str]]:
        """The sources of each destination and port, after workloads of several minds are taken apart."""
        while True:
            found: dict[tuple[str, PortNumber], frozenset[str]] = {}
            torn: set[str] = set()
            for unit in self._units:
                for port in self._declared(unit):
                    sources = {one for one in self._units if self._passes(one, unit, port, torn)}
                    found[unit, port] = frozenset(sources)
            if not torn:
                return found
            for unit in torn:
                for ref in self._units.pop(unit):
                    self._units[str(ref)] = [ref]

    def _passes(self, source: str, destination: str, port: PortNumber, torn: set[str]) -> bool:
        verdicts = {
            self._evaluation.verdict(one, other, *port) is Verdict.ALLOW
            for one in self._units[source]
            for other in self._units[destination]
            if one != other and port in {(p.number, p.protocol) for p in self._cluster.pods[other].ports}
        }
        if len(verdicts) > 1:
            torn |= {unit for unit in (source, destination) if len(self._units[unit]) > 1}
        return verdicts == {True}

    def _short(self, sources: frozenset[str], unit: str) -> tuple[str, ...]:
        """Whole namespaces by a glob; a pod to itself is never meant."""
        free = {unit} if len(self._units[unit]) == 1 else set()
        if self._units.keys() <= sources | free:
            return ("*/*",)
        by_namespace: dict[str, set[str]] = defaultdict(set)
        for one in self._units:
            by_namespace[one.partition("/")[0]].add(one)
        told: list[str] = []
        for namespace, units in by_namespace.items():
            if len(units) > 1 and units <= sources | free and units - free:
                told.append(f"{namespace}/*")
            else:
                told += [one for one in self._units if one in units & sources]
        return tuple(told)
