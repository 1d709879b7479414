"""The policies that apply to one pod in one direction, and the side of a flow that some of their rules match.

`model.policy` says how tiers, policies and rules decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, takewhile
from typing import TypeAlias

from netprobe.model.flow import ContainerPort, Protocol
from netprobe.model.policy import (
    BASELINE_TIER,
    NETWORK_POLICY,
    Action,
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Networks,
    Peer,
    Policy,
    Rule,
    Tier,
)
from netprobe.model.verdict import Cause, Effect, Side
from netprobe.simulate.doubt import Doubt, variants
from netprobe.simulate.match import from_client, opens
from netprobe.simulate.peers import sees_sets
from netprobe.simulate.profile import Profile
from netprobe.simulate.tiers import ties

Tiers: TypeAlias = Sequence[tuple[Tier, Sequence[Policy]]]
"""Tiers in their order, each with policies in theirs."""

DestinationPort: TypeAlias = tuple[int, Protocol, tuple[ContainerPort, ...]]
"""A port of a flow's destination, and the ports that its containers declare, where names are looked up."""

_EFFECTS = {Action.ALLOW: Effect.ALLOWS, Action.DENY: Effect.DENIES, Action.PASS: Effect.PASSES}


@dataclass(frozen=True, slots=True)
class Entry:
    """A peer of a rule whose ports match; `causes` apply if the peer matches, and the subject's own end.

    `itself`: how the destination has to match. True: as a pod, since its port was found by name; False: by a
    network set around it only, since a name excludes the port; None: either way.
    """

    tier: Tier
    policy: Policy
    action: Action
    peer: Peer
    own: Peer
    itself: bool | None
    causes: tuple[Cause, ...]


@dataclass(slots=True)
class Entries:
    """The entries for one port. `sides`: those already made, by the entries that matched (as bits).

    There are few different sides, however many ends the subject talks to.
    """

    entries: list[Entry]
    sides: dict[int, Side] = field(default_factory=dict)


class SubjectPolicies:
    """The policies that apply to a pod in one direction; their entries are worked out once a port.

    `hidden`: a NetworkPolicy applies to the pod, and none in this direction.
    """

    def __init__(self, direction: Direction, tiers: Tiers, profile: Profile, *, hidden: bool) -> None:
        self.direction = direction
        self.tiers = tiers
        self.policies = [policy for _, policies in tiers for policy in policies]
        self.variants = {id(p): variants(p.rules(direction) or (), profile) for p in self.policies}
        hides = hidden and profile.hides_baseline
        self._visible = [each for each in tiers if not (hides and _baseline(each))]
        self._hidden = [each for each in tiers if hides and _baseline(each)]
        self._by_port: dict[DestinationPort, Entries] = {}
        self._uses_names = any(
            isinstance(entry, NamedPort)
            for policy in self.policies
            for rule in policy.rules(direction) or ()
            for entry in (*rule.ports, *rule.not_ports)
        )
        self.doubts = self._doubts(hidden=hidden)

    def _doubts(self, *, hidden: bool) -> tuple[Doubt, ...]:
        """What is open about these policies."""
        found: set[Doubt] = set()
        for tier in self.tiers:
            if hidden and _baseline(tier):
                found.add(Doubt.BASELINE)
            if any(len(tied) > 1 for tied in ties(tier[1])):
                found.add(Doubt.TIE)
        for variant in chain.from_iterable(self.variants.values()):
            found |= variant.open
            found |= {variant.doubt} if variant.doubt else set()
        return tuple(doubt for doubt in Doubt if doubt in found)

    def on_port(self, port: DestinationPort) -> Entries:
        number, protocol, declared = port
        key = (number, protocol, declared if self._uses_names else ())
        found = self._by_port.get(key)
        if found is None:
            found = self._by_port[key] = Entries(list(self.entries(port)))
        return found

    def entries(self, port: DestinationPort, block_port: DestinationPort | None = None) -> Iterator[Entry]:
        """The entries of the rules as the profile applies them.

        `block_port`: the port for peers that are addresses, if it is another one.
        """
        for tier, policies in self._visible:
            for policy in policies:
                for variant in self.variants[id(policy)]:
                    rule = variant.rule
                    if rule.action is Action.LOG or not variant.used:
                        continue
                    if not from_client(rule.source_ports, port[1])[1]:
                        continue
                    for number, peer in enumerate(rule.peers):
                        own = block_port if block_port and isinstance(peer, IPBlock | Networks) else port
                        place = None if isinstance(peer, AnyPeer) else number
                        for itself, ports in matching_ports(rule, own):
                            causes = tuple(
                                Cause(
                                    self.direction,
                                    policy.ref,
                                    _EFFECTS[rule.action],
                                    variant.index,
                                    place,
                                    None if isinstance(rule.ports[at], AnyPort) else at,
                                    tier.name,
                                )
                                for at in ports
                            )
                            yield Entry(tier, policy, rule.action, peer, rule.own, itself, causes)

    def side(self, matching: Iterable[Entry]) -> Side:
        """The side if these entries match: the walk through the tiers."""
        by_tier = {tier: list(entries) for tier, entries in groupby(matching, key=lambda entry: entry.tier)}
        passing: tuple[Cause, ...] = ()
        for tier, policies in self._visible:
            denies = tier.default is Action.DENY
            default = tuple(self._default(tier, policy) for policy in policies)
            isolating = default if denies else ()
            entries = by_tier.get(tier)
            if not entries:
                if denies:
                    return Side(self.direction, isolating, passing=passing)
                passing += default
                continue
            action = entries[0].action
            same = takewhile(lambda entry: entry.action is action, entries)  # noqa: B023 (used at once)
            causes = tuple(chain.from_iterable(entry.causes for entry in same))
            if action is Action.PASS:
                passing += causes
            elif action is Action.ALLOW:
                return Side(self.direction, isolating, allowing=causes, passing=passing)
            else:
                return Side(self.direction, isolating, denying=causes, passing=passing)
        for tier, policies in self._hidden:
            passing += tuple(self._default(tier, policy) for policy in policies)
        return Side(self.direction, passing=passing)

    def _default(self, tier: Tier, policy: Policy) -> Cause:
        isolates = policy.kind == NETWORK_POLICY and tier.default is Action.DENY
        effect = Effect.ISOLATES if isolates else Effect.TIER_DEFAULT
        return Cause(self.direction, policy.ref, effect, tier=tier.name)


def matching_ports(rule: Rule, port: DestinationPort) -> Iterator[tuple[bool | None, list[int]]]:
    """The port entries of a rule that match, by how the destination has to match; see Entry."""
    apart = any(map(sees_sets, (*rule.peers, rule.own)))
    excluding = [entry for entry in rule.not_ports if opens(entry, *port)]
    if excluding and not (apart and all(isinstance(entry, NamedPort) for entry in excluding)):
        return
    found: dict[bool | None, list[int]] = {}
    for at, entry in enumerate(rule.ports):
        if opens(entry, *port):
            named = apart and isinstance(entry, NamedPort)
            if not (named and excluding):
                found.setdefault(False if excluding else True if named else None, []).append(at)
    yield from found.items()


def _baseline(tier: tuple[Tier, Sequence[Policy]]) -> bool:
    return tier[0].name == BASELINE_TIER.name
