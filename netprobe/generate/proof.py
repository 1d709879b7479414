"""What policies make of a demand, by the simulator: every flow of it, told by the crowds that differ.

The tables are those of `simulate.evaluate`, on the declaration's crowds in place of groups of its own: so
each row of a table is held against what is declared in one step, and no flow is looked at by itself. Only
the pairs of a pod and its own node, which go by rules of their own, are asked one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.generate.asked import Asked, PortNumber
from netprobe.generate.declared import Declared
from netprobe.generate.demand import Demand
from netprobe.generate.space import Space
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, PodRef, ServiceRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import Group, Profile
from netprobe.simulate.bits import Weights, pack, turned, uncollected, unpack
from netprobe.simulate.endpoint import Directory
from netprobe.simulate.groups import Member, Places, group
from netprobe.simulate.table import Ground, Isolation, Table
from netprobe.simulate.universe import Universe
from netprobe.simulate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Wrong:
    """A pair of ends that policies do not treat as declared, on one port in one family."""

    source: Member
    destination: Member
    port: PortNumber
    declared: Verdict


def wrong(demand: Demand, world: Cluster, profile: Profile) -> Iterator[Wrong]:
    """What the policies of `world` do not decide as demanded: one pair of ends of each pair of crowds."""
    with uncollected():
        proof = _Proof(demand.space, world, profile)
    for port, targets in demand.crowds.items():
        yield from proof.of_port(port, targets)


def flows(declared: Declared) -> int:
    """How many flows a declaration has."""
    weights = Weights([len(crowd) for crowd in declared.crowds])
    found = len(declared.itself)
    for column in declared.columns:
        size = len(declared.crowds[column.destination])
        for share in column.shares:
            itself = share.sources >> column.destination & 1
            found += size * (weights.total(share.sources) - itself)
    return found


class _Proof:
    def __init__(self, space: Space, world: Cluster, profile: Profile) -> None:
        directory = Directory(world)
        made, places = group(directory, Vocabulary(world), profile, space.hosts.values())
        self._groups: list[Group] = []
        where: dict[Member, int] = {}
        for number, crowd in enumerate(space.crowds[: space.size]):
            members = tuple(end for end in crowd if not isinstance(end, ServiceRef))
            where.update(dict.fromkeys(members, number))
            self._groups.append(_group(number, members, made, places, directory))
        self._universe = Universe(tuple(self._groups), directory, profile)
        isolations = {
            direction: Isolation(direction, world.policies, self._universe) for direction in Direction
        }
        self._where = where
        self._ground = Ground(self._universe, Places(where, {}), isolations)
        found = {family for each in self._groups for family in each.sample.addresses}
        self._families: tuple[Family | None, ...] = tuple(sorted(found)) or (None,)
        self._speaking = {
            family: pack((g.index for g in self._groups if g.speaks(family)), space.size)
            for family in self._families
        }
        self._near = self._neighbours()

    def _neighbours(self) -> dict[tuple[int, int], list[tuple[Member, Member]]]:
        """The pairs of a node and a pod that runs on it, in both directions, by their crowds."""
        found: dict[tuple[int, int], list[tuple[Member, Member]]] = defaultdict(list)
        for node in (each for each in self._groups if each.sample.pod is None):
            for ref in self._universe.pods_on(node.index):
                for member in node.members if self._where[ref] != node.index else ():
                    for ends in ((member, ref), (ref, member)):
                        found[self._where[ends[0]], self._where[ends[1]]].append(ends)
        return found

    def of_port(self, port: PortNumber, targets: dict[int, Asked]) -> Iterator[Wrong]:
        size = len(self._groups)
        everybody = (1 << size) - 1
        allow = turned({target: asked.allow for target, asked in targets.items()}, everybody, size)
        deny = turned({target: asked.deny for target, asked in targets.items()}, everybody, size)
        strangers = dict.fromkeys((*allow, *deny), 0)
        for family in self._families:
            with uncollected():
                table = Table(self._ground, *port, family)
            speaking = self._speaking[family]
            for source in strangers:
                if not speaking >> source & 1:
                    continue
                strangers[source] |= speaking
                passes, reached = allow.get(source, 0), table.reached(source)
                bits = ((passes & ~reached) | (deny.get(source, 0) & reached)) & speaking
                for target in unpack(bits):
                    if far := self._far(source, target):
                        yield _wrong(far, port, passes >> target & 1)
            yield from self._of_neighbours(table, port, targets)
        for source, met in strangers.items():
            for target in unpack((allow.get(source, 0) | deny.get(source, 0)) & ~met):
                if far := self._far(source, target):
                    yield _wrong(far, port, allow.get(source, 0) >> target & 1)

    def _of_neighbours(self, table: Table, port: PortNumber, targets: dict[int, Asked]) -> Iterator[Wrong]:
        for (source, target), pairs in self._near.items():
            asked = targets.get(target, Asked())
            for passes in (1, 0):
                if (asked.allow if passes else asked.deny) >> source & 1:
                    for ends in pairs:
                        if (table.verdict(*ends) is Verdict.ALLOW) is not bool(passes):
                            yield _wrong(ends, port, passes)

    def _far(self, source: int, target: int) -> tuple[Member, Member] | None:
        """Two different ends that are not a pod and its own node; None where there are none."""
        near = set(self._near.get((source, target), ()))
        one, other = self._groups[source].members, self._groups[target].members
        if source == target and len(one) == 1:
            return one[0], one[0]  # by way of a Service
        return next(((s, d) for s in one for d in other if s != d and (s, d) not in near), None)


def _wrong(ends: tuple[Member, Member], port: PortNumber, passes: int) -> Wrong:
    return Wrong(*ends, port, Verdict.ALLOW if passes else Verdict.DENY)


def _group(
    number: int, members: tuple[Member, ...], made: tuple[Group, ...], places: Places, directory: Directory
) -> Group:
    first = members[0]
    if isinstance(first, External):
        return Group(number, members, None, (), directory.external(first))
    (whole,) = {places.groups[member] for member in _pods(members)}  # no policy may divide a crowd
    return Group(number, members, made[whole].namespace, made[whole].labels, directory.pod(first))


def _pods(members: Iterable[Member]) -> Iterator[PodRef]:
    return (member for member in members if isinstance(member, PodRef))
