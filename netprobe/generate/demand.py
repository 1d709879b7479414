"""What a declaration asks of policies: a matrix over kinds of pods, instead of pods.

A policy knows a pod by its namespace and its labels, so pods that share both are one kind: no policy treats
them differently. A declaration that does is refused here, with the pods and the flows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, End, External, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.simulate.service import backends

PASSING = frozenset(
    {"pod-template-hash", "controller-revision-hash", "controller-uid", "batch.kubernetes.io/controller-uid"}
)
"""Labels that change with each roll-out: no policy should ask for them."""


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Pods of a namespace with the same labels. There is one object for each, compared as such."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    pods: tuple[PodRef, ...]
    name: str  # of the pod, or of the workload whose pods these are

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Party: TypeAlias = Kind | External
PortNumber: TypeAlias = tuple[int, Protocol]


@dataclass(frozen=True, slots=True)
class Cell:
    """New connections from one party to a port of another."""

    source: Party
    destination: Party
    port: PortNumber


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a declaration cannot be had from policies; `flows` are the declared flows at odds."""

    reason: str
    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """What must pass and what must not, and which declared flows say so."""

    kinds: tuple[Kind, ...]
    cells: Mapping[Cell, Verdict]
    flows: Mapping[Cell, tuple[Flow, ...]]

    def in_namespace(self, name: str) -> list[Kind]:
        return [kind for kind in self.kinds if kind.namespace == name]


def demand(declared: Mapping[Flow, Verdict], cluster: Cluster) -> tuple[Demand, tuple[Refusal, ...]]:
    """The demand of a declared matrix, and all reasons why no policies can meet it."""
    parties = _Parties(cluster)
    found: dict[Cell, dict[Verdict, list[Flow]]] = defaultdict(lambda: defaultdict(list))
    refusals: list[Refusal] = []
    for flow, verdict in declared.items():
        targets = parties.targets(flow)
        if isinstance(targets, str):
            refusals.append(Refusal(f"{flow}: {targets}", (flow,)))
            continue
        for destination, port in targets:
            if parties.pod(flow.source) == destination and destination is not None:
                if verdict is Verdict.DENY:
                    refusals.append(Refusal(f"{flow} cannot be denied: a pod always reaches itself", (flow,)))
                continue
            cell = Cell(parties.of(flow.source), parties.of(destination), (port, flow.protocol))
            found[cell][verdict].append(flow)
    for cell, by_verdict in found.items():
        if len(by_verdict) > 1:
            allowed, denied = by_verdict[Verdict.ALLOW][0], by_verdict[Verdict.DENY][0]
            refusals.append(Refusal(_same(cell, allowed, denied), (allowed, denied)))
    cells = {cell: next(iter(by_verdict)) for cell, by_verdict in found.items()}
    flows = {cell: tuple(by_verdict[cells[cell]]) for cell, by_verdict in found.items()}
    return Demand(parties.kinds, cells, flows), tuple(refusals)


class _Parties:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        by_key: dict[tuple[str, tuple[tuple[str, str], ...]], list[PodRef]] = defaultdict(list)
        for ref, pod in cluster.pods.items():
            labels = tuple(sorted((k, v) for k, v in pod.labels.items() if k not in PASSING))
            by_key[ref.namespace, labels].append(ref)
        self.kinds = tuple(
            Kind(namespace, labels, tuple(refs), _name(cluster, refs))
            for (namespace, labels), refs in by_key.items()
        )
        self._kind_of = {ref: kind for kind in self.kinds for ref in kind.pods}
        pods = (pod for pod in cluster.pods.values() if not pod.host_network)
        self._by_address: dict[Address, PodRef] = {a: pod.ref for pod in pods for a in pod.addresses}

    def pod(self, end: End) -> PodRef | External | None:
        """The pod that an end is; an address that belongs to a pod is that pod."""
        if isinstance(end, External):
            return self._by_address.get(end.address, end)
        return end if isinstance(end, PodRef) else None

    def of(self, end: End) -> Party:
        found = self.pod(end)
        if isinstance(found, External):
            return found
        if found is None:
            raise TypeError(f"{end} is a Service: its backends are the parties")
        return self._kind_of[found]

    def targets(self, flow: Flow) -> list[tuple[PodRef | External, int]] | str:
        """Whom a flow reaches, and on which port: the pods behind a Service. A sentence where nobody."""
        end = flow.destination
        if not isinstance(end, ServiceRef):
            found = self.pod(end)
            return [(found, flow.port)] if found is not None else []
        behind = backends(self._cluster, self._cluster.services[end], flow)
        return behind if isinstance(behind, str) else [(one.pod, one.port) for one in behind]


def _name(cluster: Cluster, refs: list[PodRef]) -> str:
    workloads = {cluster.pods[ref].workload for ref in refs}
    only = workloads.pop() if len(workloads) == 1 else None
    return only.partition("/")[2] if only else refs[0].name


def _same(cell: Cell, allowed: Flow, denied: Flow) -> str:
    """The sentence that names the pods that no policy can tell apart."""
    alike = [
        f"{one} and {other} of {kind.namespace} have the same labels ({_labels(kind)})"
        for kind, one, other in _differing(cell, allowed, denied)
    ]
    return f"{' and '.join(alike)}: no policy can allow {allowed} and deny {denied}"


def _differing(cell: Cell, allowed: Flow, denied: Flow) -> Iterator[tuple[Kind, str, str]]:
    ends = ((cell.source, allowed.source, denied.source), (cell.destination, *_destinations(allowed, denied)))
    for party, one, other in ends:
        if isinstance(party, Kind) and one != other:
            yield party, _pod_name(one), _pod_name(other)


def _destinations(allowed: Flow, denied: Flow) -> tuple[End, End]:
    return allowed.destination, denied.destination


def _pod_name(end: End) -> str:
    return end.name if isinstance(end, PodRef) else str(end)


def _labels(kind: Kind) -> str:
    return ", ".join(f"{key}={value}" for key, value in kind.labels) or "none"
