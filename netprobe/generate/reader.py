"""A declaration read as demands of pods and hosts, and the demands that no policy can tell apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from netprobe.generate.declared import Declared, DeclaredColumn, Share, Shown
from netprobe.generate.demand import Demands, PodClass, PortNumber, Refusal, Space, TargetDemand
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, End, External, Family, Flow, PodRef, Protocol, ServiceRef, Via, via
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import unpack
from netprobe.simulate.service import backends, selected


class DemandReader:
    """Reads columns as demands. A Service means its backends, and an address of a pod means the pod."""

    def __init__(self, declared: Declared, cluster: Cluster) -> None:
        self.declared, self.cluster = declared, cluster
        self.space = Space(declared.crowds, cluster)
        self.refusals: list[Refusal] = []
        self._known: dict[End, frozenset[Family]] = {}
        self.demands: dict[PortNumber, dict[int, TargetDemand]] = defaultdict(dict)
        for flow, share in declared.itself.items():
            if share.verdict is Verdict.DENY:
                self._refuse(flow, share.row, "a pod always reaches itself", "cannot be denied: ")
        for column in declared.columns:
            self._column(column)

    def _column(self, column: DeclaredColumn) -> None:
        end, place = self._first(column.destination), self.space.place[column.destination]
        if isinstance(end, ServiceRef):
            self._service(column, end)
            return
        for share in column.shares:
            self._itself(column, share.sources, share.row, share.verdict)
            sources = self._others(share.sources, column.destination)
            self._demand(place, replace(share, sources=sources), (column.port, column.protocol))

    def _demand(self, place: int, part: Share, port: PortNumber) -> None:
        if part.sources:
            self.demands[port].setdefault(place, TargetDemand()).add(part)

    def _others(self, sources: int, crowd: int) -> int:
        """Without the pod itself, if its crowd has no other pod; its address, if it is a host, stays."""
        return self.space.real(sources & ~(1 << crowd) if self.space.is_alone(crowd) else sources)

    def _itself(self, column: DeclaredColumn, sources: int, row: int | None, verdict: Verdict) -> None:
        """A pod's own address, named as a host, is the pod."""
        for ends in self.space.aliases.items() if verdict is Verdict.DENY else ():
            for one, other in (ends, ends[::-1]):
                if column.destination == other and sources >> one & 1:
                    flow = self.flow(self._first(one), self._first(other), column.port, column.protocol)
                    self._refuse(flow, row, "a pod always reaches itself", "cannot be denied: ")

    def _service(self, column: DeclaredColumn, service: ServiceRef) -> None:
        for share in column.shares:
            by_families: dict[frozenset[Family], int] = defaultdict(int)
            for number in unpack(share.sources):
                by_families[self._families(self._first(number), service)] |= 1 << number
            for families, sources in by_families.items():
                first = self._first(next(unpack(sources)))
                family = next(iter(families)) if len(families) == 1 else None
                demanded = Flow(first, service, column.port, column.protocol, family, Via.SERVICE)
                if not families and self._addresses(first):
                    self._refuse(demanded, share.row, "they have no address family in common")
                    continue
                behind = backends(self.cluster, self.cluster.services[service], demanded)
                if isinstance(behind, str):
                    self._refuse(demanded, share.row, behind)
                    continue
                for backend in behind:
                    place = self.space.of.get(backend.end) if isinstance(backend.end, PodRef) else None
                    if place is None:
                        self._refuse(
                            demanded, share.row, f"its endpoint {backend.end} is not a declared host"
                        )
                        continue
                    if share.verdict is Verdict.DENY and sources >> place & 1:
                        own = Flow(backend.end, service, column.port, column.protocol, family, Via.SERVICE)
                        self._refuse(own, share.row, "a pod always reaches itself", "cannot be denied: ")
                    # A backend that calls its own Service is judged by its policies, as any caller.
                    part = replace(share, sources=self.space.real(sources))
                    self._demand(place, part, (backend.port, column.protocol))

    def _refuse(self, flow: Flow, row: int | None, reason: str, words: str = "") -> None:
        separator = " " if words else ": "
        self.refusals.append(Refusal(f"{flow}{separator}{words}{reason}", (flow,), (row,)))

    def _first(self, crowd: int) -> End:
        return self.declared.crowds[crowd][0]

    def flow(self, source: End, destination: End, port: int, protocol: Protocol) -> Flow:
        family = self._family(source, destination)
        return Flow(source, destination, port, protocol, family, via(destination))

    def _family(self, source: End, destination: End) -> Family | None:
        """The family that two ends have in common, if it is only one."""
        common = self._families(source, destination)
        return next(iter(common)) if len(common) == 1 else None

    def _families(self, source: End, destination: End) -> frozenset[Family]:
        ours, theirs = (self._versions(end) for end in (source, destination))
        return ours & theirs if ours and theirs else ours | theirs

    def _versions(self, end: End) -> frozenset[Family]:
        if end not in self._known:
            self._known[end] = frozenset(address.version for address in self._addresses(end))
        return self._known[end]

    def _addresses(self, end: End) -> tuple[Address, ...]:
        if isinstance(end, External):
            return (end.address,)
        if isinstance(end, ServiceRef):
            service = self.cluster.services[end]
            # A headless one has the addresses of the pods behind it.
            return service.addresses or tuple(
                address for pod in selected(self.cluster, service, None) for address in pod.addresses
            )
        return self.cluster.pods[end].addresses


def conflicts(classes: Demands, reader: DemandReader) -> Iterator[Refusal]:
    """Pairs of classes whose pods are declared differently."""
    space = reader.space
    for port, targets in classes.items():
        for target, demanded in targets.items():
            for source in unpack(demanded.allow & demanded.deny):
                flows = []
                for verdict in (Verdict.ALLOW, Verdict.DENY):
                    part = next(
                        part
                        for part in demanded.rows
                        if part.verdict is verdict and part.sources >> source & 1
                    )
                    flows.append((part, _sample(reader, part, (source, target), port)))
                (one, allowed), (other, denied) = flows
                ends = (space.class_at.get(source), space.class_at.get(target))
                reason = _same(ends, allowed, denied)
                yield Refusal(reason, (allowed, denied), (one.row, other.row))


def _sample(reader: DemandReader, part: Share, ends: tuple[int, int], port: PortNumber) -> Flow:
    """A declared flow of a row, from a pod of one class to a pod of another."""
    space, crowds, of_port = reader.space, reader.declared.crowds, reader.demands[port]
    source, target = ends
    pairs = (
        (one, other)
        for place in unpack(space.members(target))
        for own in (of_port[place].rows if place in of_port else ())
        if (own.row, own.verdict, own.toward) == (part.row, part.verdict, part.toward)
        for crowd in unpack(own.sources & space.members(source))
        for one in crowds[crowd]
        for other in crowds[own.toward]
    )
    first = next(pairs)
    # A pod and itself only if it is the only pod behind an address or a Service.
    one, other = next((ends for ends in (first, *pairs) if ends[0] != ends[1]), first)
    return reader.flow(one, other, part.port, port[1])


def _same(ends: tuple[PodClass | None, PodClass | None], allowed: Flow, denied: Flow) -> str:
    """A sentence that names the pods that no policy can tell apart."""
    pairs = ((allowed.source, denied.source), (allowed.destination, denied.destination))
    alike = [
        f"{_name(one)} and {_name(other)} of {pods.namespace} have the same labels ({_labels(pods.labels)})"
        for pods, (one, other) in zip(ends, pairs, strict=True)
        if pods is not None and one != other
    ]
    reason = " and ".join(alike) or "two rows are about the same pods"
    return f"{reason}: no policy can allow {allowed} and deny {denied}"


def _name(end: End) -> str:
    return str(end) if isinstance(end, External | ServiceRef) else end.name


def _labels(labels: Shown) -> str:
    return ", ".join(f"{key}={value}" for key, value in labels) or "none"
