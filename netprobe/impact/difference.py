"""What differs between two states of a cluster, as sets of groups.

Theory of operation. Both states are evaluated on the same groups (`simulate.evaluate_both`), so a row of bits
of one state can be compared with that of the other: the XOR of what a group reaches before and after is all
that opens or closes for it. Pairs are never compared one by one. What differs becomes a few bundles: for each
destination, the ports with the same sources go together; then the destinations with the same ports and
sources; then the sources of the same ports and destinations.

A flow with the same verdict may have other causes (`Decision.because`). An allowed flow has the policies that
allow it on both sides as its causes, a denied flow those that isolate the sides that deny. So only policies
that differ between the states can change the causes of a flow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TypeAlias

from netprobe.impact.revision import Revision
from netprobe.model.flow import Family, PodRef
from netprobe.model.policy import Direction, Policy, PolicyRef
from netprobe.simulate import EndGroup, Evaluation, Profile, Table, evaluate_both
from netprobe.simulate.bits import pack, transposed, unpack
from netprobe.simulate.compared import PortNumber, Ports, outside

Columns: TypeAlias = Mapping[int, int]
"""For each destination the sources whose flows to it change, as bits. Groups by their indexes."""


class FlowChange(Enum):
    """What a revision does to a flow."""

    OPENS = "opens"
    CLOSES = "closes"
    REASON = "reason"  # the verdict stays, and other policies decide it


@dataclass(frozen=True)
class States:
    """Both states, evaluated on common groups. Sets of groups are bits.

    Pods on their node's network are in neither `pods` nor `outside`: their flows are undefined.
    """

    revision: Revision
    ports: Ports
    before: Evaluation
    after: Evaluation

    @property
    def groups(self) -> tuple[EndGroup, ...]:
        return self.after.groups

    @cached_property
    def ports_of_group(self) -> list[frozenset[PortNumber]]:
        """For each group the ports on which it is compared as a destination."""
        first = (group.members[0] for group in self.groups)
        return [self.ports.of(end) if isinstance(end, PodRef) else self.ports.outside for end in first]

    @cached_property
    def pods(self) -> int:
        return self.before.universe.pods & self.after.universe.pods

    @cached_property
    def outside(self) -> int:
        return pack((group.index for group in self.groups if group.external), len(self.groups))

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The address families of pods; IPv4 if none is known."""
        return families_of(self.revision)

    def namespace(self, name: str) -> int:
        return self.after.universe.namespace(name) & self.pods

    def speaking(self, family: Family) -> int:
        """The groups that take part in flows of a family."""
        return self.after.speaking(family) & (self.pods | self.outside)

    @cached_property
    def differing(self) -> Mapping[Direction, list[tuple[int | None, int | None]]]:
        """The policies that are not the same in both states, by their index in each; None where absent."""
        found: dict[Direction, list[tuple[int | None, int | None]]] = {}
        for direction in Direction:
            old, new = (_numbered(one, direction) for one in (self.before, self.after))
            found[direction] = [
                (old[ref][0] if ref in old else None, new[ref][0] if ref in new else None)
                for ref in dict.fromkeys((*old, *new))
                if self.revision.relabelled or ref not in old or ref not in new or old[ref][1] != new[ref][1]
            ]
        return found


def _numbered(evaluation: Evaluation, direction: Direction) -> Mapping[PolicyRef, tuple[int, Policy]]:
    """The policies that apply to a direction, with their index."""
    return {
        policy.ref: (number, policy)
        for number, policy in enumerate(evaluation.cluster.policies)
        if policy.rules(direction) is not None
    }


def compare_states(revision: Revision, ports: Ports, profile: Profile) -> States:
    ends = outside((revision.before, revision.after), families_of(revision))
    before, after = evaluate_both(
        revision.before,
        revision.after,
        profile,
        externals=ends,
        apart=lambda end: ports.of(end) if isinstance(end, PodRef) else None,
    )
    return States(revision, ports, before, after)


def families_of(revision: Revision) -> tuple[Family, ...]:
    pods = (pod for pod in revision.after.pods.values() if not pod.host_network)
    return tuple(sorted({address.version for pod in pods for address in pod.addresses})) or (4,)


def differences(states: States, port: PortNumber, family: Family) -> Mapping[FlowChange, Columns]:
    """All that changes on one port in one family.

    A pod that is alone in its group is not left out of its own column: only the count of flows leaves it out.
    """
    before, after = tables = states.before.table(*port, family), states.after.table(*port, family)
    allowing, isolating = {}, {}
    for direction in Direction:
        allowing[direction], isolating[direction] = _other_causes(states, tables, direction)
    speaking, size = states.speaking(family), len(states.groups)
    # Only what is touched can change: all destinations of touched sources, and of others the touched ones.
    ends = range(size)
    egress = pack((end for end in ends if before.leaving(end) != after.leaving(end)), size)
    ingress = pack((end for end in ends if before.entering(end) != after.entering(end)), size)
    egress |= pack(allowing[Direction.EGRESS], size) | isolating[Direction.EGRESS]
    ingress |= pack(allowing[Direction.INGRESS], size) | isolating[Direction.INGRESS]
    arriving, arriving_then = (_arriving(table, speaking, egress, ingress, size) for table in tables)
    entering = transposed(allowing[Direction.INGRESS], speaking, size)
    rows: dict[FlowChange, dict[int, int]] = {change: {} for change in FlowChange}
    for source in unpack(speaking):
        leaves, leaves_then = before.leaving(source), after.leaving(source)
        enters, enters_then = arriving.get(source, 0), arriving_then.get(source, 0)
        passes, passes_then = leaves & enters, leaves_then & enters_then
        others = allowing[Direction.EGRESS].get(source, 0) | entering.get(source, 0)
        walls = isolating[Direction.INGRESS] & ~(enters | enters_then)
        if isolating[Direction.EGRESS] >> source & 1:
            walls |= ~(leaves | leaves_then)
        sides = (leaves ^ leaves_then) | (enters ^ enters_then)
        if not (others or walls or sides):
            continue
        seen = speaking & states.pods if states.outside >> source & 1 else speaking
        for change, bits in (
            (FlowChange.OPENS, passes_then & ~passes),
            (FlowChange.CLOSES, passes & ~passes_then),
            (
                FlowChange.REASON,
                (passes & passes_then & others) | (~(passes | passes_then) & (sides | walls)),
            ),
        ):
            if bits & seen:
                rows[change][source] = bits & seen
    return {change: transposed(found, speaking, size) for change, found in rows.items()}


def _arriving(table: Table, speaking: int, egress: int, ingress: int, size: int) -> Columns:
    """For each source the destinations that let it in; `egress`, `ingress`: what is touched."""
    rows = {end: table.entering(end) for end in unpack(speaking)}
    touched = {end: rows[end] for end in unpack(speaking & ingress)}
    return transposed(rows, speaking & egress, size) | transposed(touched, speaking & ~egress, size)


def _other_causes(
    states: States, tables: tuple[Table, Table], direction: Direction
) -> tuple[dict[int, int], int]:
    """For each group, the peers that other policies allow now; and the groups that other policies isolate."""
    allowing: dict[int, int] = defaultdict(int)
    isolating = 0
    for numbers in states.differing[direction]:
        subjects, opened = [], []
        for evaluation, table, number in zip((states.before, states.after), tables, numbers, strict=True):
            policy = evaluation.cluster.policies[number] if number is not None else None
            subjects.append(evaluation.universe.subjects(policy) & states.pods if policy else 0)
            opened.append(table.opened(direction, number) if number is not None else [])
        isolating |= subjects[0] ^ subjects[1]
        for group in unpack(subjects[0] | subjects[1]):
            old, new = (
                _peers(pairs, group) if selected >> group & 1 else 0
                for selected, pairs in zip(subjects, opened, strict=True)
            )
            if old != new:
                allowing[group] |= old ^ new
    return allowing, isolating


def _peers(opened: list[tuple[int, int]], group: int) -> int:
    bits = 0
    for subjects, peers in opened:
        if subjects >> group & 1:
            bits |= peers
    return bits


def by_family(states: States, port: PortNumber) -> Iterator[tuple[FlowChange, Family | None, Columns]]:
    """All that changes on one port. Family None: in every family that a pair of ends has in common."""
    found = {family: differences(states, port, family) for family in states.families}
    if len(found) == 1:
        ((_, only),) = found.items()
        yield from ((change, None, columns) for change, columns in only.items())
        return
    one, other = states.families
    first, second = states.speaking(one), states.speaking(other)
    for change in FlowChange:
        columns: dict[Family | None, dict[int, int]] = {None: {}, one: {}, other: {}}
        for end in dict.fromkeys((*found[one][change], *found[other][change])):
            a, b = found[one][change].get(end, 0), found[other][change].get(end, 0)
            in_a, in_b = (bits if bits >> end & 1 else 0 for bits in (first, second))
            both = (a & b) | (a & ~in_b) | (b & ~in_a)
            for family, bits in ((None, both), (one, a & ~both), (other, b & ~both)):
                columns[family][end] = bits
        yield from ((change, family, each) for family, each in columns.items())


class Scope(Enum):
    """Where the two ends of a flow are, seen from the destination."""

    FROM_OUTSIDE = "from outside the cluster"
    ACROSS = "from another namespace"
    TO_OUTSIDE = "to outside the cluster"
    WITHIN = "within a namespace"
    INSIDE = "within the cluster"  # either of the last two, if it makes no difference


@dataclass(frozen=True, slots=True)
class BundleKey:
    """What the flows of a bundle have in common. `ports` None: every port that is compared."""

    change: FlowChange
    scope: Scope
    family: Family | None
    ports: tuple[PortNumber, ...] | None


@dataclass(frozen=True, slots=True)
class GroupBundle:
    """Flows from each of `sources` to each of `destinations` except itself; both are bits."""

    key: BundleKey
    sources: int
    destinations: int


def bundles(states: States) -> Iterator[GroupBundle]:
    alike: dict[object, list[PortNumber]] = defaultdict(list)
    for port in sorted(frozenset().union(*states.ports_of_group), key=lambda one: (one[0], one[1].value)):
        alike[states.ports.class_of(port)].append(port)
    columns: dict[tuple[FlowChange, Family | None], list[tuple[list[PortNumber], Columns]]] = defaultdict(
        list
    )
    for ports in alike.values():
        for change, family, found in by_family(states, ports[0]):
            columns[change, family].append((ports, found))
    joined: dict[tuple[BundleKey, int], int] = defaultdict(int)
    for (change, family), by_port in columns.items():
        for destination in range(len(states.groups)):
            for key, sources in _of_destination(states, change, family, by_port, destination):
                joined[key, sources] |= 1 << destination
    turned: dict[tuple[BundleKey, int], int] = defaultdict(int)
    for (key, sources), destinations in joined.items():
        turned[key, destinations] |= sources
    return (GroupBundle(key, sources, destinations) for (key, destinations), sources in turned.items())


def _of_destination(
    states: States,
    change: FlowChange,
    family: Family | None,
    columns: list[tuple[list[PortNumber], Columns]],
    destination: int,
) -> Iterator[tuple[BundleKey, int]]:
    """The changes of one destination by ports and scope: (key, sources)."""
    own_ports = states.ports_of_group[destination]
    by_scope: dict[tuple[Scope, int], list[PortNumber]] = defaultdict(list)
    for ports, found in columns:
        if bits := found.get(destination, 0):
            compared = [port for port in ports if port in own_ports]
            for scope, mask in _scopes(states, change, destination) if compared else ():
                if bits & mask:
                    by_scope[scope, bits & mask] += compared
    for (scope, sources), ports in by_scope.items():
        every = len(ports) == len(own_ports)
        yield (
            BundleKey(change, scope, family, None if every else tuple(sorted(ports, key=_by_number))),
            sources,
        )


def _by_number(port: PortNumber) -> tuple[int, str]:
    return port[0], port[1].value


def _scopes(states: States, change: FlowChange, destination: int) -> Iterator[tuple[Scope, int]]:
    """The scopes of flows to a destination, each with the sources that are in it."""
    if states.outside >> destination & 1:
        yield Scope.TO_OUTSIDE, states.pods
        return
    yield Scope.FROM_OUTSIDE, states.outside
    if change is FlowChange.OPENS:
        own = states.namespace(states.groups[destination].namespace or "")
        yield Scope.WITHIN, own
        yield Scope.ACROSS, states.pods & ~own
    else:
        yield Scope.INSIDE, states.pods
