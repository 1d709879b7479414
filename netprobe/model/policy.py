"""Policies of every kind, in one model: tiers hold policies, policies hold rules.

For one end of a flow and one direction:

1. Go through the tiers in order. In a tier, keep the policies that select the pod and apply to the
   direction; if there are none, skip the tier.
2. Go through their rules, policies in order, rules top down. The first match decides: ALLOW and DENY end
   this side, PASS leaves the tier, LOG continues with the next rule.
3. No match: the tier's default. DENY ends this side, PASS goes to the next tier.
4. After the last tier: allowed.

NetworkPolicy is one tier whose rules all allow and whose default is DENY: an isolated pod is one that
reaches the end of that tier.

Absent, empty and catch-all stay three things:

    ingress=None        the policy does not apply to ingress
    ingress=()          `ingress: []`    it applies, and no rule matches
    ingress=(Rule(),)   `ingress: [{}]`  it applies, and everything is allowed
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


class Action(FastEnum):
    """What a matching rule, or the end of a tier, does with a flow."""

    ALLOW = "allow"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 (not a password): leave the tier and go on with the next one
    LOG = "log"  # go on with the next rule


@dataclass(frozen=True, slots=True)
class Tier:
    """Policies that are evaluated together; tiers with a lower `order` come first, ties by name.

    `default` is DENY or PASS: what happens to a flow that policies of the tier apply to and no rule matches.
    """

    name: str
    order: float
    default: Action


ADMIN_TIER = Tier("Admin", 1_000, Action.PASS)
DEFAULT_TIER = Tier("default", 1_000_000, Action.DENY)
BASELINE_TIER = Tier("Baseline", 10_000_000, Action.PASS)
STANDARD_TIERS = (ADMIN_TIER, DEFAULT_TIER, BASELINE_TIER)
"""The tiers of ClusterNetworkPolicy and, between them, of NetworkPolicy.

The orders are those of Calico, whose own tiers may be anywhere between them. Elsewhere there are no
other tiers, so only the sequence matters.
"""

NETWORK_POLICY = "NetworkPolicy"
"""The kind of networking.k8s.io."""

NETWORK_POLICY_ORDER = 1_000
"""The order of NetworkPolicies among Calico's policies in the tier `default`."""


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


@dataclass(frozen=True, slots=True)
class Networks:
    """Addresses inside any of the networks, those of pods included, whatever the network plugin.

    NetworkPolicy's ipBlock is an IPBlock: plugins differ in whether that matches pods.
    """

    cidrs: tuple[Network, ...]


@dataclass(frozen=True, slots=True)
class NoPeer:
    """A peer that matches no end: it uses a field that netprobe or the network plugin does not know."""


Peer: TypeAlias = AnyPeer | PodPeer | IPBlock | Networks | NoPeer


@dataclass(frozen=True, slots=True)
class AnyPort:
    """A rule without `ports`, or with an empty list: every port of every protocol."""


@dataclass(frozen=True, slots=True)
class PortRange:
    """Ports `first` to `last`, both included; 1 to 65535 if the entry names no port."""

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
    """One item of `ingress` or `egress`: it matches any of the peers, on any of the ports.

    Both tuples are never empty; their order is that of the manifest, so that an index names an item.
    """

    peers: tuple[Peer, ...] = ANY_PEER
    ports: tuple[Port, ...] = ANY_PORT
    action: Action = Action.ALLOW


@dataclass(frozen=True, slots=True, order=True)
class PolicyRef:
    """The identity of a policy. `namespace` is "" for a cluster-scoped kind, as in the Kubernetes API.

    `kind` is the kind's name, with the API group if the name alone would be ambiguous.
    """

    namespace: str
    name: str
    kind: str = NETWORK_POLICY

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line and column, from 1."""

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
class Subject:
    """The pods that a policy applies to; `namespaces` None: those of the policy's own namespace."""

    pods: Selector = EVERYTHING
    namespaces: Selector | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy after defaulting. `tier` is the name of a tier; a lower `order` comes first within it.

    Policies of one tier and order go by the text NAME/NAMESPACE/KIND (Calico, policy_sorter.go).
    """

    ref: PolicyRef
    subject: Subject = Subject()
    ingress: tuple[Rule, ...] | None = None
    egress: tuple[Rule, ...] | None = None
    origin: Origin | None = field(default=None, compare=False, repr=False)
    tier: str = DEFAULT_TIER.name
    order: float = NETWORK_POLICY_ORDER

    @property
    def kind(self) -> str:
        return self.ref.kind

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        """The rules of a direction; None if the policy does not apply to it."""
        return self.ingress if direction is Direction.INGRESS else self.egress
