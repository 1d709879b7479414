"""The small world that every case is about, and the expected matrix as rows of text.

Namespaces x, y and z (label ns), each with the pods a, b and c (label pod); a fourth, w, has no pods. Each
pod serves 80 and 81 by TCP, UDP and SCTP, under names such as serve-80-tcp, and 82 and 83 by TCP under names
that differ from pod to pod. The Service svc:y/web stands before y/a; out:near and out:far are hosts outside.

Some cases make pods of their own ("x/late"), and some of these a namespace of their own, v, that is not there
otherwise. x/near and x/far are pods on the network of their node, that of x/a and that of x/b, where they
serve one port. node:x/late is the kubelet that x/late runs under, which tries one port of it.

Names are relative: a run maps them to namespaces, pods and addresses of its own (see site.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Final, NamedTuple, TypeAlias

from netprobe.model.flow import ContainerPort, Protocol

NAMESPACES: Final = ("x", "y", "z")
EMPTY: Final = "w"
PASSING: Final = "v"
"""The namespace that is there only while a case has pods in it."""
PODS: Final = tuple(f"{namespace}/{pod}" for namespace, pod in product(NAMESPACES, "abc"))
PORTS: Final = tuple(f"{number}/{protocol.value}" for protocol in Protocol for number in (80, 81))
SERVICE: Final = "svc:y/web"
SERVICE_PORTS: Final[Mapping[str, int | str]] = {"8080/TCP": 80, "8081/TCP": "serve-81-tcp"}
"""The Service's ports, and what each stands for on its pod, y/a."""
OUTSIDE: Final = ("out:near", "out:far")
ON_HOST: Final[Mapping[str, str]] = {"x/near": "x/a", "x/far": "x/b"}
"""Pods on the network of a node, and whose node that is."""
HOST_PORT: Final = 61000
"""The port of such a pod in case files; each run picks its own number (FixtureMap.host_port)."""
OVER_6: Final = " over IPv6"
"""Ends the placeholder of an address that is of that family."""
KUBELET: Final = "node:"
PROBED_PORT: Final = "80/TCP"
"""What a kubelet tries of a pod."""
OTHER_NAMES: Final[Mapping[str, Mapping[int, str | None]]] = {
    "a": {82: "web", 83: "admin"},
    "b": {82: "admin", 83: "web"},
    "c": {82: None, 83: "web"},
}


class Cell(NamedTuple):
    """One cell of a matrix: ends as "x/a", the port as "80/TCP", or "80/TCP/6" for one of two families."""

    source: str
    destination: str
    port: str


Expected: TypeAlias = Callable[[Cell], bool]
"""Whether a flow passes."""


class Row(NamedTuple):
    """One row of an expectation: patterns for source, destination and port, and whether these flows pass."""

    patterns: tuple[str, str, str]
    passes: bool


@dataclass(frozen=True, slots=True)
class CellScope:
    """Which cells a case is about.

    `extra`: ends beside the nine pods. `families`: asked each for itself, () for whichever comes first.
    """

    ports: tuple[str, ...] = PORTS
    extra: tuple[str, ...] = ()
    families: tuple[int, ...] = ()

    def asks(self) -> Iterator[Cell]:
        """Every ordered pair of different ends that can talk, on every port."""
        ends = (*PODS, *self.extra)
        for source, destination in product(ends, ends):
            if source == destination or source.startswith("svc:") or destination.startswith(KUBELET):
                continue
            if source.startswith("out:") and not is_pod(destination):
                continue
            if source.startswith(KUBELET) and source != f"{KUBELET}{destination}":
                continue
            for port in self._ports(source, destination):
                if not self.families:
                    yield Cell(source, destination, port)
                for family in self.families:
                    yield Cell(source, destination, f"{port}/{family}")

    def _ports(self, source: str, destination: str) -> Iterable[str]:
        if source.startswith(KUBELET):
            return (PROBED_PORT,)
        if destination in ON_HOST:
            return (f"{HOST_PORT}/TCP",)
        return SERVICE_PORTS if destination == SERVICE else self.ports


DEFAULT: Final = CellScope()


def is_pod(end: str) -> bool:
    return ":" not in end


def is_own(end: str) -> bool:
    """Whether it is a pod that a case makes."""
    return is_pod(end) and end not in PODS


def container_ports(name: str) -> tuple[ContainerPort, ...]:
    """What a pod ("x/a", "x/late") serves, with the names that policies know."""
    if name in ON_HOST:
        return (ContainerPort(HOST_PORT, Protocol.TCP, "host"),)
    pod = name.partition("/")[2]
    served = []
    for port in PORTS:
        number, _, protocol = port.partition("/")
        served.append(ContainerPort(int(number), Protocol(protocol), f"serve-{number}-{protocol.lower()}"))
    other = OTHER_NAMES.get(pod, OTHER_NAMES["a"])
    return (*served, *(ContainerPort(number, Protocol.TCP, name) for number, name in other.items()))


def rows(text: str, asks: Sequence[Cell]) -> Expected:
    """Read rows `SOURCE -> DESTINATION [PORT] MARK`; the last that matches counts, without one it is `.`.

    ValueError for what is no row, and for one that matches none of `asks` (a typing mistake).
    """
    table: list[Row] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) not in {4, 5} or words[1] != "->" or words[-1] not in {".", "X"}:
            raise ValueError(f"{line!r} is not a row SOURCE -> DESTINATION [PORT] MARK")
        row = Row((words[0], words[2], words[3] if len(words) == 5 else "*"), words[-1] == ".")
        if not any(_matches(row, ask) for ask in asks):
            raise ValueError(f"the row {line!r} matches no flow")
        table.append(row)
    table.reverse()

    def expected(ask: Cell) -> bool:
        return next((row.passes for row in table if _matches(row, ask)), True)

    return expected


def _matches(row: Row, ask: Cell) -> bool:
    return all(fnmatchcase(name, pattern) for name, pattern in zip(ask, row.patterns, strict=True))
