"""What a declaration demands of policies: who must reach whom, and who must not. Sets are bits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from netprobe.generate.declared import Share
from netprobe.generate.space import Space
from netprobe.model.flow import Flow, Protocol
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import pack, unpack

PortNumber: TypeAlias = tuple[int, Protocol]

Closed: TypeAlias = frozenset[tuple[str, Direction]]
"""The namespaces that get a default deny, each with the direction."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why no policies can do what is declared. `flows` are the declared flows in conflict.

    `rows` are the rows that declare them, by their numbers; None for the default.
    """

    reason: str
    flows: tuple[Flow, ...]
    rows: tuple[int | None, ...] = ()


@dataclass(slots=True)
class TargetDemand:
    """What must reach one destination on one port, and what must not: sources, as bits."""

    allow: int = 0
    deny: int = 0
    rows: list[Share] = field(default_factory=list)

    def add(self, part: Share) -> None:
        self.rows.append(part)
        if part.verdict is Verdict.ALLOW:
            self.allow |= part.sources
        else:
            self.deny |= part.sources


Demands: TypeAlias = Mapping[PortNumber, dict[int, TargetDemand]]
"""By port and destination."""


NamedPeers: TypeAlias = Mapping[int, frozenset[Direction]]
"""For each row the directions in which it names its peers exactly, not by a glob.

The peers for ingress are the sources of the row. A namespace may not replace exactly named pods in a rule.
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The peers of a subject on a port, as bits; `named`: those that a row names exactly."""

    peers: int = 0
    named: int = 0


Openings: TypeAlias = Mapping[PortNumber, Opening]


class RowPermission(NamedTuple):
    """What a row allows one subject: peers on a port, as bits. `row` None: the default."""

    row: int | None
    port: PortNumber
    peers: int


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything that is demanded, by the crowds of the declaration, and by classes for policies."""

    space: Space
    crowds: Demands
    classes: Demands

    def permissions(self, direction: Direction) -> Mapping[int, list[RowPermission]]:
        """What the rows allow each class or host in a direction."""
        found: dict[int, list[RowPermission]] = defaultdict(list)
        alike: dict[RowPermission, list[int]] = defaultdict(list)
        for port, targets in self.classes.items():
            for target, demanded in targets.items():
                for part in demanded.rows:
                    if part.verdict is Verdict.ALLOW:
                        alike[RowPermission(part.row, port, part.sources)].append(target)
        for permission, targets_alike in alike.items():
            if direction is Direction.INGRESS:
                for target in targets_alike:
                    found[target].append(permission)
            else:
                outgoing = permission._replace(peers=pack(targets_alike, self.space.size))
                for source in unpack(permission.peers):
                    found[source].append(outgoing)
        return found

    def between(self, verdict: Verdict) -> Counter[tuple[str | None, str | None]]:
        """The number of pairs of classes and ports with a verdict, by namespaces; None for outside."""
        spaces: list[tuple[str | None, int]] = [(None, self.space.outside), *self.space.namespaces.items()]
        home: dict[int, str | None] = {pod_class.bit: pod_class.namespace for pod_class in self.space.classes}
        counted: dict[int, Counter[str | None]] = {}
        found: Counter[tuple[str | None, str | None]] = Counter()
        for targets in self.classes.values():
            for target, demanded in targets.items():
                bits = demanded.allow if verdict is Verdict.ALLOW else demanded.deny
                if bits not in counted:
                    counted[bits] = (
                        Counter(home.get(source) for source in unpack(bits))
                        if bits.bit_count() < len(spaces)
                        else Counter({name: (bits & mask).bit_count() for name, mask in spaces})
                    )
                for name, number in counted[bits].items():
                    if number:
                        found[name, home.get(target)] += number
        return found


def openings_by_port(
    permissions: Iterable[RowPermission], direction: Direction, named: NamedPeers
) -> Openings:
    """What permissions of one subject allow, port by port."""
    found: dict[PortNumber, Opening] = {}
    for row, port, peers in permissions:
        before = found.get(port, Opening())
        narrow = peers if row is not None and direction in named.get(row, ()) else 0
        found[port] = Opening(before.peers | peers, before.named | narrow)
    return found
