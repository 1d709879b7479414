"""The flows that a change may concern, between ends that nothing tells apart.

A change of a policy can change only flows of pods that the policy selects, before or after, and only in the
directions in which its rules differ. If the same tiers deny at their end before and after, only the peers
and ports of the rules that differ matter. A new label concerns the policies that look at it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from netprobe.explain.declared import Expected
from netprobe.explain.world import Delta, World
from netprobe.manifests.workload import CONTROLLER_LABELS
from netprobe.model.expression import leaves
from netprobe.model.flow import Address, End, External, Flow, Pod, Via
from netprobe.model.labels import Labels, Selector
from netprobe.model.policy import (
    BASELINE_TIER,
    NETWORK_POLICY,
    AllPeers,
    Direction,
    IPBlock,
    Network,
    Networks,
    Peer,
    PodPeer,
    Policy,
    Rule,
    pod_peers,
)
from netprobe.simulate import Simulator
from netprobe.simulate.compared import PortNumber, Ports, outside
from netprobe.simulate.endpoint import ASSUMED
from netprobe.simulate.groups import Member, group
from netprobe.simulate.match import opens
from netprobe.simulate.vocabulary import Vocabulary


@dataclass(eq=False, slots=True)
class Alike:
    """Ends that nothing tells apart. `pod` is the first; None for an address outside."""

    members: list[Member]
    pod: Pod | None
    labels: Labels
    ports: frozenset[PortNumber]

    @property
    def first(self) -> Member:
        return self.members[0]

    def has(self, end: End) -> bool:
        if isinstance(end, External):  # with or without a name
            return isinstance(self.first, External) and self.first.address == end.address
        return end in self.members

    def name(self, without: End | None = None) -> str:
        """The first member and how many more there are, all but one if `without` names it."""
        first, *more = (each for each in self.members if each != without)
        return f"{first} +{len(more)}" if more else str(first)


class Cell(NamedTuple):
    """Flows that a change concerns alike."""

    source: Alike
    destination: Alike
    port: PortNumber

    def holds(self, flow: Flow | None) -> bool:
        return (
            flow is not None
            and self.port == (flow.port, flow.protocol)
            and self.source.has(flow.source)
            and self.destination.has(flow.destination)
        )

    @property
    def size(self) -> int:
        """The number of flows, without those of a pod to itself."""
        same = len(self.source.members) if self.source is self.destination else 0
        return len(self.source.members) * len(self.destination.members) - same

    @property
    def sample(self) -> Flow | None:
        """The first flow; None if there is none that policies decide."""
        source, destination = self.source.first, self.destination.first
        if source == destination:
            if len(self.destination.members) < 2:
                return None
            destination = self.destination.members[1]
        if isinstance(source, External) and isinstance(destination, External):
            return None
        via = Via.EXTERNAL if isinstance(destination, External) else Via.POD
        return Flow(source, destination, *self.port, via=via)


class Cells:
    """The ends of one cluster, and the cells that changes of its objects may concern."""

    def __init__(
        self, simulator: Simulator, world: World, declared: Expected | None, externals: Iterable[External]
    ) -> None:
        self._simulator, self._world = simulator, world
        cluster = simulator.cluster
        self._has_baseline = any(policy.tier == BASELINE_TIER.name for policy in cluster.policies)
        named = dict.fromkeys((*externals, *(declared.outside if declared is not None else ())))
        families = sorted({a.version for pod in cluster.pods.values() for a in pod.addresses}) or [4]
        kinds = outside((cluster,), families, [external.address for external in named])
        self._ports = Ports(cluster, cluster)
        self.other = self._ports.other
        on_ports: dict[object, set[PortNumber]] = defaultdict(set)
        for destination, port, protocol in declared.columns if declared is not None else ():
            on_ports[destination].add((port, protocol))
        groups, _ = group(simulator.directory, Vocabulary(cluster), simulator.profile, (*named, *kinds))
        self._of: dict[End, Alike] = {}
        self._outside: list[Alike] = []
        self._in_namespace: dict[str, list[Alike]] = defaultdict(list)
        self._spaces: dict[Selector, list[str]] = {}
        for each in groups:
            for end in self._parts(each.members, on_ports):
                home = self._outside if end.pod is None else self._in_namespace[end.pod.ref.namespace]
                home.append(end)
                self._of.update(dict.fromkeys(end.members, end))

    def _parts(
        self, members: Iterable[Member], on_ports: Mapping[object, set[PortNumber]]
    ) -> Iterable[Alike]:
        """The members of a group that have the same labels too, and belong to the same workload."""
        parts: dict[object, Alike] = {}
        for member in members:
            if isinstance(member, External):
                parts[member] = Alike([member], None, {}, self._ports.outside | on_ports[member])
                continue
            pod = self._simulator.cluster.pods[member]
            if pod.host_network:
                continue
            # Labels of controllers that policies look at have made different groups already.
            own = frozenset(label for label in pod.labels.items() if label[0] not in CONTROLLER_LABELS)
            key = (own, pod.workload, pod.ports)
            if key in parts:
                parts[key].members.append(member)
            else:
                labels = self._simulator.directory.pod(member).labels or {}
                parts[key] = Alike([member], pod, labels, self._ports.of(member) | on_ports[member])
        return parts.values()

    def alike(self, flow: Flow) -> object:
        """Equal for flows that nothing tells apart."""
        ends = (self._of.get(end, end) for end in (flow.source, flow.destination))
        return (*ends, flow.port, flow.protocol, flow.family, flow.via)

    def concerned(self, delta: Delta, goal: Flow | None, at_most: int) -> dict[Cell, set[Direction]] | None:
        """The cells that a change may concern, with the sides that it may change; None if there are more.

        `goal`: a flow on whose port all destinations are compared too.
        """
        found: dict[Cell, set[Direction]] = {}
        extra = {(goal.port, goal.protocol)} if goal is not None else set()
        for subject, direction, peer, rules in self._sides(delta):
            ends = (peer, subject) if direction is Direction.INGRESS else (subject, peer)
            declared = ends[1].pod.ports if ends[1].pod is not None else ()
            for port in ends[1].ports | extra:
                if rules is None or any(opens(each, *port, declared) for r in rules for each in r.ports):
                    found.setdefault(Cell(*ends, port), set()).add(direction)
            if len(found) > at_most:
                return None
        return found

    def _sides(self, delta: Delta) -> Iterator[tuple[Alike, Direction, Alike, Sequence[Rule] | None]]:
        """(subject, direction, peer, the rules whose ports matter; None: every port) of what may change."""
        for ref, new in delta.policies.items():
            old = self._world.policies.get((ref.kind, str(ref)))
            for direction in Direction:
                for subject, peer, rules in self._of_policy(old, new, direction):
                    yield subject, direction, peer, rules
                for subject in self._bared(old, new):
                    yield from ((subject, direction, peer, None) for peer in self._all())
        for end, keys in self._relabelled(delta):
            for policy, direction, rule in dict.fromkeys(m for key in keys for m in self._mentions[key]):
                if rule is None:
                    yield from ((end, direction, peer, None) for peer in self._all())
                else:
                    yield from ((subject, direction, end, None) for subject in self._subjects(policy))

    def _of_policy(
        self, old: Policy | None, new: Policy | None, direction: Direction
    ) -> Iterator[tuple[Alike, Alike, Sequence[Rule] | None]]:
        versions = [
            policy for policy in (old, new) if policy is not None and policy.rules(direction) is not None
        ]
        if not versions or (len(versions) == 2 and versions[0] == versions[1]):
            return
        before, after = (policy.rules(direction) or () if policy is not None else () for policy in (old, new))
        same_place = len({(policy.tier, policy.order) for policy in versions}) == 1
        differing = differing_rules(before, after) if same_place else [*before, *after]
        selected = [dict.fromkeys(self._subjects(policy)) for policy in versions]
        for subject in dict.fromkeys(end for ends in selected for end in ends):
            again = len(versions) == 2 and all(subject in ends for ends in selected)
            stays = again and versions[0].tier == versions[-1].tier
            if not (stays or self._isolated(subject, versions, direction)):
                yield from ((subject, peer, None) for peer in self._all())
                continue
            for rule in differing if again else (*before, *after):
                yield from ((subject, peer, (rule,)) for peer in self._peers(versions[0], rule))

    def _bared(self, old: Policy | None, new: Policy | None) -> Collection[Alike]:
        """Pods that only one version selects, where a NetworkPolicy may hide Baseline in both directions."""
        versions = [one for one in (old, new) if one is not None and self._may_hide_baseline(one)]
        selected = [frozenset(self._subjects(policy)) for policy in versions]
        return selected[0] ^ selected[1] if len(selected) == 2 else selected[0] if selected else ()

    def _may_hide_baseline(self, policy: Policy) -> bool:
        """Plugins differ in whether it does (`Profile.hides_baseline`)."""
        return self._has_baseline and policy.kind == NETWORK_POLICY

    def _isolated(self, subject: Alike, versions: Iterable[Policy], direction: Direction) -> bool:
        """Whether other policies of the tiers apply, so that their ends decide with and without this one."""
        assert subject.pod is not None  # noqa: S101
        others = self._simulator.sides.applying(subject.pod, direction)
        return all(
            any(each.tier == policy.tier and each.ref != policy.ref for each in others) for policy in versions
        )

    def _all(self) -> Iterator[Alike]:
        for ends in self._in_namespace.values():
            yield from ends
        yield from self._outside

    def _subjects(self, policy: Policy) -> Iterator[Alike]:
        for name in self._names(policy, policy.subject.namespaces):
            own = self._in_namespace.get(name, ())
            yield from (end for end in own if policy.subject.pods.matches(end.labels))

    def _peers(self, policy: Policy, rule: Rule) -> Iterable[Alike]:
        """Ends that a rule's peers may match: a superset where the exact set is expensive to find."""
        return dict.fromkeys(end for peer in rule.peers for end in self._of_peer(policy, peer))

    def _of_peer(self, policy: Policy, peer: Peer) -> Iterator[Alike]:
        match peer:
            case PodPeer(pods, namespaces, _, sets):
                for name in self._names(policy, namespaces):
                    yield from (end for end in self._in_namespace.get(name, ()) if pods.matches(end.labels))
                if sets is not False:
                    yield from (end for end in self._all() if _may_be_in(end, self._in_sets))
            case IPBlock(cidr):
                yield from (end for end in self._all() if _may_be_in(end, (cidr,)))
            case Networks(cidrs):
                yield from (end for end in self._all() if _may_be_in(end, cidrs))
            case AllPeers((first, *_)):
                yield from self._of_peer(policy, first)
            case _:
                yield from self._all()

    @cached_property
    def _in_sets(self) -> Sequence[Network]:
        return [network for each in self._simulator.cluster.network_sets for network in each.networks]

    def _names(self, policy: Policy, namespaces: Selector | None) -> Sequence[str]:
        if namespaces is None:
            return (policy.ref.namespace,)
        if namespaces not in self._spaces:
            labels = self._simulator.directory.namespace_labels
            self._spaces[namespaces] = [
                name for name in self._in_namespace if namespaces.matches(labels[name])
            ]
        return self._spaces[namespaces]

    def _relabelled(self, delta: Delta) -> Iterator[tuple[Alike, set[str]]]:
        """The ends whose labels change, or those of their namespace, with the keys of these labels."""
        found: dict[Alike, set[str]] = defaultdict(set)
        for ref, pod in delta.pods.items():
            if ref in self._of:
                before = self._world.cluster.pods[ref].labels
                found[self._of[ref]] |= {key for key, value in pod.labels.items() if before.get(key) != value}
        for name, space in delta.namespaces.items():
            before = self._world.cluster.namespaces[name].labels
            keys = {key for key, value in space.labels.items() if before.get(key) != value}
            for end in self._in_namespace.get(name, ()):
                found[end] |= keys
        yield from found.items()

    @cached_property
    def _mentions(self) -> Mapping[str, list[tuple[Policy, Direction, Rule | None]]]:
        """Which policies look at a label: for their subjects (no rule), or for the peers of a rule."""
        found: dict[str, list[tuple[Policy, Direction, Rule | None]]] = defaultdict(list)
        for policy in self._world.cluster.policies:
            subject = {*keys_of(policy.subject.pods), *keys_of(policy.subject.namespaces)}
            for direction in Direction:
                rules = policy.rules(direction)
                for key in subject if rules is not None or self._may_hide_baseline(policy) else ():
                    found[key].append((policy, direction, None))
                for rule in rules or ():
                    for key in {key for peer in (*rule.peers, rule.own) for key in _keys(peer)}:
                        found[key].append((policy, direction, rule))
        return found


def differing_rules(before: Sequence[Rule], after: Sequence[Rule]) -> list[Rule]:
    """Rules that match whatever two lists of rules treat differently, and little else."""
    gone = [rule for rule in before if rule not in after]
    new = [rule for rule in after if rule not in before]
    if len(gone) == len(new) == 1:
        (one,), (other,) = gone, new
        if replace(one, peers=other.peers) == other:
            return [replace(other, peers=tuple({*one.peers} ^ {*other.peers}))]
        if replace(one, ports=other.ports) == other:
            return [replace(other, ports=tuple({*one.ports} ^ {*other.ports}))]
    if not (gone or new) and tuple(before) != tuple(after):
        return [*before]  # the order differs
    return gone + new


def _may_be_in(end: Alike, networks: Iterable[Network]) -> bool:
    if isinstance(end.first, External):
        addresses: Iterable[Address] = (end.first.address,)
    else:
        addresses = (end.pod.addresses if end.pod is not None else ()) or ASSUMED.values()
    return any(address in network for address in addresses for network in networks)


def keys_of(selector: Selector | None) -> Iterator[str]:
    """The keys of the labels that a selector looks at."""
    if selector is not None:
        yield from (key for key, _ in selector.match_labels)
        yield from (each.key for each in selector.requirements)
        if selector.expression is not None:
            yield from (leaf.key for leaf in leaves(selector.expression))


def _keys(peer: Peer) -> Iterator[str]:
    for each in pod_peers(peer):
        yield from (*keys_of(each.pods), *keys_of(each.namespaces))
