"""One side of a flow: the policies that apply to the subject in a direction, tier by tier.

`model.policy` says how tiers, policies and rules decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from itertools import chain, groupby, takewhile
from typing import NamedTuple, TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, ContainerPort, Family, Flow, Pod, PodRef, Protocol
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
from netprobe.model.verdict import Cause, Effect, Side, Verdict
from netprobe.simulate.doubt import PROFILE, Doubt, Variant, View, variants
from netprobe.simulate.effect import Effect as Outcome
from netprobe.simulate.effect import Match, first_matches, through
from netprobe.simulate.endpoint import Directory, Endpoint
from netprobe.simulate.match import from_client, opens
from netprobe.simulate.peers import Peers, inside, sees_sets
from netprobe.simulate.profile import Profile
from netprobe.simulate.tiers import in_order, ties, unplaced

Tiers: TypeAlias = Sequence[tuple[Tier, Sequence[Policy]]]
"""Tiers in their order, each with policies in theirs."""

DestinationPort: TypeAlias = tuple[int, Protocol, tuple[ContainerPort, ...]]
"""A port of a flow's destination, and the ports that its containers declare, where names are looked up."""

_EFFECTS = {Action.ALLOW: Effect.ALLOWS, Action.DENY: Effect.DENIES, Action.PASS: Effect.PASSES}


class _Asked(NamedTuple):
    """A flow as one side sees it."""

    subject: Endpoint
    peer: Endpoint
    family: Family | None
    port: DestinationPort


@dataclass(frozen=True, slots=True)
class _Entry:
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
class _Entries:
    """The entries for one port. `sides`: those already made, by the entries that matched (as bits).

    There are few different sides, however many ends the subject talks to.
    """

    entries: list[_Entry]
    sides: dict[int, Side] = field(default_factory=dict)


class _Applying:
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
        self._by_port: dict[DestinationPort, _Entries] = {}
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

    def on_port(self, port: DestinationPort) -> _Entries:
        number, protocol, declared = port
        key = (number, protocol, declared if self._uses_names else ())
        found = self._by_port.get(key)
        if found is None:
            found = self._by_port[key] = _Entries(list(self.entries(port)))
        return found

    def entries(self, port: DestinationPort, block_port: DestinationPort | None = None) -> Iterator[_Entry]:
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
                            yield _Entry(tier, policy, rule.action, peer, rule.own, itself, causes)

    def side(self, matching: Iterable[_Entry]) -> Side:
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
    """The port entries of a rule that match, by how the destination has to match; see _Entry."""
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


class Sides:
    """Judges sides by all policies of a cluster. Causes come in the order of evaluation.

    Which policies apply to a pod is looked up once, and equal sides of a pod are one object.
    """

    def __init__(self, cluster: Cluster, profile: Profile, directory: Directory) -> None:
        self._profile = profile
        self._directory = directory
        self.peers = Peers(directory, profile)
        self._cluster = cluster
        self._order = in_order(cluster, profile)
        self._unplaced = unplaced(cluster)
        self._by_namespace: dict[str, list[int]] = defaultdict(list)
        self._everywhere: list[int] = []
        for rank, (_, number) in enumerate(self._order):
            policy = cluster.policies[number]
            if policy.subject.namespaces is None:
                self._by_namespace[policy.ref.namespace].append(rank)
            else:
                self._everywhere.append(rank)
        self._applying: dict[Direction, dict[PodRef, _Applying]] = {direction: {} for direction in Direction}
        self._open = {direction: Side(direction) for direction in Direction}

    def applying(self, subject: Pod, direction: Direction) -> Sequence[Policy]:
        """The policies that select a pod and apply to a direction, in the order of evaluation."""
        return self._of(subject, direction).policies

    def _of(self, subject: Pod, direction: Direction) -> _Applying:
        found = self._applying[direction].get(subject.ref)
        if found is None:
            selecting = list(self._selecting(subject))
            tiers: dict[Tier, list[Policy]] = {}
            for tier, policy in selecting:
                if policy.rules(direction) is not None:
                    tiers.setdefault(tier, []).append(policy)
            isolating = [policy for _, policy in selecting if policy.kind == NETWORK_POLICY]
            hidden = bool(isolating) and all(policy.rules(direction) is None for policy in isolating)
            found = _Applying(direction, tuple(tiers.items()), self._profile, hidden=hidden)
            self._applying[direction][subject.ref] = found
        return found

    def _selecting(self, pod: Pod) -> Iterator[tuple[Tier, Policy]]:
        """The policies that have a pod as their subject, for any direction."""
        ranks = self._by_namespace.get(pod.ref.namespace, [])
        if self._everywhere:
            ranks = sorted((*ranks, *self._everywhere))
        end = self._directory.pod(pod.ref)
        for tier, number in (self._order[rank] for rank in ranks):
            policy = self._cluster.policies[number]
            wanted = policy.subject
            if (
                (wanted.namespaces is None or wanted.namespaces.matches(end.namespace_labels or {}))
                and wanted.pods.matches(end.labels or {})
                and (wanted.accounts is None or wanted.accounts.matches(end.account_labels or {}))
            ):
                yield tier, policy

    def judge(
        self,
        direction: Direction,
        subject: Endpoint,
        peer: Endpoint,
        flow: Flow,
        family: Family | None,
    ) -> Side:
        """All causes on one side. No policy applies to an address without a pod."""
        if subject.pod is None:
            return self._open[direction]
        applying = self._of(subject.pod, direction)
        if not applying.policies:
            return self._open[direction]
        missing = [tier.name for tier, _ in applying.tiers if tier.name in self._unplaced]
        if missing:
            unknown = f"tier {missing[0]} is not among the objects, and its order is not known: use --tier"
            return Side(direction, unknown=unknown)
        destination = peer if direction is Direction.EGRESS else subject
        port = (flow.port, flow.protocol, destination.pod.ports if destination.pod else ())
        asked = _Asked(subject, peer, family, port)
        found = applying.on_port(port)
        matched = 0
        for number, entry in enumerate(found.entries):
            if self._matches(direction, entry, asked):
                matched |= 1 << number
        side = found.sides.get(matched)
        if side is None:
            matching = (entry for number, entry in enumerate(found.entries) if matched >> number & 1)
            side = found.sides[matched] = applying.side(matching)
        undefined = self._undefined(applying, asked, side.verdict) if applying.doubts else None
        return replace(side, undefined=undefined) if undefined else side

    def _matches(self, direction: Direction, entry: _Entry, asked: _Asked) -> bool:
        return self._ends_match(direction, entry.peer, entry.own, entry.policy, asked, itself=entry.itself)

    def _ends_match(
        self,
        direction: Direction,
        peer: Peer,
        own: Peer,
        policy: Policy,
        asked: _Asked,
        *,
        itself: bool | None,
        view: View = PROFILE,
    ) -> bool:
        """Whether a peer of a rule matches the far end, and the rule's own end the subject."""
        if itself is False:
            either, alone = (
                self._ends_match(direction, peer, own, policy, asked, itself=way, view=seen)
                for way, seen in ((None, view), (True, view.negated()))
            )
            return either and not alone
        namespace, port = policy.ref.namespace, asked.port[:2]
        egress, by_name = direction is Direction.EGRESS, itself is True
        return self.peers.matches(
            peer, namespace, asked.peer, asked.family, port, by_name=by_name and egress, view=view
        ) and self.peers.matches(
            own, namespace, asked.subject, asked.family, port, by_name=by_name and not egress, view=view
        )

    def _undefined(self, applying: _Applying, asked: _Asked, verdict: Verdict) -> str | None:
        """Why the verdict may be the other one, if what is open is decided otherwise."""

        def may_differ(*doubts: Doubt) -> bool:
            allowed, denied = through(self._outcomes(applying, asked, frozenset(doubts)), 1)
            return bool(denied if verdict is Verdict.ALLOW else allowed)

        if not may_differ(*applying.doubts):
            return None
        return next(filter(may_differ, applying.doubts), applying.doubts[0]).value

    def _outcomes(self, applying: _Applying, asked: _Asked, doubts: frozenset[Doubt]) -> Iterator[Outcome]:
        """What each tier may do with the flow."""
        for tier, policies in applying.tiers:
            found = Outcome()
            for tied in ties(policies) if Doubt.TIE in doubts else zip(policies, strict=True):
                each = [first_matches(self._matching(applying, policy, asked, doubts)) for policy in tied]
                found = found.then(reduce(Outcome.beside, each))
            found = found.at_end(tier.default, 1)
            if Doubt.BASELINE in applying.doubts and tier.name == BASELINE_TIER.name:
                if Doubt.BASELINE in doubts:
                    found = found.beside(Outcome(allow=1))
                elif self._profile.hides_baseline:
                    found = Outcome(allow=1)
            yield found

    def _matching(
        self, applying: _Applying, policy: Policy, asked: _Asked, doubts: frozenset[Doubt]
    ) -> Iterator[Match]:
        """What the rules of a policy match of the flow, whose two ends are 1 each."""
        for variant in applying.variants[id(policy)]:
            open_ = variant.doubt in doubts
            if variant.used or open_:
                possible, certain = (
                    self._rule_matches(applying.direction, variant, policy, asked, View(extent, doubts))
                    for extent in (True, False)
                )
                sure = certain and (variant.doubt is None or not open_)
                yield variant.rule.action, 1, int(possible), sure

    def _rule_matches(
        self, direction: Direction, variant: Variant, policy: Policy, asked: _Asked, view: View
    ) -> bool:
        rule = variant.rule
        some, every = from_client(rule.source_ports, asked.port[1])
        if not (some if view.settle(Doubt.SOURCE_PORT, by_profile=False) else every):
            return False
        return any(
            self._ends_match(direction, peer, rule.own, policy, asked, itself=itself, view=view)
            for itself, _ in matching_ports(rule, asked.port)
            for peer in rule.peers
        )

    def before_translation(
        self,
        source: Endpoint,
        backend: Endpoint,
        onward: Flow,
        service_port: int,
        addresses: Iterable[Address],
    ) -> Side:
        """The egress side of a flow to a Service as seen by blocks that see the Service's own address.

        Selectors see the pod behind it and the port there, as they do after translation.
        """
        if source.pod is None:
            return self._open[Direction.EGRESS]
        applying = self._of(source.pod, Direction.EGRESS)
        port = (onward.port, onward.protocol, backend.pod.ports if backend.pod else ())
        asked = _Asked(source, backend, onward.family, port)
        known = tuple(addresses)
        entries = applying.entries(port, (service_port, onward.protocol, ()))
        return applying.side(
            entry
            for entry in entries
            if (
                inside(entry.peer, known)
                and self._matches(Direction.EGRESS, replace(entry, peer=AnyPeer()), asked)
                if isinstance(entry.peer, IPBlock | Networks)
                else self._matches(Direction.EGRESS, entry, asked)
            )
        )
