"""The rules of one policy in the language of nft, and the sets that they look up. Pure; see ruleset.py.

They depend on the policy alone, not on the pods that exist: those are in the sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Literal

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.selection import Query
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.flow import Protocol
from netprobe.model.policy import (
    NETWORK_POLICY,
    Action,
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    Peer,
    PodPeer,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    UnknownPeer,
)

DenyWith = Literal["drop", "reject"]

PASSED = 0x8000
"""The bit of a packet's mark that says that a rule has passed it on to the next tier."""

_FAR_END = {Direction.EGRESS: "daddr", Direction.INGRESS: "saddr"}
_IP = {4: "ip", 6: "ip6"}
_COMMENT_LIMIT = 120  # the kernel's is 128 bytes


@dataclass(frozen=True, slots=True)
class Match:
    """What a packet is compared with. `version` and `protocol`: what it needs to have; None: any."""

    text: str = ""
    version: int | None = None
    protocol: Protocol | None = None


@dataclass(frozen=True, slots=True)
class PeerSet:
    """The addresses of one family of the pods that a peer selects."""

    query: Query
    version: int


@dataclass(frozen=True, slots=True)
class PortSet:
    """ "address . number" of every pod that has a port of this name."""

    protocol: Protocol
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """The chain of a policy in one direction: its name, its rules, and the sets that they name.

    `passes`: some rule passes packets on to the next tier.
    """

    chain: str
    rules: tuple[str, ...]
    sets: Mapping[str, PeerSet | PortSet]
    passes: bool = False


def rules_of(
    installed: InstalledPolicy, direction: Direction, versions: Sequence[int], deny_with: DenyWith = "drop"
) -> PolicyRules:
    """One rule of nft for each rule, peer and port entry of the policy; two if a denial takes two."""
    policy, way = installed.policy, direction.value
    name = name_of(policy.ref)
    chain = f"{way}/{name}"
    if len(chain) > _COMMENT_LIMIT:
        chain = f"{chain[:90]}/{_digest(chain)}"
    writer = _Writer(policy.ref.namespace, direction, versions)
    rules: list[str] = []
    passes = False
    for index, rule in enumerate(policy.rules(direction) or ()):
        if faults.is_missed_rule(installed.annotations, way, index):
            continue
        passes = passes or rule.action is Action.PASS
        for place, peer, port in writer.matches(rule):
            note = comment(f"{way} {name} rule {index}{place}")
            for extra, verdict in verdicts(rule.action, deny_with, port.protocol):
                rules.append(" ".join(filter(None, (peer.text, port.text, extra, "counter", verdict, note))))
    return PolicyRules(chain, tuple(rules), writer.sets, passes)


def verdicts(
    action: Action, deny_with: DenyWith, protocol: Protocol | None = None
) -> Iterator[tuple[str, str]]:
    """What does an action to a packet: pairs of a further match and a verdict.

    `protocol`: what the packet is already known to be.
    """
    match action:
        case Action.ALLOW:
            yield "", "accept"
        case Action.PASS:
            yield "", f"meta mark set meta mark | {PASSED:#x} return"
        case Action.LOG:
            yield "", ""
        case Action.DENY if deny_with == "drop":
            yield "", "drop"
        case Action.DENY:
            # TCP by a reset, not by an ICMP error: on one machine the error comes back while connect() still
            # holds the socket, and the kernel then forgets it until the first retransmission, a second later.
            if protocol in {None, Protocol.TCP}:
                yield "" if protocol else "meta l4proto tcp", "reject with tcp reset"
            if protocol is not Protocol.TCP:
                yield "", "reject with icmpx port-unreachable"


class _Writer:
    """Peers and ports as matches; `sets` are those that they name."""

    def __init__(self, namespace: str, direction: Direction, versions: Sequence[int]) -> None:
        self._namespace = namespace
        self._end = _FAR_END[direction]
        self._versions = versions
        self.sets: dict[str, PeerSet | PortSet] = {}

    def matches(self, rule: Rule) -> Iterator[tuple[str, Match, Match]]:
        """Each peer with each port of the same family, and its place in the rule."""
        for number, peer in enumerate(rule.peers):
            peer_place = "" if isinstance(peer, AnyPeer) else f" peer {number}"
            for index, entry in enumerate(rule.ports):
                port_place = "" if isinstance(entry, AnyPort) else f" port {index}"
                for who in self._peer(peer):
                    for what in self._port(entry):
                        if who.version is None or what.version is None or who.version == what.version:
                            yield peer_place + port_place, who, what

    def _peer(self, peer: Peer) -> Iterator[Match]:
        match peer:
            case AnyPeer():
                yield Match()
            case UnknownPeer():
                return
            case IPBlock(cidr, excluded):
                field = f"{_IP[cidr.version]} {self._end}"
                others = sorted({str(network) for network in excluded})
                text = f"{field} {cidr}" + "".join(f" {field} != {other}" for other in others)
                yield Match(text, cidr.version)
            case Networks(cidrs):
                yield from (self._in_any(version, cidrs) for version in sorted({c.version for c in cidrs}))
            case PodPeer():
                query = Query.of(self._namespace, peer)
                for version in self._versions:
                    name = f"pods{version}/{_digest(repr(query))}"
                    self.sets[name] = PeerSet(query, version)
                    yield Match(f"{_IP[version]} {self._end} @{name}", version)
            case _:
                raise ValueError(f"{peer} is not compiled yet")

    def _in_any(self, version: int, networks: Sequence[Network]) -> Match:
        merged: Iterator[Network]
        if version == 4:
            merged = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
        else:
            merged = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
        return Match(f"{_IP[version]} {self._end} {{ {', '.join(map(str, merged))} }}", version)

    def _port(self, entry: Port) -> Iterator[Match]:
        match entry:
            case AnyPort():
                yield Match()
            case PortRange(protocol, 1, 65535):
                yield Match(f"meta l4proto {protocol.value.lower()}", protocol=protocol)
            case PortRange(protocol, first, last):
                span = f"{first}-{last}" if last > first else str(first)
                yield Match(f"{protocol.value.lower()} dport {span}", protocol=protocol)
            case NamedPort(name, Protocol() as protocol):
                lower = protocol.value.lower()
                for version in self._versions:
                    text = f"port{version}/{lower}/{name}"
                    self.sets[text] = PortSet(protocol, name, version)
                    yield Match(f"{_IP[version]} daddr . {lower} dport @{text}", version, protocol)
            case _:
                raise ValueError(f"{entry} is not compiled yet")


def name_of(ref: PolicyRef) -> str:
    """NAMESPACE/NAME of a NetworkPolicy; for other kinds with the kind in front."""
    return str(ref) if ref.kind == NETWORK_POLICY else f"{ref.kind}/{ref}"


def shortened(text: str) -> str:
    """As long as a comment may be; a name that is too long loses its middle, never its end."""
    if len(text) > _COMMENT_LIMIT:
        half = _COMMENT_LIMIT // 2 - 1
        text = f"{text[:half]}..{text[-half:]}"
    return text


def comment(text: str) -> str:
    """A comment that names a rule."""
    return f'comment "{shortened(text)}"'


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
