"""NetworkPolicies as rules of the kernel's packet filter: pure, from API objects to named blocks of nft.

Theory of operation
-------------------

Each node filters for its own pods, on their links. Both sides of a flow are base chains of their own,
since in nftables "accept" ends one base chain only, while "drop" is final:

    hook forward, first    egress:   established → accept; by the link it came in on → the pod's chain
    hook forward, second   ingress:  established → accept; by the link it goes out on → the pod's chain
    hook input             local:    a pod to its own node: its egress side alone

So a flow passes where the source's egress side and the destination's ingress side let it pass, each
decided on its own pod's node. A node reaches its own pods (hook output has no rules), and a pod to its
own address never leaves the pod.

    map  from, to       link → the chain of that pod and direction; a pod that is not isolated has no entry
    chain from/p7       jump to the chain of each policy that isolates the pod; then count and deny
    chain ingress/shop/web   one rule for each rule, peer and port entry of the policy: count and accept
    set  pods4/ab12…    the addresses that a peer's selectors mean; shared by all peers that ask the same
    set  port4/tcp/web  address . number of every pod that calls a TCP port "web": the destination's ports,
                        in both directions, so no external address is ever in it

A packet costs one look-up, and then the policies of that one pod. A pod that comes or goes changes
elements of sets; a policy changes its own chain, and the chains of its pods where these are other ones.
`update.update` writes that difference as one transaction. Established connections are not looked up
in any rule, so a change leaves them alone.

An isolated pod is denied every protocol that no rule names (an SCTP rule isolates TCP too), ICMP
included; errors that belong to a connection are "related" and pass, path MTU discovery among them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.policyrules import (
    DIRECTIONS,
    PeerSet,
    PolicyRules,
    PortSet,
    comment,
    isolated_directions,
    name_of,
    rules_of,
    shortened,
)
from netprobe.lab.fabric.selection import Query, Selection
from netprobe.lab.fabric.state import Member, NetworkState
from netprobe.lab.fabric.table import NamedSet, Ruleset, Table
from netprobe.model.flow import PodRef

_NAME = "inet netprobe"
_MAP = {"egress": "from", "ingress": "to"}
_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
_DENY = {
    "drop": (("", "drop"),),
    # A reset and not an ICMP error: on one machine the error comes back while connect() still holds the
    # socket, and the kernel then forgets it until the first retransmission, a second later.
    "reject": (
        ("meta l4proto tcp ", "reject with tcp reset"),
        ("", "reject with icmpx port-unreachable"),
    ),
}

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
POLICIES = Table(_NAME, _BASE)


class Compiler:
    """The policies of one state; `node` gives the part that a node needs.

    `versions`: the address families of the lab, 4 and 6. Work that nodes share is done once. `before`: the
    compiler of an earlier state, with the same options; what it worked out is taken over where nothing that
    it rests on has changed. A policy is known by its identity: what did not change is the same object.
    """

    def __init__(
        self,
        state: NetworkState,
        versions: Sequence[int] = (4,),
        deny_with: Literal["drop", "reject"] = "drop",
        before: Compiler | None = None,
    ) -> None:
        self._before = before
        self._versions = versions
        self._deny = _DENY[deny_with]
        self.selection: Selection = Selection(state, None if before is None else before.selection)
        self._by_name: dict[tuple[str, str], list[Member]] | None = None
        self.sets: dict[str, NamedSet] = {}
        self._chains: dict[str, PolicyRules] = {}
        self._isolating: dict[str, dict[PodRef, list[str]]] = {way: defaultdict(list) for way in DIRECTIONS}
        self._missed: dict[str, str] = {}  # chain → the node that misses it, where a fault asks for that
        self.texts: dict[int, _Text] = {}
        for policy in sorted(state.policies, key=name_of):
            text = self._text(policy)
            for direction, rules in text.rules:
                self._chains[rules.chain] = rules
                if text.missed_on:
                    self._missed[rules.chain] = text.missed_on
                for subject in self.selection.pods(text.subjects):
                    self._isolating[direction][subject.ref].append(rules.chain)
                for name, what in rules.sets.items():
                    if name not in self.sets:
                        self.sets[name] = self._set(name, what)
        self._before = None  # what could be taken over is

    def node(self, links: Mapping[PodRef, str], name: str = "n1") -> Ruleset:
        """The rules of a node, given the links of its pods and its name."""
        chains: dict[str, tuple[str, ...]] = {}
        maps: dict[str, dict[str, str]] = {name: {} for name in _MAP.values()}
        policies: set[str] = set()
        for direction in DIRECTIONS:
            entries = maps[_MAP[direction]]
            for ref, link in links.items():
                isolating = self._isolating[direction].get(ref, [])
                if self._missed:
                    isolating = [chain for chain in isolating if self._missed.get(chain) != name]
                if isolating:
                    chain = f"{_MAP[direction]}/{link}"
                    entries[f'"{link}"'] = f"jump {chain}"
                    policies.update(isolating)
                    denied = comment(denial(direction, ref))
                    chains[chain] = (
                        *(f"jump {chain}" for chain in isolating),
                        *(f"{match}counter {verdict} {denied}" for match, verdict in self._deny),
                    )
        chains.update((name, self._chains[name].rules) for name in sorted(policies))
        needed = sorted({name for policy in policies for name in self._chains[policy].sets})
        sets = {name: self.sets[name] for name in needed}
        return Ruleset(sets, chains, {name: entries for name, entries in maps.items() if entries})

    def _text(self, policy: Mapping[str, Any]) -> _Text:
        known = None if self._before is None else self._before.texts.get(id(policy))
        if known is None:
            ways = () if faults.is_missed(policy) else isolated_directions(policy)
            known = _Text(
                policy,
                Query.of_subjects(policy),
                tuple((way, rules_of(policy, way, self._versions)) for way in ways),
                faults.missed_on(policy),
            )
        self.texts[id(policy)] = known
        return known

    def _set(self, name: str, what: PeerSet | PortSet) -> NamedSet:
        before = self._before
        if before is not None and name in before.sets:
            match what:
                case PeerSet(query):
                    same = self.selection.pods(query) is before.selection.pods(query)
                case PortSet():
                    same = not self.selection.changed
            if same:
                return before.sets[name]
        return self._ports(what) if isinstance(what, PortSet) else self._addresses(what)

    def _addresses(self, what: PeerSet) -> NamedSet:
        members, version = self.selection.pods(what.query), what.version
        found = {str(a) for member in members for a in member.addresses if a.version == version}
        return NamedSet(_TYPE[version], frozenset(found))

    def _ports(self, what: PortSet) -> NamedSet:
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for member in self.selection.everyone():
                for port in member.ports:
                    if port.name:
                        self._by_name[port.protocol.value, port.name].append(member)
        found = {
            f"{address} . {declared.number}"
            for member in self._by_name.get((what.protocol, what.name), ())
            for declared in member.ports
            if (declared.name, declared.protocol.value) == (what.name, what.protocol)
            for address in member.addresses
            if address.version == what.version
        }
        return NamedSet(f"{_TYPE[what.version]} . inet_service", frozenset(found))


@dataclass(frozen=True, slots=True)
class _Text:
    """What is worked out of one policy alone. It keeps the policy, so that its identity stays its own."""

    policy: Mapping[str, Any]
    subjects: Query
    rules: tuple[tuple[str, PolicyRules], ...]
    missed_on: str | None


def denial(direction: str, ref: PodRef) -> str:
    """The comment of the rule that denies what no policy of a pod lets pass."""
    return shortened(f"{direction} denied: {ref}")
