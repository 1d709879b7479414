"""Which flows are evaluated: the ends on both sides, and the ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import TypeAlias

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import (
    ContainerPort,
    End,
    External,
    Flow,
    PodRef,
    Protocol,
    ServiceRef,
    via,
)
from netprobe.model.text import listed
from netprobe.simulate.compared import PortNumber

PortAsked: TypeAlias = tuple[int | str, Protocol]
"""A port by its number, or by the name that a destination gives it."""


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

    def ports_of(self, destination: End) -> tuple[PortNumber, ...]:
        """The ports of a destination that are asked for; it may have none of that name."""
        declared = self.declared(destination)
        if self.ports is None:
            found = [(port.number, port.protocol) for port in declared]
        else:
            found = [number for asked in self.ports for number in _numbers(asked, declared)]
        return tuple(dict.fromkeys(found))

    def declared(self, destination: End) -> tuple[ContainerPort, ...]:
        """The ports that a destination declares."""
        match destination:
            case PodRef():
                pod = self.cluster.pods.get(destination) or self.cluster.finished[destination]
                return pod.ports
            case ServiceRef():
                ports = self.cluster.services[destination].ports
                return tuple(ContainerPort(port.port, port.protocol, port.name) for port in ports)
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


def _numbers(asked: PortAsked, declared: Iterable[ContainerPort]) -> Iterator[PortNumber]:
    port, protocol = asked
    if isinstance(port, int):
        yield port, protocol
        return
    for each in declared:
        if each.name == port and each.protocol is protocol:
            yield each.number, protocol


def port_numbers(cluster: Cluster, ports: Iterable[PortAsked]) -> tuple[PortNumber, ...]:
    """Ports by number; a name stands for every port of that name. UsageError if no pod has one."""
    question = read_question(cluster, ports=ports)
    declared = [port for pod in cluster.pods.values() for port in pod.ports]
    return tuple(
        dict.fromkeys(number for asked in question.ports or () for number in _numbers(asked, declared))
    )


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

    Patterns are NAMESPACE/POD with `*` and `?`, NAMESPACE/WORKLOAD for all its pods, a bare NAMESPACE for all
    its pods, svc:NAMESPACE/SERVICE (as a destination), or an address. `externals` are outside, as sources and
    as destinations. Without patterns a side is all pods, and all externals.
    """
    outside = tuple(dict.fromkeys(externals))
    everybody: tuple[End, ...] = (*cluster.pods, *outside)
    question = Question(
        cluster,
        _matching(cluster, sources, outside, "--from") or everybody,
        _matching(cluster, destinations, outside, "--to") or everybody,
        tuple(dict.fromkeys(ports)) or None,
        include_self,
    )
    for port, protocol in question.ports or ():
        if isinstance(port, str):
            one = replace(question, ports=((port, protocol),))
            if not any(one.ports_of(destination) for destination in one.destinations):
                raise UsageError(f"--port {port}: {unknown_port(one, port)}")
    return question


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


def named_flows(
    cluster: Cluster, source: str, destination: str, port: PortAsked | None, outside: Sequence[External] = ()
) -> tuple[Flow, ...]:
    """The flows that two names and a port stand for; the names are patterns of `read_question`.

    Without a port it is the only one that the destination declares. A flow of a pod to itself is left out if
    there are others. UsageError if a name matches nothing, or the port is not known.
    """
    for text in (source, destination):
        if not ends(cluster, text, outside):
            raise UsageError(f"{text}: {unknown_end(cluster, text)}")
    sources, destinations = ends(cluster, source, outside), ends(cluster, destination, outside)
    if isinstance(sources[0], ServiceRef):
        raise UsageError(f"{source}: connections come from pods, not from Services")
    question = Question(cluster, (*sources,), (*destinations,), None if port is None else (port,))
    numbers = dict.fromkeys(number for end in destinations for number in question.ports_of(end))
    if port is None and len(numbers) != 1:
        declared = ", ".join(f"{number}/{protocol.value}" for number, protocol in numbers) or "no port"
        raise UsageError(f"no port given: {destination} declares {declared}; name one")
    if port is not None and not numbers:
        raise UsageError(f"{destination}: {unknown_port(question, str(port[0]))}")
    by_name = port is not None and isinstance(port[0], str)
    alone = (len(sources), len(destinations)) == (1, 1)
    return tuple(
        flow(one, other, *number)
        for one in sources
        for other in destinations
        for number in (question.ports_of(other) if by_name else numbers)
        if one != other or alone
    )


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
    name = name if slash else "*"
    found: list[End] = [
        ref for ref in cluster.pods if fnmatchcase(ref.namespace, namespace) and fnmatchcase(ref.name, name)
    ]
    return found or [*_of_workloads(cluster, namespace, name), *_finished(cluster, pattern)]


def _of_workloads(cluster: Cluster, namespace: str, name: str) -> Iterator[PodRef]:
    """The pods of the workloads that a pattern matches."""
    for ref, pod in cluster.pods.items():
        workload = (pod.workload or "").partition("/")[2]
        if workload and fnmatchcase(ref.namespace, namespace) and fnmatchcase(workload, name):
            yield ref


def _finished(cluster: Cluster, name: str) -> list[PodRef]:
    """The finished pod of that name. No pattern matches one, and no workload stands for one."""
    return [ref for ref in cluster.finished if str(ref) == name]


def unknown_port(question: Question, name: str) -> str:
    """The message for a name that no destination gives to a port."""
    declared = sorted(
        {port.name for end in question.destinations for port in question.declared(end) if port.name}
    )
    near = get_close_matches(name, declared, 1)
    hint = f"did you mean {near[0]}?" if near else f"the names are {listed(declared) if declared else 'none'}"
    return f"no destination has a port of that name; {hint}"


def unknown_end(cluster: Cluster, pattern: str) -> str:
    """The message for a pattern that matches nothing: the nearest name, or how ends are written."""
    is_service = pattern.startswith("svc:")
    known = [str(ref) for ref in (cluster.services if is_service else cluster.pods)]
    if not is_service:
        owned = (pod for pod in cluster.pods.values() if pod.workload)
        known += {f"{pod.ref.namespace}/{(pod.workload or '').partition('/')[2]}": None for pod in owned}
    near = get_close_matches(pattern, known, 1)
    hint = f"did you mean {near[0]}?" if near else "NAMESPACE/POD, svc:NAMESPACE/SERVICE or an address"
    return f"no such {'Service' if is_service else 'pod'}; {hint}"
