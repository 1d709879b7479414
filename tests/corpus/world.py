"""The nine pods that all cases are about, and the expected matrix as rows of text.

Namespaces x, y, z (label ns) with the pods a, b, c (label pod). Each serves 80 and 81 by TCP, UDP and SCTP,
under names such as serve-80-tcp. Addresses are chosen so that a /24 is a namespace, and its first /28 is a
and b without c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, NamedTuple, TypeAlias

ADDRESSES = {
    f"{namespace}/{pod}": f"10.244.{third}.{fourth}"
    for (third, namespace), (fourth, pod) in product(enumerate("xyz", 1), zip((1, 2, 17), "abc", strict=True))
}
PODS = tuple(ADDRESSES)
PORTS = tuple(f"{number}/{protocol}" for protocol in ("TCP", "UDP", "SCTP") for number in (80, 81))


class Ask(NamedTuple):
    """One cell of a matrix: pods as "x/a", the port as "80/TCP"."""

    source: str
    destination: str
    port: str


Expected: TypeAlias = Callable[[Ask], bool]
"""Whether a flow passes."""

Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""Labels on top of the usual ones: of a namespace ("y") or of a pod ("y/b")."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A set of policies and what they mean. `policies` are API objects."""

    policies: Sequence[Mapping[str, Any]]
    expected: Expected
    labels: Labels = field(default_factory=dict)


class Row(NamedTuple):
    """One row of an expectation: patterns for source, destination and port, and whether these flows pass."""

    patterns: tuple[str, str, str]
    passes: bool


def asks() -> Iterator[Ask]:
    """Every pair of different pods on every port: 9 x 8 x 6."""
    for source, destination, port in product(PODS, PODS, PORTS):
        if source != destination:
            yield Ask(source, destination, port)


def rows(text: str) -> Expected:
    """Read rows `SOURCE -> DESTINATION [PORT] MARK`; the last that matches counts, without one it is `.`."""
    table: list[Row] = []
    for line in text.splitlines():
        source, arrow, destination, *rest = line.split()
        *port, mark = rest
        assert arrow == "->", f"{line!r} is not a row"
        assert mark in {".", "X"}, f"{line!r} is not a row"
        row = Row((source, destination, port[0] if port else "*"), mark == ".")
        assert any(_matches(row, ask) for ask in asks()), f"{line!r} matches nothing"
        table.append(row)

    def expected(ask: Ask) -> bool:
        return next((row.passes for row in reversed(table) if _matches(row, ask)), True)

    return expected


def _matches(row: Row, ask: Ask) -> bool:
    return all(fnmatchcase(name, pattern) for name, pattern in zip(ask, row.patterns, strict=True))


def policy(namespace: str, spec: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def manifests(moment: Moment) -> list[dict[str, Any]]:
    """The cluster of a moment as `kubectl get namespaces,pods,networkpolicies -A` would list it."""
    extra = moment.labels
    objects: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "labels": {"kubernetes.io/metadata.name": name, "ns": name, **extra.get(name, {})},
            },
        }
        for name in "xyz"
    ]
    for ref, address in ADDRESSES.items():
        namespace, name = ref.split("/")
        objects.append(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {"pod": name, **extra.get(ref, {})},
                },
                "spec": {"nodeName": "n1", "containers": [{"name": "serve", "ports": _container_ports()}]},
                "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
            }
        )
    return [*objects, *(dict(policy) for policy in moment.policies)]


def _container_ports() -> list[dict[str, Any]]:
    """The ports of every pod, each with a name of its own ("serve-80-tcp")."""
    return [
        {"containerPort": int(number), "protocol": protocol, "name": f"serve-{number}-{protocol.lower()}"}
        for number, protocol in (port.split("/") for port in PORTS)
    ]
