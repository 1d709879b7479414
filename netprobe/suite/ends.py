"""What a row's `from`, `to` and `port` name: patterns of ends and ports, and what they match in a cluster.

frontend/web                   a pod, all replicas of a pod, or all pods of a workload
monitoring/*, */*, shop-?/web  the same with globs
frontend/app=web,tier=front    the pods of a namespace (or of a glob) that have all these labels
svc:shop/cart                  a Service, as a destination
partner-api, partner-*         an external host by the name that the suite gives it
203.0.113.9                    an address outside the cluster
*                              every pod and every external host

80, 53/UDP, metrics, metrics/TCP   a port by number (TCP unless it says otherwise) or by its declared name
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address
from typing import Any

from netprobe.model.cluster import Cluster, by_namespace
from netprobe.model.flow import Address, ContainerPort, End, External, Pod, Protocol, ServiceRef, is_loopback
from netprobe.policies import names

_GLOB = re.compile(r"[a-z0-9.*?-]+")


@dataclass(frozen=True, slots=True)
class EndPattern:
    """A pattern of one end of a row; `text` is what the suite says."""

    text: str

    @property
    def is_exact(self) -> bool:
        """Whether it names exactly one end, so that a row may declare the flow of a pod to itself."""
        return False

    def matches_pod(self, pod: Pod) -> bool:  # noqa: ARG002
        return False

    def matches_external(self, external: External) -> bool:  # noqa: ARG002
        return False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Everybody(EndPattern):
    def matches_pod(self, pod: Pod) -> bool:  # noqa: ARG002
        return True

    def matches_external(self, external: External) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class PodPattern(EndPattern):
    namespace: str
    name: str

    @property
    def is_exact(self) -> bool:
        return not is_glob(self.text)

    def matches_pod(self, pod: Pod) -> bool:
        if not fnmatchcase(pod.ref.namespace, self.namespace):
            return False
        return fnmatchcase(pod.ref.name, self.name) or fnmatchcase(pod.workload_name, self.name)


@dataclass(frozen=True, slots=True)
class LabelPattern(EndPattern):
    namespace: str
    labels: tuple[tuple[str, str], ...]

    def matches_pod(self, pod: Pod) -> bool:
        return fnmatchcase(pod.ref.namespace, self.namespace) and all(
            pod.labels.get(key) == value for key, value in self.labels
        )


@dataclass(frozen=True, slots=True)
class ExternalPattern(EndPattern):
    def matches_external(self, external: External) -> bool:
        return external.name is not None and fnmatchcase(external.name, self.text)


@dataclass(frozen=True, slots=True)
class AddressPattern(EndPattern):
    address: Address

    def matches_external(self, external: External) -> bool:
        return external.address == self.address


@dataclass(frozen=True, slots=True)
class ServicePattern(EndPattern):
    ref: ServiceRef


def parse_end(value: Any) -> EndPattern:
    """Read one end; ValueError says what is wrong with it."""
    if not isinstance(value, str) or not value:
        raise ValueError("must be text such as frontend/web, monitoring/*, partner-api or *")
    if value == "*":
        return Everybody(value)
    if value.startswith("svc:"):
        return ServicePattern(value, ServiceRef.parse(value))
    try:
        address = ip_address(value)
    except ValueError:
        pass
    else:
        if is_loopback(address):
            raise ValueError(f"{value} never leaves the pod, so no policy applies: name the pod itself")
        return AddressPattern(value, address)
    namespace, slash, rest = value.partition("/")
    if not slash:
        return ExternalPattern(_glob(value, "the name of an external host (a pod is NAMESPACE/POD)"))
    namespace = _glob(namespace, "a namespace")
    if "=" in rest:
        return LabelPattern(value, namespace, tuple(_labels(rest).items()))
    return PodPattern(value, namespace, _glob(rest, "a pod (labels are KEY=VALUE)"))


def _glob(text: str, what: str) -> str:
    if not _GLOB.fullmatch(text):
        raise ValueError(f"{text!r} is not {what}")
    return text


def _labels(text: str) -> Mapping[str, str]:
    labels: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        value = value.removeprefix("=")  # kubectl takes == too
        problems = [*names.label_key(key), *names.label_value(value)]
        if not equals or problems:
            raise ValueError(f"{part!r} is not a label KEY=VALUE: {'; '.join(problems)}")
        labels[key] = value
    return labels


def is_glob(text: str) -> bool:
    return re.search("[*?]", text) is not None


class Matcher:
    """Finds the ends that patterns name, each pattern once.

    Pods are looked up by namespace and name, so not every row is compared with every pod.
    """

    def __init__(self, cluster: Cluster, externals: Iterable[External]) -> None:
        self._cluster = cluster
        self._externals = tuple(externals)
        self._known: dict[EndPattern, tuple[End, ...]] = {}
        self._position = {ref: number for number, ref in enumerate(cluster.pods)}
        self._by_namespace = by_namespace(cluster.pods.values())
        self._by_name: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in cluster.pods.values():
            for name in {pod.ref.name, pod.workload_name}:
                self._by_name[pod.ref.namespace, name].append(pod)

    def matching(self, pattern: EndPattern) -> tuple[End, ...]:
        """Pods in the order of the cluster, then hosts outside."""
        if pattern not in self._known:
            self._known[pattern] = tuple(self._matching(pattern))
        return self._known[pattern]

    def names(self) -> list[str]:
        """What a row could have named, for hints."""
        return [*map(str, self._cluster.pods), *(host.name for host in self._externals if host.name)]

    def _matching(self, pattern: EndPattern) -> Iterator[End]:
        if isinstance(pattern, ServicePattern):
            if pattern.ref in self._cluster.services:
                yield pattern.ref
            return
        pods = (pod.ref for pod in self._candidates(pattern) if pattern.matches_pod(pod))
        yield from sorted(pods, key=self._position.__getitem__)
        hosts = [host for host in self._externals if pattern.matches_external(host)]
        yield from hosts
        if isinstance(pattern, AddressPattern) and not hosts:
            yield External(pattern.address)

    def _candidates(self, pattern: EndPattern) -> Iterable[Pod]:
        if not isinstance(pattern, PodPattern | LabelPattern):
            return self._cluster.pods.values()
        spaces: Iterable[str] = [pattern.namespace]
        if is_glob(pattern.namespace):
            spaces = [name for name in self._by_namespace if fnmatchcase(name, pattern.namespace)]
        if isinstance(pattern, PodPattern) and not is_glob(pattern.name):
            return [pod for space in spaces for pod in self._by_name.get((space, pattern.name), ())]
        return [pod for space in spaces for pod in self._by_namespace.get(space, ())]


@dataclass(frozen=True, slots=True)
class PortPattern:
    """A number, which means TCP if no protocol is given, or a name, with the protocol of its declaration."""

    port: int | str
    protocol: Protocol | None = None

    def on(self, declared: Iterable[ContainerPort]) -> Iterator[tuple[int, Protocol]]:
        """The ports that this means on a destination; a number is one whether declared or not."""
        if isinstance(self.port, int):
            yield self.port, self.protocol or Protocol.TCP
            return
        for port in declared:
            if port.name == self.port and self.protocol in (None, port.protocol):
                yield port.number, port.protocol

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol.value}" if self.protocol else str(self.port)


def parse_port(value: Any) -> PortPattern:
    """Read 80, "80", "53/UDP", "metrics" or "metrics/TCP"; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return _numbered(value, None)
    if not isinstance(value, str):
        raise ValueError("must be a port's number or name, such as 80, 53/UDP or metrics")  # noqa: TRY004
    port, slash, word = value.partition("/")
    protocol = None
    if slash:
        if word.upper() not in Protocol.__members__:
            raise ValueError(f"{word!r} is not a protocol: use TCP, UDP or SCTP")
        protocol = Protocol[word.upper()]
    if port.isascii() and port.isdigit():
        return _numbered(int(port), protocol)
    if problems := names.port_name(port):
        raise ValueError(f"{port!r} is not a port: {'; '.join(problems)}")
    return PortPattern(port, protocol)


def _numbered(port: int, protocol: Protocol | None) -> PortPattern:
    if not 1 <= port <= 65535:
        raise ValueError(f"{port} is not a port: must be between 1 and 65535")
    return PortPattern(port, protocol)
