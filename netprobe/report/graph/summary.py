"""The cells of a cluster by namespace, for clusters whose pairs are too many to be made.

Theory of operation. For a port and a family the simulator gives the groups that a group reaches, as bits.
What a namespace reaches at all is the union of the rows of its groups, what every pod of it reaches their
intersection; held against the groups of another namespace that listen on the port, the two say whether some
or all of its pods may talk to some or all of the other's. Nothing is done for each pair of pods or groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.model.flow import External, Family, Protocol
from netprobe.model.verdict import Verdict
from netprobe.report.graph.build import Ends
from netprobe.report.graph.policies import Crowd
from netprobe.report.graph.record import Cell, Party
from netprobe.simulate import Evaluation, Table
from netprobe.simulate.bits import pack


@dataclass(frozen=True, slots=True)
class Realm:
    """A namespace, or one host outside: its crowds, and the groups of the simulator that may ask."""

    party: Party
    crowds: tuple[Crowd, ...]
    groups: tuple[int, ...]


def realms(found: Sequence[Crowd], evaluation: Evaluation) -> list[Realm]:
    """In order of appearance, each by the name of its first pod."""
    held: dict[object, list[Crowd]] = defaultdict(list)
    for crowd in found:
        first = crowd.members[0]
        held[first if isinstance(first, External) else first.namespace].append(crowd)
    return [
        Realm(
            Party.of(crowds[0].members[0]),
            tuple(crowds),
            tuple(
                dict.fromkeys(evaluation.group_of(crowd.members[0]).index for crowd in crowds if crowd.speaks)
            ),
        )
        for crowds in held.values()
    ]


def ends_of(found: Sequence[Realm]) -> Ends:
    members = {
        realm.party: tuple(Party.of(member) for crowd in realm.crowds for member in crowd.members)
        for realm in found
    }
    return Ends(members)


def of_realms(found: Sequence[Realm], evaluation: Evaluation) -> Iterator[Cell]:
    """A cell for each pair of realms and port: allowed, denied, or one of each where it depends on the pod.

    By family where they differ.
    """
    families = families_of(evaluation)
    size = len(evaluation.groups)
    speaking = {
        family: pack((group.index for group in evaluation.groups if group.speaks(family)), size)
        for family in families
    }
    for (port, protocol), targets in _listening(found, evaluation).items():
        tables = {family: evaluation.table(port, protocol, family) for family in families}
        for source in found:
            rows = {
                family: _rows(tables[family], source, bits, evaluation) for family, bits in speaking.items()
            }
            for number, bits in targets.items():
                target = found[number]
                if source.party.namespace is None and target.party.namespace is None:
                    continue
                said = {family: _verdicts(*rows[family], bits & speaking[family]) for family in families}
                if len(set(said.values())) == 1:
                    said = {None: said[families[0]]}
                for family, verdicts in said.items():
                    for verdict in verdicts:
                        yield Cell(source.party, target.party, port, protocol, family, simulated=verdict)


def families_of(evaluation: Evaluation) -> tuple[Family | None, ...]:
    """Those that any end has, hosts outside among them; a pod without an address speaks all."""
    found = {family for group in evaluation.groups for family in group.sample.addresses}
    return tuple(sorted(found)) or (None,)


def _listening(found: Sequence[Realm], evaluation: Evaluation) -> dict[tuple[int, Protocol], dict[int, int]]:
    """For each port the realms that are asked on it, and their groups that are, as bits."""
    groups: dict[tuple[int, Protocol], dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, realm in enumerate(found):
        for crowd in realm.crowds:
            for asked in crowd.ports if crowd.answers else ():
                groups[asked][number].append(evaluation.group_of(crowd.members[0]).index)
    size = len(evaluation.groups)
    return {
        asked: {number: pack(held, size) for number, held in targets.items()}
        for asked, targets in groups.items()
    }


def _rows(table: Table, source: Realm, speaking: int, evaluation: Evaluation) -> tuple[int, int]:
    """The groups that some of a realm's groups reach, and those that some do not; a pod alone has no pair."""
    reached = missed = 0
    for group in source.groups:
        if speaking >> group & 1:
            row = table.reached(group)
            alone = 1 << group if evaluation.groups[group].size == 1 else 0
            reached |= row & ~alone
            missed |= ~row & ~alone
    return reached, missed


def _verdicts(reached: int, missed: int, bits: int) -> tuple[Verdict, ...]:
    """What there is among the pairs with the groups in `bits`."""
    return (Verdict.ALLOW,) * bool(reached & bits) + (Verdict.DENY,) * bool(missed & bits)
