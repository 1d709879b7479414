"""The pods and external hosts of a suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, External, Pod, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Source
from netprobe.model.policy import Policy
from netprobe.suite.schema import NamespaceSpec, PodSpec, PortSpec, TopologySpec

FIRST_ADDRESS = IPv4Address("10.244.0.10")
"""Simulated pods have the addresses from here on, in the order of the file."""
ANY_NODE = "any"


@dataclass(frozen=True, slots=True)
class Topology:
    """Namespaces and pods to create, in the order of the file.

    A pod with `replicas: N` is N pods, NAME-0 to NAME-(N-1), whose `workload` is "Pod/NAME". `node` is None
    if any node will do. The addresses are made up, from 10.244.0.10 on. `annotations` are those of pods, and
    of namespaces by name: for admission, and for the lab's faults. `sources` leads to each in the suite file.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    pods: Mapping[PodRef, Pod] = field(default_factory=dict)
    annotations: Mapping[PodRef | str, Mapping[str, str]] = field(default_factory=dict)
    sources: Mapping[tuple[str, str], Source] = field(default_factory=dict)

    def cluster(self, policies: tuple[Policy, ...] = ()) -> Cluster:
        return Cluster(dict(self.namespaces), dict(self.pods), policies, sources=self.sources)


def topology_of(spec: TopologySpec, source: Source) -> Topology:
    """The records of a topology that the schema has checked; `duplicates` finds names that occur twice."""
    namespaces = {
        each.name: Namespace(each.name, {**each.labels, NAME_LABEL: each.name}) for each in spec.namespaces
    }
    pods: dict[PodRef, Pod] = {}
    annotations: dict[PodRef | str, Mapping[str, str]] = {
        each.name: each.annotations for each in spec.namespaces if each.annotations
    }
    for namespace in spec.namespaces:
        for pod in namespace.pods:
            for name in replica_names(pod):
                ref = PodRef(namespace.name, name)
                pods[ref] = _pod(ref, pod, FIRST_ADDRESS + len(pods))
                if pod.annotations:
                    annotations[ref] = pod.annotations
    sources: dict[tuple[str, str], Source] = {}
    for i, each in enumerate(spec.namespaces):
        path = ("topology", "namespaces", i)
        sources["Namespace", each.name] = replace(source, path=path)
        for j, pod in enumerate(each.pods):
            sources["Pod", f"{each.name}/{pod.name}"] = replace(source, path=(*path, "pods", j))
    return Topology(namespaces, pods, annotations, sources)


def externals_of(spec: TopologySpec) -> dict[External, tuple[ContainerPort, ...]]:
    return {External(each.address, each.name): ports_of(each.ports) for each in spec.external}


def replica_names(pod: PodSpec) -> list[str]:
    """web for one pod, web-0, web-1, … if `replicas` is 2 or more."""
    if pod.replicas in (None, 1):
        return [pod.name]
    return [f"{pod.name}-{index}" for index in range(pod.replicas or 0)]


def ports_of(specs: list[PortSpec]) -> tuple[ContainerPort, ...]:
    return tuple(ContainerPort(spec.port, Protocol(spec.protocol), spec.name) for spec in specs)


def _pod(ref: PodRef, spec: PodSpec, address: IPv4Address) -> Pod:
    return Pod(
        ref,
        dict(spec.labels),
        (address,),
        ports_of(spec.ports),
        None if spec.node == ANY_NODE else spec.node,
        workload=f"Pod/{spec.name}" if ref.name != spec.name else None,
    )


def duplicates(spec: TopologySpec) -> Iterator[tuple[str, str]]:
    """(path, message) for everything that is declared twice."""
    yield from _twice((f"topology.namespaces[{i}].name", each.name) for i, each in enumerate(spec.namespaces))
    for i, namespace in enumerate(spec.namespaces):
        yield from _duplicates_of(namespace, f"topology.namespaces[{i}]")
    hosts = list(enumerate(spec.external))
    yield from _twice((f"topology.external[{i}].name", each.name) for i, each in hosts)
    yield from _twice((f"topology.external[{i}].address", str(each.address)) for i, each in hosts)
    for i, each in hosts:
        yield from _duplicate_ports(each.ports, f"topology.external[{i}]")


def _duplicates_of(namespace: NamespaceSpec, path: str) -> Iterator[tuple[str, str]]:
    yield from _twice(
        (f"{path}.pods[{i}].name", name)
        for i, pod in enumerate(namespace.pods)
        for name in dict.fromkeys((pod.name, *replica_names(pod)))
    )
    for i, pod in enumerate(namespace.pods):
        yield from _duplicate_ports(pod.ports, f"{path}.pods[{i}]")


def _duplicate_ports(ports: list[PortSpec], path: str) -> Iterator[tuple[str, str]]:
    yield from _twice((f"{path}.ports[{i}]", f"{port.port}/{port.protocol}") for i, port in enumerate(ports))
    named = [(f"{path}.ports[{i}].name", port.name) for i, port in enumerate(ports) if port.name]
    yield from _twice(iter(named))


def _twice(items: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for path, value in items:
        if value in seen:
            yield path, f"{value} is already at {seen[value]}"
        seen.setdefault(value, path)
