"""A NetworkPolicy after defaulting: what it isolates and what it lets pass.

Absent, empty and catch-all stay three things:

    ingress=None        not isolated for ingress by this policy
    ingress=()          `ingress: []`    isolated, nothing passes
    ingress=(Rule(),)   `ingress: [{}]`  isolated, everything passes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from netprobe.model.fastenum import FastEnum
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Selector

Network: TypeAlias = IPv4Network | IPv6Network


class Direction(FastEnum):
    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True)
class AnyPeer:
    """A rule without `from`/`to`, or with an empty list: everyone, external addresses included."""


@dataclass(frozen=True, slots=True)
class PodPeer:
    """Pods by selector. `namespaces=None` means the policy's own namespace; a selector, matching ones."""

    pods: Selector = EVERYTHING
    namespaces: Selector | None = None


@dataclass(frozen=True, slots=True)
class IPBlock:
    """Addresses inside `cidr` and in none of `excluded`."""

    cidr: Network
    excluded: tuple[Network, ...] = ()


Peer: TypeAlias = AnyPeer | PodPeer | IPBlock


@dataclass(frozen=True, slots=True)
class AnyPort:
    """A rule without `ports`, or with an empty list: every port of every protocol."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports `first` to `last`, both included; 1 to 65535 where the entry names no port."""

    protocol: Protocol = Protocol.TCP
    first: int = 1
    last: int = 65535


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A port by name, looked up on the destination pod; the protocol must match too."""

    name: str
    protocol: Protocol = Protocol.TCP


Port: TypeAlias = AnyPort | PortRange | NamedPort

ANY_PEER = (AnyPeer(),)
ANY_PORT = (AnyPort(),)


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of `ingress` or `egress`: any of the peers, on any of the ports.

    Both tuples are never empty; their order is that of the manifest, so that an index names an item.
    """

    peers: tuple[Peer, ...] = ANY_PEER
    ports: tuple[Port, ...] = ANY_PORT


@dataclass(frozen=True, slots=True, order=True)
class PolicyRef:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file: line and column, from 1."""

    file: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an object was read. `places` maps paths ("spec.ingress[0].from[1]") to (line, column), from 1."""

    file: str
    line: int
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"

    def at(self, path: str) -> tuple[int, int]:
        """Line and column of a path, or of the nearest enclosing one that is known."""
        while path:
            if path in self.places:
                return self.places[path]
            cut = max(path.rfind("."), path.rfind("["))
            path = path[:cut] if cut > 0 else ""
        return self.line, 1

    def place(self, path: str) -> Place:
        return Place(self.file, *self.at(path))


@dataclass(frozen=True, slots=True)
class Policy:
    """A NetworkPolicy: `subjects` are the pods of its namespace that it selects."""

    ref: PolicyRef
    subjects: Selector = EVERYTHING
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        """The rules of a direction; None where the policy says nothing about it."""
        return self.ingress if direction is Direction.INGRESS else self.egress
