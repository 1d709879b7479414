"""From flows to work: one batch for each source pod, for all of its targets. Pure.

A batch also holds the controls: every pod of the run tries its own ports by its own address, which no policy
can forbid ("Traffic from and to the node or pod itself is always allowed"), and so proves its listeners.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.model.flow import (
    Address,
    ContainerPort,
    End,
    External,
    Family,
    Flow,
    Placement,
    PodRef,
    Protocol,
)
from netprobe.probe.netcat import Target


@dataclass(frozen=True, slots=True)
class Station:
    """A container to run probes in, and the end of flows that it represents.

    `ports` are the listeners that it can prove by reaching itself; `addresses` are its own, in the order of
    the pod's status.
    """

    end: End
    namespace: str
    pod: str
    container: str
    addresses: tuple[Address, ...]
    node: str | None = None
    ports: tuple[ContainerPort, ...] = ()

    def __hash__(self) -> int:
        return hash((self.namespace, self.pod, self.container))  # unique; the rest is slow to hash

    @property
    def ref(self) -> PodRef:
        """The pod, whatever end of flows it represents."""
        return PodRef(self.namespace, self.pod)

    def address(self, family: Family | None) -> Address | None:
        """Its first address of a family, or its first of any (None)."""
        return next((a for a in self.addresses if family in (None, a.version)), None)


@dataclass(frozen=True, slots=True)
class Unplaced:
    """A flow that cannot be probed from here, and why. It is skipped, not denied."""

    reason: str


@dataclass(frozen=True, slots=True)
class Batch:
    """All targets of one source. Several flows may share a target; a target without flows is a control."""

    source: Station
    targets: tuple[Target, ...]


Try: TypeAlias = tuple[Station, Target]


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """`of`: the source and the target that try a flow; `listener`: those that prove its listener.

    `path`: those that, taken together, prove its path in the same round.
    """

    of: Mapping[Flow, Try]
    listener: Mapping[Flow, Try]
    skipped: Mapping[Flow, str] = field(default_factory=dict)
    path: Mapping[Flow, tuple[Try, ...]] = field(default_factory=dict)

    def batches(
        self, flows: Iterable[Flow] | None = None, alive: Container[Target] = ()
    ) -> tuple[Batch, ...]:
        """The work for some of the flows (all by default), in a stable order, with the controls of all
        listeners that are not known to be `alive`.

        Each source begins at another place of its list, so that they do not all try one listener at once:
        BusyBox nc has a backlog of 1, and a dropped connection request is sent again only after a second.
        """
        wanted: dict[Station, set[Target]] = {}
        order: dict[Target, int] = {}
        for flow in self.of if flows is None else flows:
            for role, known in ((self.of, ()), (self.listener, alive)):
                if flow in role and role[flow][1] not in known:
                    station, target = role[flow]
                    wanted.setdefault(station, set()).add(target)
                    order.setdefault(target, len(order))
            for station, target in self.path.get(flow, ()):
                wanted.setdefault(station, set()).add(target)
                order.setdefault(target, len(order))
        batches = []
        for index, (station, unique) in enumerate(wanted.items()):
            targets = tuple(sorted(unique, key=order.__getitem__))
            start = index * len(targets) // len(wanted)
            batches.append(Batch(station, targets[start:] + targets[:start]))
        return tuple(batches)


def controls(tries: Iterable[Try]) -> tuple[Batch, ...]:
    """The work for these tries alone."""
    wanted: dict[Station, list[Target]] = {}
    for station, target in tries:
        wanted.setdefault(station, []).append(target)
    return tuple(Batch(station, tuple(targets)) for station, targets in wanted.items())


Locate = Callable[[Flow], str | Unplaced]
Pairs = Callable[[Flow], tuple[Try, ...]]


def make(
    flows: Iterable[Flow],
    stations: Mapping[End, Station],
    locate: Locate | None = None,
    pairs: Pairs = lambda _: (),
    twins: Mapping[End, Station] | None = None,
) -> ProbePlan:
    """Plan the flows.

    `locate` gives the host to connect to, if that is not the station of the destination; `pairs` the
    tries, all of which have to connect, that prove a path; `twins` the stations that flows with the placement
    OTHER come from.
    """
    of: dict[Flow, Try] = {}
    listener: dict[Flow, Try] = {}
    path: dict[Flow, tuple[Try, ...]] = {}
    skipped: dict[Flow, str] = {}
    for flow in flows:
        sources = (twins or {}) if flow.placement is Placement.OTHER else stations
        source = sources.get(flow.source)
        host = _host(flow, stations, locate)
        if source is None:
            reason = host.reason if locate is not None and isinstance(host, Unplaced) else None
            skipped[flow] = reason or f"no probe can be run on {flow.source}"
        elif flow.protocol is Protocol.SCTP:
            skipped[flow] = "SCTP: nc does not support it"
        elif isinstance(host, Unplaced):
            skipped[flow] = host.reason
        else:
            of[flow] = source, Target(host, flow.port, flow.protocol)
            control = _control(flow, host, stations)
            if control is not None:
                listener[flow] = control
            if proof := pairs(flow):
                path[flow] = proof
    return ProbePlan(of, listener, skipped, path)


def routes(plan: ProbePlan, nodes: Mapping[End, str]) -> dict[Flow, tuple[frozenset[str], int]]:
    """The nodes of both ends, and the address family, of each flow of which they are known.

    `nodes`: those of ends that are not stations. In both directions it is the same route: answers travel too.
    """
    known = {station.end: station.node for station, _ in plan.of.values() if station.node}
    found = {}
    for flow, (station, target) in plan.of.items():
        node = nodes.get(flow.destination) or known.get(flow.destination)
        if station.node and node:
            found[flow] = frozenset((station.node, node)), 6 if ":" in target.host else 4
    return found


def _host(flow: Flow, stations: Mapping[End, Station], locate: Locate | None) -> str | Unplaced:
    if locate is not None:
        return locate(flow)
    destination, source = stations.get(flow.destination), stations.get(flow.source)
    if destination is None and isinstance(flow.destination, External):
        return str(flow.destination.address)
    if destination is None:
        return Unplaced(f"{flow.destination} has no address that is known")
    family = flow.family
    if family is None and source is not None and source.addresses:
        # One row for both families: take one that both ends have.
        common = {a.version for a in source.addresses} & {a.version for a in destination.addresses}
        family = next((a.version for a in destination.addresses if a.version in common), None)
    address = destination.address(family)
    return str(address) if address else Unplaced(f"{flow.destination} has no IPv{family} address")


def _control(flow: Flow, host: str, stations: Mapping[End, Station]) -> Try | None:
    """The destination reaching its own port by the very address that the flow uses."""
    destination = stations.get(flow.destination)
    if destination is None or host not in map(str, destination.addresses):
        return None
    if not any(p.number == flow.port and p.protocol is flow.protocol for p in destination.ports):
        return None
    return destination, Target(host, flow.port, flow.protocol)
