"""Two states of one cluster on the same groups, so that their tables can be subtracted.

Pods are in one group where no policy of either state can tell them apart, by the labels of that state, and
where they are asked on the same ports. The groups are the bit positions of both universes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netprobe.impact.port import Asked, Ports
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, PodRef
from netprobe.model.policy import Direction, Policy
from netprobe.simulate import Group, Profile
from netprobe.simulate.bits import pack, uncollected
from netprobe.simulate.endpoint import Directory
from netprobe.simulate.groups import Member, Places, group
from netprobe.simulate.table import Ground, Isolation
from netprobe.simulate.universe import Universe
from netprobe.simulate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class State:
    """One of the two states, ready for tables."""

    cluster: Cluster
    universe: Universe
    ground: Ground

    @property
    def policies(self) -> Sequence[Policy]:
        return self.cluster.policies

    def isolation(self, direction: Direction) -> Isolation:
        return self.ground.isolations[direction]


@dataclass(frozen=True, slots=True)
class States:
    """Both states. `groups` are those of the new one; indexes and members are the same in both.

    `asked` says for each group on which ports it is asked as a destination. `ordinary` are the groups of
    pods with an address of their own, `outside` those of addresses outside, as bits. Pods on their node's
    network are in neither: NetworkPolicy does not define what becomes of their flows.
    """

    old: State
    new: State
    groups: tuple[Group, ...]
    asked: tuple[frozenset[Asked], ...]
    ordinary: int
    outside: int
    relabelled: bool

    def namespace(self, name: str) -> int:
        return self.new.universe.namespace(name) & self.ordinary

    def speaking(self, family: Family | None) -> int:
        """The groups that take part in flows of a family."""
        found = (g.index for g in self.groups if g.speaks(family))
        return pack(found, len(self.groups)) & (self.ordinary | self.outside)

    @property
    def families(self) -> tuple[Family, ...]:
        return families_of(self.new.cluster)


def families_of(cluster: Cluster) -> tuple[Family, ...]:
    """The families in which some pod with an address of its own has one; IPv4 where none is known."""
    pods = (pod for pod in cluster.pods.values() if not pod.host_network)
    return tuple(sorted({address.version for pod in pods for address in pod.addresses})) or (4,)


def states(
    old: Cluster, new: Cluster, ports: Ports, externals: Iterable[External], profile: Profile
) -> States:
    """Form the common groups of two states that have the same pods and namespaces."""
    ends = tuple(externals)
    with uncollected():
        directories = Directory(old), Directory(new)
        parts = [group(d, Vocabulary(d.cluster), profile, ends) for d in directories]
        (old_groups, old_places), (new_groups, new_places) = parts
        members: dict[tuple[int, int, frozenset[Asked]], list[Member]] = {}
        everybody: tuple[Member, ...] = (*new.pods, *ends)
        for end in everybody:
            asked = ports.of(end) if isinstance(end, PodRef) else ports.outside
            members.setdefault((old_places.groups[end], new_places.groups[end], asked), []).append(end)
        ordered = sorted(members.items(), key=lambda item: _order(new_groups[item[0][1]]))
        old_made = tuple(
            _refined(index, old_groups[key[0]], tuple(found), directories[0])
            for index, (key, found) in enumerate(ordered)
        )
        new_made = tuple(
            _refined(index, new_groups[key[1]], tuple(found), directories[1])
            for index, (key, found) in enumerate(ordered)
        )
        places = Places({end: index for index, (_, found) in enumerate(ordered) for end in found}, {})
        size = len(ordered)
        ordinary = (
            pack((g.index for g in groups if g.sample.pod is not None), size)
            for groups in (old_made, new_made)
        )
        return States(
            _state(directories[0], old_made, places, profile),
            _state(directories[1], new_made, places, profile),
            new_made,
            tuple(key[2] for key, _ in ordered),
            next(ordinary) & next(ordinary),
            pack((g.index for g in new_made if g.external), size),
            old.pods != new.pods or old.namespaces != new.namespaces,
        )


def _order(one: Group) -> tuple[bool, str]:
    return one.external, one.namespace or ""


def _refined(index: int, whole: Group, members: tuple[Member, ...], directory: Directory) -> Group:
    first = members[0]
    sample = directory.pod(first) if isinstance(first, PodRef) else directory.external(first)
    return Group(index, members, whole.namespace, whole.labels, sample)


def _state(directory: Directory, groups: tuple[Group, ...], places: Places, profile: Profile) -> State:
    universe = Universe(groups, directory, profile)
    policies = directory.cluster.policies
    isolations = {direction: Isolation(direction, policies, universe) for direction in Direction}
    return State(directory.cluster, universe, Ground(universe, places, isolations))
