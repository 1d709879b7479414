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

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.cidr import parse_cidr
from netprobe.lab.fabric.selection import Selection
from netprobe.lab.fabric.state import Member, NetworkState
from netprobe.lab.fabric.table import NamedSet, Ruleset, Table
from netprobe.model.flow import PodRef

_NAME = "inet netprobe"
DIRECTIONS = ("egress", "ingress")
_MAP = {"egress": "from", "ingress": "to"}
_PEERS = {"egress": "to", "ingress": "from"}
_FAR_END = {"egress": "daddr", "ingress": "saddr"}
_IP = {4: "ip", 6: "ip6"}
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
_COMMENT_LIMIT = 120  # the kernel's is 128 bytes

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

    `versions`: the address families of the lab, 4 and 6. Work that nodes share is done once.
    """

    def __init__(
        self,
        state: NetworkState,
        versions: Sequence[int] = (4,),
        deny_with: Literal["drop", "reject"] = "drop",
    ) -> None:
        self._selection = Selection(state)
        self._versions = versions
        self._deny = _DENY[deny_with]
        self._sets: dict[str, NamedSet] = {}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._needs: dict[str, frozenset[str]] = {}
        self._by_name: dict[tuple[str, str], list[Member]] = defaultdict(list)
        for member in self._selection.everyone():
            for port in member.ports:
                if port.name:
                    self._by_name[port.protocol.value, port.name].append(member)
        self._isolating: dict[str, dict[PodRef, list[str]]] = {way: defaultdict(list) for way in DIRECTIONS}
        self._missed: dict[str, str] = {}  # chain → the node that misses it, where a fault asks for that
        for policy in sorted(state.policies, key=_name):
            for direction in isolated_directions(policy):
                if faults.is_missed(policy):
                    continue
                chain = self._policy_chain(policy, direction)
                if node := faults.missed_on(policy):
                    self._missed[chain] = node
                for subject in self._selection.subjects(policy):
                    self._isolating[direction][subject.ref].append(chain)

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
                    denied = _comment(denial(direction, ref))
                    chains[chain] = (
                        *(f"jump {chain}" for chain in isolating),
                        *(f"{match}counter {verdict} {denied}" for match, verdict in self._deny),
                    )
        chains.update((name, self._chains[name]) for name in sorted(policies))
        needed = sorted({name for policy in policies for name in self._needs[policy]})
        sets = {name: self._sets[name] for name in needed}
        return Ruleset(sets, chains, {name: entries for name, entries in maps.items() if entries})

    def _policy_chain(self, policy: Mapping[str, Any], direction: str) -> str:
        chain = f"{direction}/{_name(policy)}"
        if len(chain) > _COMMENT_LIMIT:
            chain = f"{chain[:90]}/{_digest(chain)}"
        needs: set[str] = set()
        rules: list[str] = []
        for index, rule in enumerate(policy["spec"].get(direction) or ()):
            if faults.is_missed_rule(policy, direction, index):
                continue
            for peer, who in self._peers(policy["metadata"]["namespace"], rule, direction, needs):
                for port, what in self._ports(rule, needs):
                    for family, peer_match, port_match in _combine(who, what):
                        words = [family, peer_match, port_match, "counter accept"]
                        place = f"{direction} {_name(policy)} rule {index}{peer}{port}"
                        rules.append(" ".join([word for word in words if word] + [_comment(place)]))
        self._chains[chain] = tuple(rules)
        self._needs[chain] = frozenset(needs)
        return chain

    def _peers(
        self, namespace: str, rule: Mapping[str, Any], direction: str, needs: set[str]
    ) -> Iterator[tuple[str, list[tuple[int | None, str]]]]:
        """For each peer its place and the matches that it needs, one of each family (None: either)."""
        peers = rule.get(_PEERS[direction])
        if not peers:  # absent or empty: everyone, external addresses included
            yield "", [(None, "")]
            return
        end = _FAR_END[direction]
        for index, peer in enumerate(peers):
            place = f" peer {index}"
            if block := peer.get("ipBlock"):
                cidr = parse_cidr(block["cidr"])
                match = f"{_IP[cidr.version]} {end} {cidr}"
                if excluded := sorted({str(parse_cidr(text)) for text in block.get("except") or ()}):
                    match += "".join(f" {_IP[cidr.version]} {end} != {text}" for text in excluded)
                yield place, [(cidr.version, match)]
            else:
                members = self._selection.peers(namespace, peer)
                key = _digest(self._selection.key(namespace, peer))
                yield (
                    place,
                    [
                        (version, f"{_IP[version]} {end} @{self._address_set(key, version, members, needs)}")
                        for version in self._versions
                    ],
                )

    def _ports(
        self, rule: Mapping[str, Any], needs: set[str]
    ) -> Iterator[tuple[str, list[tuple[int | None, str]]]]:
        """For each port entry its place and its matches, as for peers."""
        ports = rule.get("ports")
        if not ports:  # absent or empty: every port of every protocol
            yield "", [(None, "")]
            return
        for index, entry in enumerate(ports):
            place = f" port {index}"
            protocol = entry.get("protocol") or "TCP"
            lower = protocol.lower()
            match entry.get("port"):
                case None:
                    yield place, [(None, f"meta l4proto {lower}")]
                case int(number):
                    last = entry.get("endPort")
                    yield (
                        place,
                        [(None, f"{lower} dport {number}" + (f"-{last}" if last and last > number else ""))],
                    )
                case name:
                    sets = {v: self._port_set(protocol, name, v, needs) for v in self._versions}
                    yield place, [(v, f"{_IP[v]} daddr . {lower} dport @{sets[v]}") for v in sets]

    def _address_set(self, key: str, version: int, members: Iterable[Member], needs: set[str]) -> str:
        name = f"pods{version}/{key}"
        if name not in self._sets:
            found = {str(a) for member in members for a in member.addresses if a.version == version}
            self._sets[name] = NamedSet(_TYPE[version], frozenset(found))
        needs.add(name)
        return name

    def _port_set(self, protocol: str, port: str, version: int, needs: set[str]) -> str:
        name = f"port{version}/{protocol.lower()}/{port}"
        if name not in self._sets:
            found = {
                f"{address} . {declared.number}"
                for member in self._by_name[protocol, port]
                for declared in member.ports
                if (declared.name, declared.protocol.value) == (port, protocol)
                for address in member.addresses
                if address.version == version
            }
            self._sets[name] = NamedSet(f"{_TYPE[version]} . inet_service", frozenset(found))
        needs.add(name)
        return name


def isolated_directions(policy: Mapping[str, Any]) -> list[str]:
    """The directions in which a policy isolates: policyTypes, or its default (defaults.go)."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    return [direction for direction in DIRECTIONS if direction.title() in types]


def _combine(
    who: Iterable[tuple[int | None, str]], what: Sequence[tuple[int | None, str]]
) -> Iterator[tuple[str, str, str]]:
    """Peer and port matches of the same family together; the first word is kept free for a family."""
    for peer_version, peer in who:
        for port_version, port in what:
            if peer_version is None or port_version is None or peer_version == port_version:
                yield "", peer, port


def _name(policy: Mapping[str, Any]) -> str:
    return f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def denial(direction: str, ref: PodRef) -> str:
    """The comment of the rule that denies what no policy of a pod lets pass."""
    return shortened(f"{direction} denied: {ref}")


def shortened(text: str) -> str:
    """As long as a comment may be; where a name is too long its middle is left out, never its end."""
    if len(text) > _COMMENT_LIMIT:
        half = _COMMENT_LIMIT // 2 - 1
        text = f"{text[:half]}..{text[-half:]}"
    return text


def _comment(text: str) -> str:
    """A comment that names a rule."""
    return f'comment "{shortened(text)}"'
