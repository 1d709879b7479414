"""Which flows are evaluated: the ends on both sides, and the ports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TypeAlias

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow, PodRef, Protocol, ServiceRef, Via

PortAsked: TypeAlias = tuple[int, Protocol]


@dataclass(frozen=True, slots=True)
class Question:
    """All ordered pairs of `sources` and `destinations`, of different ends unless `include_self`.

    `ports` None: those that each destination declares.
    """

    cluster: Cluster
    sources: tuple[End, ...]
    destinations: tuple[End, ...]
    ports: tuple[PortAsked, ...] | None = None
    include_self: bool = False

    def ports_of(self, destination: End) -> tuple[PortAsked, ...]:
        if self.ports is not None:
            return self.ports
        match destination:
            case PodRef():
                declared = self.cluster.pods[destination].ports
                return tuple(dict.fromkeys((port.number, port.protocol) for port in declared))
            case ServiceRef():
                return tuple((port.port, port.protocol) for port in self.cluster.services[destination].ports)
            case External():
                return ()

    @property
    def size(self) -> int:
        """How many flows there are at least: a dual-stack pair may be two. Costs the ends, not the pairs."""
        ports = {destination: len(self.ports_of(destination)) for destination in self.destinations}
        outside = sum(isinstance(source, External) for source in self.sources)
        total = 0
        for destination, number in ports.items():
            others = len(self.sources) - (outside if isinstance(destination, External) else 0)
            total += number * others
        if not self.include_self:
            both = ports.keys() & set(self.sources)
            total -= sum(ports[end] for end in both if not isinstance(end, External))
        return total


def via(destination: End) -> Via:
    """The kind of address that is used to reach a destination."""
    return {External: Via.EXTERNAL, ServiceRef: Via.SERVICE}.get(type(destination), Via.POD)


def flow(source: End, destination: End, port: int, protocol: Protocol) -> Flow:
    return Flow(source, destination, port, protocol, via=via(destination))


def read_question(
    cluster: Cluster,
    *,
    sources: Iterable[str] = (),
    destinations: Iterable[str] = (),
    externals: Iterable[External] = (),
    ports: Iterable[PortAsked] = (),
    include_self: bool = False,
) -> Question:
    """A question from command line arguments; UsageError if a pattern matches nothing.

    Patterns are NAMESPACE/POD with `*` and `?`, a bare NAMESPACE for all its pods, svc:NAMESPACE/SERVICE
    (as a destination), or an address. `externals` are outside, as sources and as destinations.
    Without patterns a side is all pods, and all externals.
    """
    outside = tuple(dict.fromkeys(externals))
    everybody: tuple[End, ...] = (*cluster.pods, *outside)
    return Question(
        cluster,
        _matching(cluster, sources, outside, "--from") or everybody,
        _matching(cluster, destinations, outside, "--to") or everybody,
        tuple(dict.fromkeys(ports)) or None,
        include_self,
    )


def _matching(
    cluster: Cluster, patterns: Iterable[str], outside: Sequence[External], option: str
) -> tuple[End, ...]:
    found: dict[End, None] = {}
    for pattern in patterns:
        matching = ends(cluster, pattern, outside)
        if not matching:
            raise UsageError(f"{option} {pattern}: {unknown_end(cluster, pattern)}")
        if option == "--from" and isinstance(matching[0], ServiceRef):
            raise UsageError(f"--from {pattern}: connections come from pods, not from Services")
        found.update(dict.fromkeys(matching))
    return tuple(found)


def ends(cluster: Cluster, pattern: str, outside: Sequence[External] = ()) -> list[End]:
    """The ends that a pattern of `read_question` matches; none if there is no such pod or Service."""
    named: list[End] = [end for end in outside if str(end.address) == pattern or end.name == pattern]
    if named:
        return named
    if pattern.startswith("svc:"):
        return [ref for ref in cluster.services if fnmatchcase(str(ref), pattern)]
    try:
        return [External(ip_address(pattern))]
    except ValueError:
        pass
    namespace, slash, name = pattern.partition("/")
    return [
        ref
        for ref in cluster.pods
        if fnmatchcase(ref.namespace, namespace) and fnmatchcase(ref.name, name if slash else "*")
    ]


def unknown_end(cluster: Cluster, pattern: str) -> str:
    """The message for a pattern that matches nothing: the nearest name, or how ends are written."""
    is_service = pattern.startswith("svc:")
    known = list(map(str, cluster.services if is_service else cluster.pods))
    near = get_close_matches(pattern, known, 1)
    hint = f"did you mean {near[0]}?" if near else "NAMESPACE/POD, svc:NAMESPACE/SERVICE or an address"
    return f"no such {'Service' if is_service else 'pod'}; {hint}"
