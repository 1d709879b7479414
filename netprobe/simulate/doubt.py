"""What the policy APIs leave open, and how a question treats it: as the profile decides, or every way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    Action,
    AllPeers,
    AnyPeer,
    DomainPeer,
    IPBlock,
    Networks,
    NodePeer,
    NotPeer,
    Peer,
    PodPeer,
    Rule,
    UnknownPeer,
)
from netprobe.simulate.profile import Profile


class Doubt(Enum):
    """Why a verdict may be another one elsewhere; the value is the text for users."""

    TIE = "policies of the same tier and priority differ: which one comes first is not defined"
    UNKNOWN_PEER = "a rule has a peer that is not known here: implementations fail closed or ignore it"
    UNSUPPORTED_PEER = "a rule has peers that Calico does not support: it fails closed"
    SETS = "a `namespaces` peer: on Calico it also matches NetworkSets of these namespaces"
    DOMAIN = "a rule accepts domain names: the addresses behind them are not known here"
    NODE = "a rule has a `nodes` peer: the labels of a node are not known here"
    SOURCE_PORT = "a rule matches some source ports: a client's own port is chosen at random"
    BASELINE = "a NetworkPolicy of the other direction hides the Baseline tier in some implementations"


@dataclass(frozen=True, slots=True)
class View:
    """How what is open is treated. `extent` None: as the profile decides.

    Otherwise the doubts in `doubts` are taken both ways: True asks what may match, False what certainly does.
    """

    extent: bool | None = None
    doubts: frozenset[Doubt] = frozenset(Doubt)

    def settle(self, doubt: Doubt, *, by_profile: bool) -> bool:
        """Whether something matches that matches or not, depending on a doubt."""
        return by_profile if self.extent is None or doubt not in self.doubts else self.extent

    def negated(self) -> View:
        """The view of a part that must not match."""
        return self if self.extent is None else replace(self, extent=not self.extent)


_ORDINARY = frozenset((AnyPeer, IPBlock, Networks))

PROFILE = View()
POSSIBLE, CERTAIN = View(extent=True), View(extent=False)


@dataclass(slots=True, eq=False)
class Variant:
    """A rule as some implementation applies it; `index` is its place in the policy.

    `used`: the profile applies it so. `doubt`: why another implementation may not. `open`: what is open
    about the peers and ports that it matches. `ordinary`: it has no peers or ports that can be open.
    """

    index: int
    rule: Rule
    used: bool = True
    doubt: Doubt | None = None
    open: frozenset[Doubt] = frozenset()
    ordinary: bool = True


def variants(rules: tuple[Rule, ...], profile: Profile) -> tuple[Variant, ...]:
    """The rules of a policy, top down; one that fails closed comes twice.

    A rule with a peer that is not known does not exist if it allows, and denies everything if it denies or
    passes (network-policy-api, ClusterNetworkPolicyEgressPeer). Not every implementation does that.
    """
    found: list[Variant] = []
    for index, rule in enumerate(rules):
        if _is_ordinary(rule):  # most are, and this is fast
            found.append(Variant(index, rule))
            continue
        doubt = next(filter(None, (_unknown(peer, profile) for peer in rule.peers)), None)
        if doubt is not None and rule.action in {Action.DENY, Action.PASS}:
            found.append(Variant(index, Rule(action=Action.DENY, name=rule.name), doubt=doubt))
        found.append(Variant(index, rule, doubt is None, doubt, _doubts_of(rule, profile), ordinary=False))
    return tuple(found)


def _unknown(peer: Peer, profile: Profile) -> Doubt | None:
    match peer:
        case UnknownPeer():
            return Doubt.UNKNOWN_PEER
        case NodePeer() | DomainPeer() if not profile.nodes_and_domains:
            return Doubt.UNSUPPORTED_PEER
        case _:
            return None


def _is_ordinary(rule: Rule) -> bool:
    return (
        rule.source_ports is ANY_PORT
        and rule.own is ANY_PEER[0]
        and all(
            type(one) in _ORDINARY or (type(one) is PodPeer and one.sets is not None) for one in rule.peers
        )
    )


def _doubts_of(rule: Rule, profile: Profile) -> frozenset[Doubt]:
    """What is open about a rule's peers and ports in some cluster."""
    found: set[Doubt] = set()
    for peer in (*rule.peers, rule.own):
        _collect(peer, profile, found)
    if rule.source_ports != ANY_PORT:
        found.add(Doubt.SOURCE_PORT)
    return frozenset(found)


def _collect(peer: Peer, profile: Profile, found: set[Doubt]) -> None:
    match peer:
        case PodPeer(sets=None) if profile.namespaces_match_sets:
            found.add(Doubt.SETS)
        case NodePeer():
            found.add(Doubt.NODE)
        case DomainPeer():
            found.add(Doubt.DOMAIN)
        case AllPeers(peers):
            for each in peers:
                _collect(each, profile, found)
        case NotPeer(negated):
            _collect(negated, profile, found)
        case _:
            pass
