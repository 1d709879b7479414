"""One side of a flow: what the policies that apply to the subject decide, and what they leave open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, Family, Flow, Pod, PodRef
from netprobe.model.policy import (
    BASELINE_TIER,
    NETWORK_POLICY,
    AnyPeer,
    Direction,
    IPBlock,
    Networks,
    Peer,
    Policy,
    Tier,
)
from netprobe.model.verdict import Side, Verdict
from netprobe.simulate.doubt import PROFILE, Doubt, Variant, View
from netprobe.simulate.effect import Effect as Outcome
from netprobe.simulate.effect import Match, first_matches, through
from netprobe.simulate.endpoint import Directory, Endpoint
from netprobe.simulate.match import from_client
from netprobe.simulate.peers import Peers, inside
from netprobe.simulate.profile import Profile
from netprobe.simulate.subject import DestinationPort, Entry, SubjectPolicies, matching_ports
from netprobe.simulate.tiers import in_order, ties, unplaced


class _Asked(NamedTuple):
    """A flow as one side sees it."""

    subject: Endpoint
    peer: Endpoint
    family: Family | None
    port: DestinationPort


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
        self._applying: dict[tuple[Direction, PodRef], SubjectPolicies] = {}
        self._open = {direction: Side(direction) for direction in Direction}

    def applying(self, subject: Pod, direction: Direction) -> Sequence[Policy]:
        """The policies that select a pod and apply to a direction, in the order of evaluation."""
        return self._of(subject, direction).policies

    def _of(self, subject: Pod, direction: Direction) -> SubjectPolicies:
        found = self._applying.get((direction, subject.ref))
        if found is None:
            selecting = list(self._selecting(subject))
            tiers: dict[Tier, list[Policy]] = {}
            for tier, policy in selecting:
                if policy.rules(direction) is not None:
                    tiers.setdefault(tier, []).append(policy)
            isolating = [policy for _, policy in selecting if policy.kind == NETWORK_POLICY]
            hidden = bool(isolating) and all(policy.rules(direction) is None for policy in isolating)
            found = SubjectPolicies(direction, tuple(tiers.items()), self._profile, hidden=hidden)
            self._applying[direction, subject.ref] = found
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

    def _matches(self, direction: Direction, entry: Entry, asked: _Asked) -> bool:
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

    def _undefined(self, applying: SubjectPolicies, asked: _Asked, verdict: Verdict) -> str | None:
        """Why the verdict may be the other one, if what is open is decided otherwise."""

        def may_differ(*doubts: Doubt) -> bool:
            allowed, denied = through(self._outcomes(applying, asked, frozenset(doubts)), 1)
            return bool(denied if verdict is Verdict.ALLOW else allowed)

        if not may_differ(*applying.doubts):
            return None
        return next(filter(may_differ, applying.doubts), applying.doubts[0]).value

    def _outcomes(
        self, applying: SubjectPolicies, asked: _Asked, doubts: frozenset[Doubt]
    ) -> Iterator[Outcome]:
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
        self, applying: SubjectPolicies, policy: Policy, asked: _Asked, doubts: frozenset[Doubt]
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
