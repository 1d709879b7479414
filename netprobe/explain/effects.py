"""What a change opens and closes, and whether it breaks what is declared.

Theory of operation. A change of a policy can change only flows of pods that the policy selects, before or
after, and only in the directions in which its rules differ. If the same tiers deny at their end before and
after, only the peers and ports of the rules that differ matter. A new label concerns the policies that look
at it. So few pairs are decided again, by two simulators: that of the cluster, and one with the policies and
ends concerned. Pods that no policy and no label tells apart are decided once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from netprobe.explain.declared import Declares, Expected
from netprobe.explain.world import Delta, World
from netprobe.manifests.suggestion import SideEffect
from netprobe.manifests.workload import CONTROLLER_LABELS
from netprobe.model.expression import leaves
from netprobe.model.flow import Address, End, External, Flow, Pod, PodRef, ServiceRef, Via
from netprobe.model.labels import Labels, Selector
from netprobe.model.policy import (
    AllPeers,
    Direction,
    IPBlock,
    Network,
    Networks,
    NotPeer,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Rule,
)
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.simulate.compared import PortNumber, Ports, outside
from netprobe.simulate.endpoint import ASSUMED, common_families
from netprobe.simulate.groups import Member, group
from netprobe.simulate.match import opens
from netprobe.simulate.vocabulary import Vocabulary

MOST_PAIRS = 20_000
"""Pairs of groups and ports that are decided for one change; a change that concerns more is not suggested."""
MOST_SHOWN = 20


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

    def __str__(self) -> str:
        more = f" +{len(self.members) - 1}" if len(self.members) > 1 else ""
        return f"{self.first}{more}"


class Cell(NamedTuple):
    """Flows that may change; `direction` is that of the only side that may, None if both may."""

    source: Alike
    destination: Alike
    port: PortNumber
    direction: Direction | None = None


@dataclass(slots=True)
class Effects:
    """The cells that change; `unwanted` counts flows that no declaration wants to change."""

    opens: list[Cell] = field(default_factory=list)
    closes: list[Cell] = field(default_factory=list)
    unwanted: int = 0

    def listed(
        self, cells: Iterable[Cell], asked: Flow | None, other: int | None
    ) -> tuple[tuple[SideEffect, ...], int]:
        """The first of the flows that change besides the one in question, and the number of all."""
        found, count = [], 0
        for cell in cells:
            flows = _flows(cell) - (asked is not None and _is_in(asked, cell))
            if not flows:
                continue
            count += flows
            number, protocol = cell.port
            port = None if number == other else number
            found.append(SideEffect(str(cell.source), str(cell.destination), port, protocol, None, flows))
        return tuple(found[:MOST_SHOWN]), count


def _is_in(flow: Flow, cell: Cell) -> bool:
    ends = flow.source in cell.source.members and flow.destination in cell.destination.members
    return ends and cell.port == (flow.port, flow.protocol)


def _flows(cell: Cell) -> int:
    same = len(cell.source.members) if cell.source is cell.destination else 0
    return len(cell.source.members) * len(cell.destination.members) - same


class Guard:
    """Works out the effects of changes on one cluster, against what is declared (None: nothing is)."""

    def __init__(
        self,
        simulator: Simulator,
        world: World,
        declared: Declares | None,
        externals: Iterable[External] = (),
    ) -> None:
        self.simulator, self.world = simulator, world
        self.declared = Expected(declared, simulator) if declared is not None else None
        named = self.declared.outside if self.declared is not None else ()
        self._prepare(tuple(dict.fromkeys((*externals, *named))))

    def _prepare(self, externals: tuple[External, ...]) -> None:
        cluster = self.simulator.cluster
        families = sorted({a.version for pod in cluster.pods.values() for a in pod.addresses}) or [4]
        kinds = outside((cluster,), families)
        taken = {external.address for external in externals}
        ends = (*externals, *(each for each in kinds if each.address not in taken))
        self._ports = Ports(cluster, cluster)
        self.other = self._ports.other
        on_ports: dict[object, set[PortNumber]] = defaultdict(set)
        for destination, port, protocol in self.declared.columns if self.declared is not None else ():
            on_ports[destination].add((port, protocol))
        vocabulary = Vocabulary(cluster)
        groups, _ = group(self.simulator.directory, vocabulary, self.simulator.profile, ends)
        self._of: dict[Member, Alike] = {}
        self._outside: list[Alike] = []
        self._in_namespace: dict[str, list[Alike]] = defaultdict(list)
        for each in groups:
            for end in self._parts(each.members, on_ports):
                if end.pod is None:
                    self._outside.append(end)
                else:
                    self._in_namespace[end.pod.ref.namespace].append(end)
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
            pod = self.simulator.cluster.pods[member]
            if pod.host_network:
                continue
            # Labels of controllers that policies look at have made different groups already.
            own = frozenset(label for label in pod.labels.items() if label[0] not in CONTROLLER_LABELS)
            key = (own, pod.workload, pod.ports)
            if key in parts:
                parts[key].members.append(member)
            else:
                labels = self.simulator.directory.pod(member).labels or {}
                parts[key] = Alike([member], pod, labels, self._ports.of(member) | on_ports[member])
        return parts.values()

    def alike(self, flow: Flow) -> object:
        """Equal for flows that nothing tells apart."""
        ends = (
            self._of.get(end, end) if not isinstance(end, ServiceRef) else end
            for end in (flow.source, flow.destination)
        )
        return (*ends, flow.port, flow.protocol, flow.family, flow.via)

    def _alike(self, end: End) -> object:
        return end if isinstance(end, ServiceRef) else self._of.get(end, end)

    # The effects of one change.

    def effects(self, delta: Delta, asked: Flow | None = None, at_most: int | None = None) -> Effects | None:
        """What a change does; None if it breaks a declared flow or concerns too much.

        `asked` is the flow that is to change. Also None with more than `at_most` unwanted flows.
        """
        cells = self._cells(delta, asked)
        if cells is None:
            return None
        after = self._after(delta, cells)
        found = Effects()
        for cell in cells:
            flow = _flow(cell, cell.source.first, cell.destination.first)
            if flow is None or not self._may_change(cell, flow, after):
                continue
            before, then = self.simulator.decide(flow), after.decide(flow)
            if before.verdict is then.verdict or then.undefined or before.undefined:
                continue
            unwanted = self._unwanted(cell, then.verdict, asked)
            if unwanted is None:
                return None
            found.unwanted += unwanted
            if at_most is not None and found.unwanted > at_most:
                return None
            (found.opens if then.verdict is Verdict.ALLOW else found.closes).append(cell)
        return found

    def _may_change(self, cell: Cell, flow: Flow, after: Simulator) -> bool:
        """Whether the side that the change concerns differs: that is quicker to tell than the whole flow."""
        if cell.direction is None:
            return True
        verdicts = []
        for simulator in (self.simulator, after):
            ends = simulator.endpoint(flow.source), simulator.endpoint(flow.destination)
            subject, peer = ends if cell.direction is Direction.EGRESS else ends[::-1]
            judge = simulator.sides.judge
            families = common_families(*ends)
            verdicts.append([judge(cell.direction, subject, peer, flow, each).verdict for each in families])
        return verdicts[0] != verdicts[1]

    def after(self, delta: Delta, asked: Flow) -> Verdict:
        """The verdict on one flow after a change."""
        ends = [self._alike(end) for end in (asked.source, asked.destination)]
        cells = [Cell(end, end, (asked.port, asked.protocol)) for end in ends if isinstance(end, Alike)]
        return self._after(delta, cells, asked).decide(asked).verdict

    def _unwanted(self, cell: Cell, verdict: Verdict, asked: Flow | None) -> int | None:
        """How many flows of a cell change that are not declared so; None if one is declared otherwise."""
        own = asked is not None and _is_in(asked, cell)
        if self.declared is None:
            return 0 if own else _flows(cell)
        wanted = 0
        for source in cell.source.members:
            for destination in cell.destination.members:
                declared = self.declared.verdict(source, destination, *cell.port)
                if declared is verdict:
                    wanted += 1
                elif declared is not None and source != destination:
                    return None
        return 0 if own else _flows(cell) - wanted

    def _after(self, delta: Delta, cells: Iterable[Cell], *flows: Flow) -> Simulator:
        """A simulator of the changed cluster, with the ends of some cells and policies that select them."""
        cluster = self.simulator.cluster
        refs: set[End] = {end.first for cell in cells for end in cell[:2] if end.pod is not None}
        refs |= {m for cell in cells if cell.source is cell.destination for m in cell.source.members[:2]}
        refs |= {end for flow in flows for end in (flow.source, flow.destination)}
        pods = {ref: delta.pods.get(ref, cluster.pods[ref]) for ref in refs if isinstance(ref, PodRef)}
        policies: dict[PolicyRef, Policy | None] = {}
        for ref in pods:
            for direction in Direction:
                for policy in self.simulator.sides.applying(cluster.pods[ref], direction):
                    policies[policy.ref] = policy
        if delta.pods or delta.namespaces:  # policies may select more pods than before
            for name in {"", *(ref.namespace for ref in pods)}:
                for policy in self.world.by_namespace.get(name, ()):
                    policies.setdefault(policy.ref, policy)
        policies.update(delta.policies)
        names = {ref.namespace for ref in pods}
        spaces = {name: delta.namespaces.get(name, cluster.namespaces[name]) for name in names}
        kept = tuple(policy for policy in policies.values() if policy is not None)
        made = replace(cluster, pods=pods, policies=kept, namespaces=spaces, sources={})
        return Simulator(made, self.simulator.profile)

    # The cells that a change may concern.

    def _cells(self, delta: Delta, asked: Flow | None) -> list[Cell] | None:
        found: dict[Cell, None] = {}
        for cell in self._concerned(delta, asked):
            found[cell] = None
            if len(found) > MOST_PAIRS:
                return None
        return list(found)

    def _concerned(self, delta: Delta, asked: Flow | None) -> Iterator[Cell]:
        extra = {(asked.port, asked.protocol)} if asked is not None else set()
        for ref, new in delta.policies.items():
            old = self.world.policies.get((ref.kind, str(ref)))
            for direction in Direction:
                yield from self._of_policy(old, new, direction, extra)
        yield from self._of_labels(delta, extra)

    def _of_policy(
        self, old: Policy | None, new: Policy | None, direction: Direction, extra: set[PortNumber]
    ) -> Iterator[Cell]:
        versions = [
            policy for policy in (old, new) if policy is not None and policy.rules(direction) is not None
        ]
        if not versions or (len(versions) == 2 and versions[0] == versions[1]):
            return
        before, after = (policy.rules(direction) or () if policy is not None else () for policy in (old, new))
        rules = differing_rules(before, after)
        subjects = dict.fromkeys(end for policy in versions for end in self._subjects(policy))
        for subject in subjects:
            selected = [self._selects(policy, subject) for policy in versions]
            again = len(versions) == 2 and all(selected)
            if again or self._isolated(subject, versions[0], direction):
                of_rules = rules if again else [r for each in versions for r in each.rules(direction) or ()]
                yield from self._of_rules(subject, versions, of_rules, direction, extra)
            else:
                for cell in self._everyone(subject, direction, extra):
                    yield cell._replace(direction=direction)

    def _isolated(self, subject: Alike, policy: Policy, direction: Direction) -> bool:
        """Whether other policies of the tier apply, so that its end decides with and without this one."""
        assert subject.pod is not None  # noqa: S101
        others = self.simulator.sides.applying(subject.pod, direction)
        return not self.simulator.profile.hides_baseline and any(
            each.tier == policy.tier and each.ref != policy.ref for each in others
        )

    def _of_rules(
        self,
        subject: Alike,
        versions: Iterable[Policy],
        rules: Iterable[Rule],
        direction: Direction,
        extra: set[PortNumber],
    ) -> Iterator[Cell]:
        """The cells of a subject that any of these rules may match."""
        policy = next(iter(versions))
        for rule in rules:
            for peer in self._peers(policy, rule):
                ends = (peer, subject) if direction is Direction.INGRESS else (subject, peer)
                declared = ends[1].pod.ports if ends[1].pod is not None else ()
                for port in ends[1].ports | extra:
                    if any(opens(entry, *port, declared) for entry in rule.ports):
                        yield Cell(*ends, port, direction)

    def _everyone(self, subject: Alike, direction: Direction, extra: set[PortNumber]) -> Iterator[Cell]:
        for peer in self._all():
            ends = (peer, subject) if direction is Direction.INGRESS else (subject, peer)
            for port in ends[1].ports | extra:
                yield Cell(*ends, port)

    def _all(self) -> Iterator[Alike]:
        for ends in self._in_namespace.values():
            yield from ends
        yield from self._outside

    def _subjects(self, policy: Policy) -> Iterator[Alike]:
        for name in self._names(policy, policy.subject.namespaces):
            for end in self._in_namespace.get(name, ()):
                if self._selects(policy, end):
                    yield end

    def _selects(self, policy: Policy, end: Alike) -> bool:
        return end.pod is not None and policy.subject.pods.matches(end.labels)

    def _peers(self, policy: Policy, rule: Rule) -> Iterator[Alike]:
        """Ends that a rule's peers may match; more than do, where that is not easy to tell."""
        found: dict[Alike, None] = {}
        for peer in rule.peers:
            match peer:
                case PodPeer(pods, namespaces, _, False):
                    for name in self._names(policy, namespaces):
                        for end in self._in_namespace.get(name, ()):
                            if end.pod is not None and pods.matches(end.labels):
                                found[end] = None
                case IPBlock(cidr):
                    found |= dict.fromkeys(end for end in self._all() if _may_be_in(end, (cidr,)))
                case Networks(cidrs):
                    found |= dict.fromkeys(end for end in self._all() if _may_be_in(end, cidrs))
                case _:
                    found |= dict.fromkeys(self._all())
        yield from found

    def _names(self, policy: Policy, namespaces: Selector | None) -> Iterable[str]:
        if namespaces is None:
            return (policy.ref.namespace,)
        labels = self.simulator.directory.namespace_labels
        return [name for name in self._in_namespace if namespaces.matches(labels[name])]

    def _of_labels(self, delta: Delta, extra: set[PortNumber]) -> Iterator[Cell]:
        """Flows of relabelled pods, as far as policies mention the labels."""
        relabelled: dict[Alike, set[str]] = {}
        for ref, pod in delta.pods.items():
            if ref in self._of:
                before = self.world.cluster.pods[ref].labels
                relabelled[self._of[ref]] = {k for k, v in pod.labels.items() if before.get(k) != v}
        for name, space in delta.namespaces.items():
            labels = self.world.cluster.namespaces[name].labels
            keys = {key for key, value in space.labels.items() if labels.get(key) != value}
            for end in self._in_namespace.get(name, ()):
                relabelled[end] = keys | relabelled.get(end, set())
        for end, keys in relabelled.items():
            for policy, direction, rule in dict.fromkeys(
                m for key in keys for m in self._mentions.get(key, ())
            ):
                if rule is None:
                    yield from self._everyone(end, direction, extra)
                    continue
                for subject in self._subjects(policy):
                    ends = (end, subject) if direction is Direction.INGRESS else (subject, end)
                    for port in ends[1].ports | extra:
                        yield Cell(*ends, port)

    @cached_property
    def _mentions(self) -> Mapping[str, list[tuple[Policy, Direction, Rule | None]]]:
        """Which policies look at a label: for their subjects (no rule), or for the peers of a rule."""
        found: dict[str, list[tuple[Policy, Direction, Rule | None]]] = defaultdict(list)
        for policy in self.world.cluster.policies:
            subject = {*keys_of(policy.subject.pods), *keys_of(policy.subject.namespaces)}
            for direction in Direction:
                rules = policy.rules(direction)
                for key in subject if rules is not None else ():
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
    match peer:
        case PodPeer(pods, namespaces):
            yield from (*keys_of(pods), *keys_of(namespaces))
        case AllPeers(peers):
            for each in peers:
                yield from _keys(each)
        case NotPeer(inner):
            yield from _keys(inner)


def _flow(cell: Cell, source: Member, destination: Member) -> Flow | None:
    if source == destination:
        if len(cell.destination.members) < 2:
            return None
        destination = cell.destination.members[1]
    if isinstance(source, External) and isinstance(destination, External):
        return None
    via = Via.EXTERNAL if isinstance(destination, External) else Via.POD
    return Flow(source, destination, *cell.port, via=via)
