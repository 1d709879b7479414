"""The rules of one policy, in the words of nft, and the sets that they look in. Pure; see ruleset.py.

They depend on the policy alone, not on the pods that there are: these are in the sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.cidr import parse_cidr
from netprobe.lab.fabric.selection import Query

DIRECTIONS = ("egress", "ingress")
_PEERS = {"egress": "to", "ingress": "from"}
_FAR_END = {"egress": "daddr", "ingress": "saddr"}
_IP = {4: "ip", 6: "ip6"}
_COMMENT_LIMIT = 120  # the kernel's is 128 bytes

Matches: TypeAlias = list[tuple[int | None, str]]
"""What a packet is held against, with the address family that it needs (None: either)."""


@dataclass(frozen=True, slots=True)
class PeerSet:
    """The addresses of one family of the pods that a peer means."""

    query: Query
    version: int


@dataclass(frozen=True, slots=True)
class PortSet:
    """ "address . number" of every pod that calls a port so."""

    protocol: str
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """The chain of a policy in one direction: its name, its rules, and the sets that they name."""

    chain: str
    rules: tuple[str, ...]
    sets: Mapping[str, PeerSet | PortSet]


def rules_of(policy: Mapping[str, Any], direction: str, versions: Sequence[int]) -> PolicyRules:
    """One rule for each rule, peer and port entry of the policy: count and accept."""
    chain = f"{direction}/{name_of(policy)}"
    if len(chain) > _COMMENT_LIMIT:
        chain = f"{chain[:90]}/{_digest(chain)}"
    writer = _Writer(policy["metadata"]["namespace"], direction, versions)
    rules: list[str] = []
    for index, rule in enumerate(policy["spec"].get(direction) or ()):
        if faults.is_missed_rule(policy, direction, index):
            continue
        for peer, who in writer.peers(rule):
            for port, what in writer.ports(rule):
                place = comment(f"{direction} {name_of(policy)} rule {index}{peer}{port}")
                rules += [
                    " ".join([*filter(None, words), "counter accept", place]) for words in _combine(who, what)
                ]
    return PolicyRules(chain, tuple(rules), writer.sets)


class _Writer:
    """Peers and ports as matches; `sets` are those that they name."""

    def __init__(self, namespace: str, direction: str, versions: Sequence[int]) -> None:
        self._namespace = namespace
        self._peers = _PEERS[direction]
        self._end = _FAR_END[direction]
        self._versions = versions
        self.sets: dict[str, PeerSet | PortSet] = {}

    def peers(self, rule: Mapping[str, Any]) -> Iterator[tuple[str, Matches]]:
        """For each peer its place and the matches that it needs."""
        peers = rule.get(self._peers)
        if not peers:  # absent or empty: everyone, external addresses included
            yield "", [(None, "")]
            return
        for index, peer in enumerate(peers):
            place = f" peer {index}"
            if block := peer.get("ipBlock"):
                cidr = parse_cidr(block["cidr"])
                field = f"{_IP[cidr.version]} {self._end}"
                match = f"{field} {cidr}"
                if excluded := sorted({str(parse_cidr(text)) for text in block.get("except") or ()}):
                    match += "".join(f" {field} != {text}" for text in excluded)
                yield place, [(cidr.version, match)]
            else:
                query = Query.of_peer(self._namespace, peer)
                names = {v: f"pods{v}/{_digest(query.key)}" for v in self._versions}
                self.sets |= {name: PeerSet(query, v) for v, name in names.items()}
                yield place, [(v, f"{_IP[v]} {self._end} @{name}") for v, name in names.items()]

    def ports(self, rule: Mapping[str, Any]) -> Iterator[tuple[str, Matches]]:
        """For each port entry its place and its matches."""
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
                    span = f"-{last}" if last and last > number else ""
                    yield place, [(None, f"{lower} dport {number}{span}")]
                case name:
                    names = {v: f"port{v}/{lower}/{name}" for v in self._versions}
                    self.sets |= {text: PortSet(protocol, name, v) for v, text in names.items()}
                    yield place, [(v, f"{_IP[v]} daddr . {lower} dport @{text}") for v, text in names.items()]


def isolated_directions(policy: Mapping[str, Any]) -> list[str]:
    """The directions in which a policy isolates: policyTypes, or its default (defaults.go)."""
    spec = policy["spec"]
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
    return [direction for direction in DIRECTIONS if direction.title() in types]


def name_of(policy: Mapping[str, Any]) -> str:
    return f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"


def shortened(text: str) -> str:
    """As long as a comment may be; where a name is too long its middle is left out, never its end."""
    if len(text) > _COMMENT_LIMIT:
        half = _COMMENT_LIMIT // 2 - 1
        text = f"{text[:half]}..{text[-half:]}"
    return text


def comment(text: str) -> str:
    """A comment that names a rule."""
    return f'comment "{shortened(text)}"'


def _combine(who: Matches, what: Matches) -> Iterator[tuple[str, str]]:
    """Peer and port matches of the same family together."""
    for peer_version, peer in who:
        for port_version, port in what:
            if peer_version is None or port_version is None or peer_version == port_version:
                yield peer, port


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
