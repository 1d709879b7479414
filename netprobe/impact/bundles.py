"""Flows that change alike, grouped into a few bundles.

For each destination, the ports with the same sources go together; then the destinations with the same ports
and sources; then the sources of the same ports and destinations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from netprobe.impact.difference import Columns, FlowChange, States, by_family
from netprobe.model.flow import Family
from netprobe.simulate.compared import PortNumber


class Scope(Enum):
    """Where the two ends of a flow are, seen from the destination."""

    FROM_OUTSIDE = "from outside the cluster"
    ACROSS = "from another namespace"
    TO_OUTSIDE = "to outside the cluster"
    WITHIN = "within a namespace"
    INSIDE = "within the cluster"  # either of the last two, if it makes no difference


@dataclass(frozen=True, slots=True)
class BundleKey:
    """What the flows of a bundle have in common. `ports` None: every port that is compared."""

    change: FlowChange
    scope: Scope
    family: Family | None
    ports: tuple[PortNumber, ...] | None


@dataclass(frozen=True, slots=True)
class GroupBundle:
    """Flows from each of `sources` to each of `destinations` except itself; both are bits."""

    key: BundleKey
    sources: int
    destinations: int


def bundles(states: States) -> Iterator[GroupBundle]:
    """All that differs between the states."""
    alike: dict[object, list[PortNumber]] = defaultdict(list)
    for port in sorted(frozenset().union(*states.ports_of_group), key=lambda one: (one[0], one[1].value)):
        alike[states.ports.class_of(port)].append(port)
    columns: dict[tuple[FlowChange, Family | None], list[tuple[list[PortNumber], Columns]]] = defaultdict(
        list
    )
    for ports in alike.values():
        for change, family, found in by_family(states, ports[0]):
            columns[change, family].append((ports, found))
    joined: dict[tuple[BundleKey, int], int] = defaultdict(int)
    for (change, family), by_port in columns.items():
        for destination in range(len(states.groups)):
            for key, sources in _of_destination(states, change, family, by_port, destination):
                joined[key, sources] |= 1 << destination
    turned: dict[tuple[BundleKey, int], int] = defaultdict(int)
    for (key, sources), destinations in joined.items():
        turned[key, destinations] |= sources
    return (GroupBundle(key, sources, destinations) for (key, destinations), sources in turned.items())


def _of_destination(
    states: States,
    change: FlowChange,
    family: Family | None,
    columns: list[tuple[list[PortNumber], Columns]],
    destination: int,
) -> Iterator[tuple[BundleKey, int]]:
    """The changes of one destination by ports and scope: (key, sources)."""
    own_ports = states.ports_of_group[destination]
    by_scope: dict[tuple[Scope, int], list[PortNumber]] = defaultdict(list)
    for ports, found in columns:
        if bits := found.get(destination, 0):
            compared = [port for port in ports if port in own_ports]
            for scope, mask in _scopes(states, change, destination) if compared else ():
                if bits & mask:
                    by_scope[scope, bits & mask] += compared
    for (scope, sources), ports in by_scope.items():
        every = len(ports) == len(own_ports)
        yield (
            BundleKey(change, scope, family, None if every else tuple(sorted(ports, key=_by_number))),
            sources,
        )


def _by_number(port: PortNumber) -> tuple[int, str]:
    return port[0], port[1].value


def _scopes(states: States, change: FlowChange, destination: int) -> Iterator[tuple[Scope, int]]:
    """The scopes of flows to a destination, each with the sources that are in it."""
    if states.outside >> destination & 1:
        yield Scope.TO_OUTSIDE, states.pods
        return
    yield Scope.FROM_OUTSIDE, states.outside
    if change is FlowChange.OPENS:
        own = states.namespace(states.groups[destination].namespace or "")
        yield Scope.WITHIN, own
        yield Scope.ACROSS, states.pods & ~own
    else:
        yield Scope.INSIDE, states.pods
