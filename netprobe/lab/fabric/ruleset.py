"""Policies as rules of the kernel's packet filter: pure, from the model's policies to named blocks of nft.

Theory of operation
-------------------

Each node filters for its own pods, on their links. Both sides of a flow are base chains of their own,
since in nftables "accept" ends one base chain only, while "drop" is final:

    hook forward, first    egress:   established → accept; by the link it came in on → the pod's chain
    hook forward, second   ingress:  established → accept; by the link it goes out on → the pod's chain
    hook input             local:    a pod to its own node: its egress side alone

So a flow passes if the source's egress side and the destination's ingress side both allow it, each
decided on its own pod's node. A node reaches its own pods (hook output has no rules), and a pod to its
own address never leaves the pod.

    map  from, to       link → the chain of that pod and direction; none for a pod to which no policy applies
    chain from/p7       jump to the chain of each policy that applies to the pod, in order; then count and
                        deny, if that is the default of the tier
    chain ingress/shop/web   one rule for each rule, peer and port entry of the policy: count, then accept
                        or deny
    set  pods4/ab12…    the addresses that a peer's selectors mean; shared by all peers with the same ones
    set  nets4/ab12…    the same with the networks of network sets, as intervals; nodes4, service4: of nodes
                        and of the endpoints of Services
    set  port4/tcp/web  address . number of every pod that calls a TCP port "web": the destination's ports,
                        in both directions, so no external address is ever in it

Where policies of several tiers apply to a pod, or of one that passes by default, its chain jumps to one chain
a tier, from/p7/Admin first. What no rule of a tier that passes by default matches returns and continues with
the next. A rule that passes
explicitly sets a bit of the packet's mark and returns from its policy's chain; behind the jump to such a
policy the tier's chain returns if the bit is set. A tier with such policies clears the bit first.

A packet costs one look-up, and then the policies of that one pod. A pod that comes or goes changes
elements of sets; a policy changes its own chain, and the chains of its pods where these are other ones.
`table.update` writes that difference as one transaction. Established connections are not looked up
in any rule, so a change leaves them alone.

A pod that the default tier isolates is denied every protocol that no rule names (an SCTP rule isolates TCP
too), ICMP included; errors that belong to a connection are "related" and pass, path MTU discovery among them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from itertools import groupby
from typing import assert_never

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.matching import (
    AddressSet,
    NetworkPeerSet,
    NodeSet,
    PeerSet,
    PortSet,
    ServiceSet,
    merged_networks,
)
from netprobe.lab.fabric.policyrules import (
    PASSED,
    DenyWith,
    PolicyRules,
    comment,
    rules_of,
    shortened,
    verdicts,
)
from netprobe.lab.fabric.selection import Query, Selection
from netprobe.lab.fabric.services import endpoints
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.lab.fabric.table import NamedSet, NftTable, Ruleset
from netprobe.model.flow import Address, PodRef, Protocol
from netprobe.model.policy import ADMIN_TIER, BASELINE_TIER, Action, Direction, Policy, Tier, tier_name

_NAME = "inet netprobe"
_MAP = {Direction.EGRESS: "from", Direction.INGRESS: "to"}
_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}

_BASE = f"""\
table {_NAME} {{
  map from {{ type ifname : verdict; }}
  map to {{ type ifname : verdict; }}
  chain egress {{
    type filter hook forward priority filter - 1; policy accept;
    ct state established,related accept
    iifname vmap @from
  }}
  chain ingress {{
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    oifname vmap @to
  }}
  chain local {{
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
    iifname vmap @from
  }}
}}
"""
POLICIES = NftTable(_NAME, _BASE)


@dataclass(frozen=True, slots=True)
class _Applied:
    """The chain of a policy that applies to a pod."""

    tier: Tier
    chain: str
    passes: bool


class Compiler:
    """The policies of one state; `node` gives the part that a node needs.

    `versions`: the address families of the lab, 4 and 6. Work that nodes share is done once. `before`: the
    compiler of an earlier state, with the same options; its results are reused if nothing that
    they depend on has changed. Policies are compared by identity: an unchanged one is the same object.
    """

    def __init__(
        self,
        state: NetworkState,
        versions: Sequence[int] = (4,),
        deny_with: DenyWith = "drop",
        before: Compiler | None = None,
    ) -> None:
        self._state = state
        self._before = before
        self._versions = versions
        self._deny_with: DenyWith = deny_with
        self.selection: Selection = Selection(state, None if before is None else before.selection)
        self._by_name: dict[tuple[Protocol, str], list[PolicyPod]] | None = None
        self.sets: dict[str, NamedSet] = {}
        self._chains: dict[str, PolicyRules] = {}
        self._applying: dict[Direction, dict[PodRef, list[_Applied]]] = {
            direction: defaultdict(list) for direction in Direction
        }
        self._missed: dict[str, str] = {}  # chain → the node that misses it, by a fault
        self.texts: dict[int, _Text] = {}
        for tier, policy in _in_order(state):
            text = self._text(policy)
            for direction, rules in text.rules:
                self._chains[rules.chain] = rules
                if text.missed_on:
                    self._missed[rules.chain] = text.missed_on
                applied = _Applied(tier, rules.chain, rules.passes)
                for subject in self.selection.pods(text.subject):
                    self._applying[direction][subject.ref].append(applied)
                for name, what in rules.sets.items():
                    if name not in self.sets:
                        self.sets[name] = self._set(name, what)
        self._before = None  # what could be taken over is

    def node(self, links: Mapping[PodRef, str], name: str = "n1") -> Ruleset:
        """The rules of a node, given the links of its pods and its name."""
        chains: dict[str, tuple[str, ...]] = {}
        maps: dict[str, dict[str, str]] = {name: {} for name in _MAP.values()}
        policies: set[str] = set()
        for direction in Direction:
            entries = maps[_MAP[direction]]
            for ref, link in links.items():
                applying = self._applying[direction].get(ref, [])
                if self._missed:
                    applying = [one for one in applying if self._missed.get(one.chain) != name]
                if applying:
                    chain = f"{_MAP[direction]}/{link}"
                    entries[f'"{link}"'] = f"jump {chain}"
                    policies.update(one.chain for one in applying)
                    chains.update(self._of_pod(chain, direction, ref, applying))
        chains.update((name, self._chains[name].rules) for name in sorted(policies))
        needed = sorted({name for policy in policies for name in self._chains[policy].sets})
        sets = {name: self.sets[name] for name in needed}
        return Ruleset(sets, chains, {name: entries for name, entries in maps.items() if entries})

    def _of_pod(
        self, chain: str, direction: Direction, ref: PodRef, applying: Sequence[_Applied]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The chain of a pod in a direction, and those of its tiers.

        There is one chain for both if there is one tier and it denies by default: that rule names the pod.
        """
        tiers = [(tier, list(own)) for tier, own in groupby(applying, key=lambda one: one.tier)]
        if len(tiers) == 1 and tiers[0][0].default is Action.DENY:
            yield chain, tuple(self._of_tier(*tiers[0], direction, ref))
            return
        place = comment(subject(direction, ref))
        yield chain, tuple(f"jump {chain}/{tier.name} {place}" for tier, _ in tiers)
        for tier, own in tiers:
            yield f"{chain}/{tier.name}", tuple(self._of_tier(tier, own, direction, ref))

    def _of_tier(
        self, tier: Tier, applying: Sequence[_Applied], direction: Direction, ref: PodRef
    ) -> Iterator[str]:
        """The rules that take a packet of a pod through a tier."""
        if any(one.passes for one in applying):
            yield f"meta mark set meta mark & {0xFFFFFFFF ^ PASSED:#x}"
        for one in applying:
            yield f"jump {one.chain}"
            if one.passes:
                yield f"meta mark & {PASSED:#x} == {PASSED:#x} return"
        if tier.default is Action.DENY:
            denied = comment(denial(direction, ref))
            for match, verdict in verdicts(Action.DENY, self._deny_with):
                yield " ".join(filter(None, (match, "counter", verdict, denied)))

    def _text(self, installed: InstalledPolicy) -> _Text:
        known = None if self._before is None else self._before.texts.get(id(installed))
        if known is None:
            policy = installed.policy
            missed = faults.is_missed(installed.annotations)
            ways = [way for way in Direction if policy.rules(way) is not None and not missed]
            known = _Text(
                installed,
                Query.of(policy.ref.namespace, policy.subject),
                tuple((way, rules_of(installed, way, self._versions, self._deny_with)) for way in ways),
                faults.missed_on(installed.annotations),
            )
        self.texts[id(installed)] = known
        return known

    def _set(self, name: str, what: AddressSet) -> NamedSet:
        """The elements of a set; the very same record as before if they cannot have changed."""
        before = self._before
        kept = None if before is None else before.sets.get(name)
        match what:
            case PeerSet(query, version):
                if kept and before and self.selection.pods(query) is before.selection.pods(query):
                    return kept
                fresh = NamedSet(_TYPE[version], frozenset(map(str, self._addresses(query, version))))
            case NetworkPeerSet(query, version):
                addresses = map(ip_network, self._addresses(query, version))
                found = merged_networks(version, (*addresses, *self.selection.networks(query)))
                fresh = NamedSet(f"{_TYPE[version]}; flags interval", frozenset(map(str, found)))
            case NodeSet(nodes, version):
                matching = (node for node in self._state.selectable_nodes if nodes.matches(node.labels))
                hosts = {str(a) for node in matching for a in node.addresses if a.version == version}
                fresh = NamedSet(_TYPE[version], frozenset(hosts))
            case ServiceSet(service, on_ports, version):
                ends = endpoints(self._state.endpoint_slices, service, version, on_ports=on_ports)
                kind = f"{_TYPE[version]} . inet_proto . inet_service" if on_ports else _TYPE[version]
                fresh = NamedSet(kind, frozenset(ends))
            case PortSet():
                fresh = self._ports(what)
            case _:
                assert_never(what)
        return kept if kept == fresh else fresh

    def _addresses(self, query: Query, version: int) -> Iterator[Address]:
        for member in self.selection.pods(query):
            yield from (address for address in member.addresses if address.version == version)

    def _ports(self, what: PortSet) -> NamedSet:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for member in self.selection.everyone():
                for port in member.ports:
                    if port.name:
                        self._by_name[port.protocol, port.name].append(member)
        found = {
            f"{address} . {declared.number}"
            for member in self._by_name.get((what.protocol, what.name), ())
            for declared in member.ports
            if (declared.name, declared.protocol) == (what.name, what.protocol)
            for address in member.addresses
            if address.version == what.version
        }
        return NamedSet(f"{_TYPE[what.version]} . inet_service", frozenset(found))


@dataclass(frozen=True, slots=True)
class _Text:
    """What is worked out of one policy alone. It keeps the policy, so that its identity stays its own."""

    policy: InstalledPolicy
    subject: Query
    rules: tuple[tuple[Direction, PolicyRules], ...]
    missed_on: str | None


def denial(direction: Direction, ref: PodRef) -> str:
    """The comment of the rule that denies what no policy of a pod lets pass."""
    return shortened(f"{direction.value} denied: {ref}")


def subject(direction: Direction, ref: PodRef) -> str:
    """The comment of the rules that take a packet of a pod to its tiers."""
    return shortened(f"{direction.value} of {ref}")


_OF_KUBERNETES = frozenset(
    ("NetworkPolicy", "ClusterNetworkPolicy", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy")
)
_CALICO_TIERS = {ADMIN_TIER.name: "kube-admin", BASELINE_TIER.name: "kube-baseline"}


def _in_order(state: NetworkState) -> list[tuple[Tier, InstalledPolicy]]:
    """The policies in the order in which a packet meets them, each with its tier.

    Tiers by order and name, one that does not exist last, with DENY as its default; in a tier, policies by
    order and then by the text NAME/NAMESPACE/KIND. Names of tiers and kinds are those that Calico has.
    """
    tiers = {tier_name(tier.name): tier for tier in state.tiers}

    def key(item: tuple[Tier, InstalledPolicy]) -> tuple[float, str, float, str]:
        tier, policy = item[0], item[1].policy
        return tier.order, _CALICO_TIERS.get(tier.name, tier.name), policy.order, _name(policy)

    found = []
    for installed in state.policies:
        name = tier_name(installed.policy.tier)
        found.append((tiers.get(name, Tier(name, math.inf, Action.DENY)), installed))
    return sorted(found, key=key)


def _name(policy: Policy) -> str:
    kind = policy.ref.kind.partition(".")[0]
    shown = f"Kubernetes{kind}" if policy.ref.kind in _OF_KUBERNETES else kind
    return f"{policy.ref.name}/{policy.ref.namespace}/{shown}"
