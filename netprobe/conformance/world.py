"""The namespaces, pods, Services and hosts that all cases share, and the expected matrix as rows of text.

Namespaces x, y and z (label ns) each have the pods a, b and c (label pod); a fourth, w, has no pods. Every
pod serves ports 80 and 81 over TCP, UDP and SCTP, with names such as serve-80-tcp, and 82 and 83 over TCP
with names that differ from pod to pod. The Service svc:y/web selects y/a; out:near and out:far are hosts
outside the cluster.

Some cases create their own pods ("x/late"), some of them in their own namespace, v. x/near and x/far
are hostNetwork pods with one port, on the nodes of x/a and x/b. node:x/late is the kubelet of x/late's node,
which probes one port of that pod.

Names are relative: a run maps them to its own namespaces, pods and addresses (fixture_map.py).
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
"""The namespace that exists only while a case has pods in it."""
FIXTURE: Final = "netprobe.dev/fixture"
"""A label of these namespaces, to which the subjects of cluster-scoped policies are limited."""
PODS: Final = tuple(f"{namespace}/{pod}" for namespace, pod in product(NAMESPACES, "abc"))
PORTS: Final = tuple(f"{number}/{protocol.value}" for protocol in Protocol for number in (80, 81))
SERVICE: Final = "svc:y/web"
SERVICE_PORTS: Final[Mapping[str, int | str]] = {"8080/TCP": 80, "8081/TCP": "serve-81-tcp"}
"""The Service's ports and their target ports on y/a."""
OUTSIDE: Final = ("out:near", "out:far")
ON_HOST: Final[Mapping[str, str]] = {"x/near": "x/a", "x/far": "x/b"}
"""hostNetwork pods, each with the pod whose node it runs on."""
HOST_PORT: Final = 61000
"""The port of such a pod in case files; each run picks its own number (FixtureMap.host_port)."""
OVER_6: Final = " over IPv6"
"""Suffix of a placeholder that means the end's IPv6 address."""
KUBELET: Final = "node:"
PROBED_PORT: Final = "80/TCP"
"""The port that a kubelet probes."""
OTHER_NAMES: Final[Mapping[str, Mapping[int, str | None]]] = {
    "a": {82: "web", 83: "admin"},
    "b": {82: "admin", 83: "web"},
    "c": {82: None, 83: "web"},
}


class Cell(NamedTuple):
    """One cell of a matrix: ends as "x/a", the port as "80/TCP", or "80/TCP/6" for one address family."""

    source: str
    destination: str
    port: str


Expected: TypeAlias = Callable[[Cell], bool]
"""Whether the flow of a cell is allowed."""


class ExpectedRow(NamedTuple):
    """One row of an expectation: patterns for source, destination and port, and whether they are allowed."""

    patterns: tuple[str, str, str]
    allowed: bool


@dataclass(frozen=True, slots=True)
class CellScope:
    """The cells that a case is about.

    `extra`: ends besides the nine pods. `families`: address families with a cell each; () for one cell of
    the pods' first family.
    """

    ports: tuple[str, ...] = PORTS
    extra: tuple[str, ...] = ()
    families: tuple[int, ...] = ()

    def cells(self) -> Iterator[Cell]:
        """Every ordered pair of different ends that can communicate, on every port."""
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
    """Whether it is a pod that a case creates."""
    return is_pod(end) and end not in PODS


def container_ports(name: str) -> tuple[ContainerPort, ...]:
    """The ports of a pod ("x/a", "x/late"), with their names."""
    if name in ON_HOST:
        return (ContainerPort(HOST_PORT, Protocol.TCP, "host"),)
    pod = name.partition("/")[2]
    served = []
    for port in PORTS:
        number, _, protocol = port.partition("/")
        served.append(ContainerPort(int(number), Protocol(protocol), f"serve-{number}-{protocol.lower()}"))
    other = OTHER_NAMES.get(pod, OTHER_NAMES["a"])
    return (*served, *(ContainerPort(number, Protocol.TCP, name) for number, name in other.items()))


def served_ports(name: str) -> tuple[ContainerPort, ...]:
    """The ports that a pod is created with: all but SCTP, which nothing can serve."""
    return tuple(port for port in container_ports(name) if port.protocol is not Protocol.SCTP)


def read_expectation(text: str, cells: Sequence[Cell]) -> Expected:
    """Read rows `SOURCE -> DESTINATION [PORT] MARK`. The last row that matches a cell decides; default `.`.

    ValueError for a malformed row, and for a row that matches none of `cells`.
    """
    table: list[ExpectedRow] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) not in {4, 5} or words[1] != "->" or words[-1] not in {".", "X"}:
            raise ValueError(f"{line!r} is not of the form SOURCE -> DESTINATION [PORT] MARK")
        row = ExpectedRow((words[0], words[2], words[3] if len(words) == 5 else "*"), words[-1] == ".")
        if not any(_matches(row, cell) for cell in cells):
            raise ValueError(f"the row {line!r} matches no flow")
        table.append(row)
    table.reverse()

    def expected(cell: Cell) -> bool:
        return next((row.allowed for row in table if _matches(row, cell)), True)

    return expected


def _matches(row: ExpectedRow, cell: Cell) -> bool:
    return all(fnmatchcase(name, pattern) for name, pattern in zip(cell, row.patterns, strict=True))
