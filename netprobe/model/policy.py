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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import TypeAlias

from netprobe.model.fastenum import FastEnum
from netprobe.model.flow import Family, Protocol, ServiceRef
from netprobe.model.labels import EVERYTHING, Labels, Selector

Network: TypeAlias = IPv4Network | IPv6Network
WHOLE: Mapping[Family, Network] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("::/0")}
"""All addresses of each family."""


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
class Tier:
    """Policies that are evaluated together; tiers with a lower `order` come first, ties by name.

    `default` is DENY or PASS: what happens to a flow that policies of the tier apply to and no rule matches.
    """

    name: str
    order: float
    default: Action
    origin: Origin | None = field(default=None, compare=False, repr=False)


ADMIN_TIER = Tier("Admin", 1_000, Action.PASS)
DEFAULT_TIER = Tier("default", 1_000_000, Action.DENY)
BASELINE_TIER = Tier("Baseline", 10_000_000, Action.PASS)
STANDARD_TIERS = (ADMIN_TIER, DEFAULT_TIER, BASELINE_TIER)
"""The tiers of ClusterNetworkPolicy and, between them, of NetworkPolicy.

The orders are those of Calico, whose own tiers may be anywhere between them. Elsewhere there are no
other tiers, so only the sequence matters.
"""

_ALIASES = {
    "kube-admin": ADMIN_TIER.name,
    "kube-baseline": BASELINE_TIER.name,
    "adminnetworkpolicy": ADMIN_TIER.name,  # Calico 3.29 to 3.31
    "baselineadminnetworkpolicy": BASELINE_TIER.name,
}


def tier_name(name: str) -> str:
    """The name of a tier in the model: Calico has other names for those of ClusterNetworkPolicy."""
    return _ALIASES.get(name, name)


NETWORK_POLICY = "NetworkPolicy"
"""The kind of networking.k8s.io."""

CLUSTER_NETWORK_POLICY = "ClusterNetworkPolicy"
ADMIN_NETWORK_POLICY = "AdminNetworkPolicy"
BASELINE_ADMIN_NETWORK_POLICY = "BaselineAdminNetworkPolicy"
PRIORITY_KINDS = frozenset((CLUSTER_NETWORK_POLICY, ADMIN_NETWORK_POLICY))
"""The kinds whose policies of one priority have no defined order."""

CALICO_GLOBAL_POLICY = "GlobalNetworkPolicy"
CALICO_POLICY = "NetworkPolicy.projectcalico.org"
CALICO_KINDS = frozenset((CALICO_GLOBAL_POLICY, CALICO_POLICY))
"""The kinds that only Calico enforces."""

NETWORK_POLICY_ORDER = 1_000
"""The order of NetworkPolicies among Calico's policies in the tier `default`."""


@dataclass(frozen=True, slots=True)
class AnyPeer:
    """A rule without `from`/`to`, or with an empty list: everyone, external addresses included."""


@dataclass(frozen=True, slots=True)
class PodPeer:
    """Pods by their labels, and those of their namespaces and service accounts.

    `namespaces=None` means the policy's own namespace; a selector, matching ones. `accounts=None`: whatever
    the account. Selectors see labels as `model.labels` completes them.
    `sets`: also addresses inside a NetworkSet whose labels, and those of its namespace ({} for a
    GlobalNetworkSet), match; None: as the network plugin does, because the API does not define it.
    """

    pods: Selector = EVERYTHING
    namespaces: Selector | None = None
    accounts: Selector | None = None
    sets: bool | None = False


@dataclass(frozen=True, slots=True)
class IPBlock:
    """Addresses inside `cidr` and in none of `excluded`."""

    cidr: Network
    excluded: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Networks:
    """Addresses inside any of `cidrs` and in none of `excluded`, those of pods included.

    NetworkPolicy's ipBlock is an IPBlock: plugins differ in whether that matches pods.
    """

    cidrs: tuple[Network, ...]
    excluded: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class ServicePeer:
    """The pods behind a Service; with `on_ports` only on the ports that the Service forwards to."""

    service: ServiceRef
    on_ports: bool = False


@dataclass(frozen=True, slots=True)
class NodePeer:
    """All addresses of the nodes that match, and so hostNetwork pods on them."""

    nodes: Selector = EVERYTHING


@dataclass(frozen=True, slots=True)
class DomainPeer:
    """Addresses outside the cluster that have one of these names; `*.` in front means any prefix."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnknownPeer:
    """A peer that sets only a field that netprobe does not know, by its name if it is known.

    A rule with such a peer fails closed: it does not exist if it allows, and denies everything if it denies
    or passes (network-policy-api, ClusterNetworkPolicyIngressPeer).
    """

    field: str = ""


@dataclass(frozen=True, slots=True)
class AllPeers:
    """An end that every one of the peers matches."""

    peers: tuple[Peer, ...]


@dataclass(frozen=True, slots=True)
class NotPeer:
    """An end that the peer does not match."""

    peer: Peer


Peer: TypeAlias = (
    AnyPeer
    | PodPeer
    | IPBlock
    | Networks
    | ServicePeer
    | NodePeer
    | DomainPeer
    | UnknownPeer
    | AllPeers
    | NotPeer
)


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
    """A port by name, looked up on the destination pod; the protocol must match too, None matches any.

    If the destination is a PodPeer with sets, the pod itself must match: a set around it is not enough.
    """

    name: str
    protocol: Protocol | None = Protocol.TCP


@dataclass(frozen=True, slots=True)
class OtherProtocol:
    """A protocol that is none of `Protocol`, such as ICMP or 47: it matches no flow."""

    name: str


Port: TypeAlias = AnyPort | PortRange | NamedPort | OtherProtocol

ANY_PEER = (AnyPeer(),)
ANY_PORT = (AnyPort(),)


@dataclass(frozen=True, slots=True)
class Rule:
    """One item of `ingress` or `egress`: it matches any of the peers, on any of the ports.

    `peers` and `ports` are never empty; their order is that of the manifest, so that an index names an item.
    `own`: what the subject's end must match as well. `not_ports`: ports that the rule does not match.
    `source_ports`: the ports that a connection must come from; those of an ordinary client are temporary
    ones. `name` is the rule's own, if its kind has names for rules.
    """

    peers: tuple[Peer, ...] = ANY_PEER
    ports: tuple[Port, ...] = ANY_PORT
    action: Action = Action.ALLOW
    own: Peer = ANY_PEER[0]
    not_ports: tuple[Port, ...] = ()
    source_ports: tuple[Port, ...] = ANY_PORT
    name: str = ""


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
class Subject:
    """The pods that a policy applies to, by the same selectors as a PodPeer."""

    pods: Selector = EVERYTHING
    namespaces: Selector | None = None
    accounts: Selector | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy after defaulting. `tier` is the name of a tier; a lower `order` comes first within it.

    Policies of one tier and order are sorted by the text NAME/NAMESPACE/KIND, with Calico's names of the
    kinds (policy_sorter.go).
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

    def place(self, path: str) -> Place | None:
        """Where a path of the policy is in its file; None without a file."""
        return self.origin.place(path) if self.origin is not None else None

    def rules(self, direction: Direction) -> tuple[Rule, ...] | None:
        """The rules of a direction; None if the policy does not apply to it."""
        return self.ingress if direction is Direction.INGRESS else self.egress

    def pod_peers(self) -> Iterator[PodPeer]:
        """The selections of pods in all rules."""
        for rule in (*(self.ingress or ()), *(self.egress or ())):
            for peer in (*rule.peers, rule.own):
                yield from pod_peers(peer)


def pod_peers(peer: Peer) -> Iterator[PodPeer]:
    """The selections of pods that a peer is made of."""
    match peer:
        case PodPeer():
            yield peer
        case AllPeers(peers):
            for each in peers:
                yield from pod_peers(each)
        case NotPeer(inner):
            yield from pod_peers(inner)


class StagedAction(FastEnum):
    """The effect of enforcing a staged policy, as the API spells it."""

    SET = "Set"  # the policy is created or replaced
    DELETE = "Delete"  # the enforced policy of that name is deleted
    IGNORE = "Ignore"
    LEARN = "Learn"


@dataclass(frozen=True, slots=True)
class Staged:
    """A policy that is shown and never enforced.

    `policy` is what would be in force, with the name and kind that it would have then;
    `kind` is that of the staged object.
    """

    policy: Policy
    action: StagedAction
    kind: str


@dataclass(frozen=True, slots=True)
class NetworkSet:
    """Networks with labels, which selectors of Calico's rules match. `namespace` is "" for a global one."""

    namespace: str
    name: str
    labels: Labels
    networks: tuple[Network, ...]
    origin: Origin | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unsimulated:
    """An object that may decide flows and is not evaluated.

    It may affect flows from and to the pods of its namespace, or of all namespaces if it has none; with
    `hosts` only flows from and to nodes.
    """

    ref: PolicyRef
    hosts: bool = False
    origin: Origin | None = field(default=None, compare=False, repr=False)
