"""Where cells come from: the rows of a comparison, a saved report, or the policies of a cluster alone.

Of policies alone, pods that neither the policies nor the question tell apart form a `PodGroup`: one cell
represents all pairs of two groups. If even those are too many, the cells are between namespaces.

Theory of operation of `cells_by_namespace`. For a port and a family the simulator knows which groups a group
reaches, as bits. Some pod of a namespace reaches the union of the rows of its groups, and some pod fails to
reach the union of the complements; masked with the groups of another namespace that listen on the port, the
two say whether any pair is allowed and whether any is denied. No pair of pods is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, product

from netprobe.diff import Row
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Family, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict
from netprobe.report.graph.build import EndInfo
from netprobe.report.graph.elements import Cells, EndName, GraphCell, Pairs, by_pair
from netprobe.report.saved import SavedFlow, SavedReport
from netprobe.simulate import Evaluation, Simulator, Table
from netprobe.simulate.bits import pack

Ports = tuple[tuple[int, Protocol], ...]
MOST_WORKLOADS = 100
"""Groups; with more, pods of different workloads share one."""


class SharedSides:
    """Decisions to their two sides. Equal sides are one object: `grouping` and pages compare identities."""

    def __init__(self) -> None:
        self._known: dict[Side, Side] = {}
        self._pairs: dict[tuple[int, int], tuple[Side, Side]] = {}

    def of(self, decision: Decision) -> tuple[Side, Side]:
        """For a flow to a Service: what decides for any of its backends."""
        decisions = [one for _, one in decision.backends] or [decision]
        return self.shared(
            _joined(Direction.EGRESS, [one.egress for one in decisions]),
            _joined(Direction.INGRESS, [one.ingress for one in decisions]),
        )

    def shared(self, egress: Side, ingress: Side) -> tuple[Side, Side]:
        sides = self._known.setdefault(egress, egress), self._known.setdefault(ingress, ingress)
        return self._pairs.setdefault((id(sides[0]), id(sides[1])), sides)


def _joined(direction: Direction, sides: list[Side]) -> Side:
    if len(sides) == 1:
        return sides[0]
    return Side(
        direction,
        isolating=tuple(dict.fromkeys(cause for side in sides for cause in side.isolating)),
        allowing=tuple(dict.fromkeys(cause for side in sides for cause in side.allowing)),
        denying=tuple(dict.fromkeys(cause for side in sides for cause in side.denying)),
    )


def cells_of_rows(rows: Iterable[Row]) -> Pairs:
    sides = SharedSides()
    return by_pair(
        (
            EndName.of(row.flow.source),
            EndName.of(row.flow.destination),
            GraphCell(
                row.flow.port,
                row.flow.protocol,
                row.flow.family,
                row.declared,
                row.simulated,
                row.observed,
                row.mismatches,
                row.declared_by,
                sides.of(row.decision) if row.decision else None,
                not (row.decision and row.decision.backends),
                row.reason or (row.decision.reason if row.decision else None),
            ),
        )
        for row in rows
    )


def cells_of_report(report: SavedReport, step: int) -> Pairs:
    """A cell for each flow of one step. A report has the causes that decide, and no others."""
    sides = SharedSides()
    return by_pair(
        (
            EndName.parse(flow.source),
            EndName.parse(flow.to),
            GraphCell(
                flow.port,
                flow.protocol,
                flow.family,
                flow.declared,
                flow.simulated,
                flow.observed,
                flow.mismatch,
                flow.declared_by,
                _saved_sides(flow, sides) if flow.simulated else None,
                complete=False,
                note=flow.reason,
            ),
        )
        for flow in report.flows
        if flow.step == step
    )


def _saved_sides(flow: SavedFlow, sides: SharedSides) -> tuple[Side, Side]:
    causes = [saved.cause() for saved in flow.because]
    return sides.shared(_side(Direction.EGRESS, causes), _side(Direction.INGRESS, causes))


def _side(direction: Direction, causes: Iterable[Cause]) -> Side:
    own = [one for one in causes if one.direction is direction]
    return Side(
        direction,
        isolating=tuple(one for one in own if one.effect in {Effect.ISOLATES, Effect.TIER_DEFAULT}),
        allowing=tuple(one for one in own if one.effect is Effect.ALLOWS),
        denying=tuple(one for one in own if one.effect is Effect.DENIES),
    )


@dataclass(frozen=True, slots=True)
class PodGroup:
    """Pods of one group of the simulator with the same ports, or hosts outside.

    `is_source` and `is_destination`: whether the question has them as such.
    """

    members: tuple[PodRef | External, ...]
    ports: Ports
    is_source: bool
    is_destination: bool


Namespaces = Mapping[EndName, Sequence[PodGroup]]
"""The groups of each namespace, or a host outside, under the name of its first pod."""


def pod_groups(
    evaluation: Evaluation,
    sources: Sequence[End],
    destinations: Mapping[End, Ports],
    workloads: Mapping[End, str] | None = None,
) -> list[PodGroup]:
    """The ends in groups, in order of appearance: pods of one workload, unless there are too many.

    `destinations` has the ports of each destination. UsageError for a Service, which cannot be drawn without
    a suite.
    """
    asked = set(sources)
    members: dict[tuple[object, ...], tuple[Ports, list[PodRef | External]]] = {}
    for end in dict.fromkeys((*sources, *destinations)):
        if isinstance(end, ServiceRef):
            raise UsageError(f"{end}: a graph of manifests shows pods; name the pods of the Service")
        ports = destinations.get(end, ())
        workload = workloads.get(end) if workloads is not None else None
        key = (evaluation.group_of(end).index, workload, ports, end in asked, end in destinations)
        members.setdefault(key, (ports, []))[1].append(end)
    if workloads is not None and len(members) > MOST_WORKLOADS:
        return pod_groups(evaluation, sources, destinations)
    return [
        PodGroup(tuple(ends), ports, ends[0] in asked, ends[0] in destinations)
        for ports, ends in members.values()
    ]


def end_info(cluster: Cluster, groups: Sequence[PodGroup]) -> EndInfo:
    """The members of each group and their workload, under the name of the first member."""
    members: dict[EndName, tuple[EndName, ...]] = {}
    workloads: dict[EndName, str] = {}
    for group in groups:
        first = EndName.of(group.members[0])
        members[first] = tuple(map(EndName.of, group.members))
        of_members = {cluster.pods[end].workload for end in group.members if isinstance(end, PodRef)}
        if len(of_members) == 1 and (workload := of_members.pop()):
            workloads[first] = workload.partition("/")[2]
    return EndInfo(members, workloads)


def cells_of_groups(groups: Sequence[PodGroup], evaluation: Evaluation, simulator: Simulator | None) -> Pairs:
    """A cell for each pair of groups and port, under the names of their first members.

    With a simulator, cells have reasons. The verdict of the first members is that of all; an exception, left
    to implementations, is a pod and a hostNetwork pod on the same node.
    """
    sides = SharedSides()

    def cell(flow: Flow, verdict: Verdict) -> GraphCell:
        kept = GraphCell(flow.port, flow.protocol, flow.family, simulated=verdict)
        if simulator is None:
            return replace(kept, note="could not tell") if verdict is Verdict.UNKNOWN else kept
        decision = simulator.decide(flow)
        return replace(kept, sides=sides.of(decision), note=decision.undefined or decision.reason)

    found: dict[tuple[EndName, EndName], Cells] = {}
    for source, destination in product(groups, groups):
        pair = _first_pair(source, destination)
        if not (source.is_source and destination.is_destination) or pair is None:
            continue
        cells = tuple(
            cell(Flow(*pair, port, protocol, one.family), one.verdict)
            for port, protocol in destination.ports
            for one in evaluation.pairs(port, protocol, sources=[pair[0]], destinations=[pair[1]])
        )
        if cells:
            found[EndName.of(source.members[0]), EndName.of(destination.members[0])] = cells
    return found


def _first_pair(
    source: PodGroup, destination: PodGroup
) -> tuple[PodRef | External, PodRef | External] | None:
    """Two different ends that represent all pairs; None if there is only one end, or both are outside."""
    one, other = source.members[0], destination.members[0]
    if isinstance(one, External) and isinstance(other, External):
        return None
    if source is not destination:
        return one, other
    return (one, source.members[1]) if len(source.members) > 1 else None


def by_namespace(groups: Sequence[PodGroup]) -> Namespaces:
    """The groups of each namespace, in order of appearance."""
    names: dict[object, EndName] = {}
    found: dict[EndName, list[PodGroup]] = defaultdict(list)
    for group in groups:
        first = EndName.of(group.members[0])
        found[names.setdefault(first.namespace or first, first)].append(group)
    return found


def namespace_info(namespaces: Namespaces) -> EndInfo:
    return EndInfo(
        {
            name: tuple(EndName.of(end) for group in groups for end in group.members)
            for name, groups in namespaces.items()
        }
    )


def cells_by_namespace(namespaces: Namespaces, evaluation: Evaluation) -> Pairs:
    """For each pair of namespaces and port: an allowed cell, a denied cell, or one of each.

    Cells have a family if the families differ. There are few different cells, however many pairs there are.
    """
    families = evaluation.end_families
    with_family = {family: evaluation.speaking(family) for family in families}
    sources = {
        name: {evaluation.group_of(group.members[0]).index for group in groups if group.is_source}
        for name, groups in namespaces.items()
    }
    found: dict[tuple[EndName, EndName], list[Cells]] = defaultdict(list)
    for (port, protocol), listeners in _listeners(namespaces, evaluation).items():
        tables = {family: evaluation.table(port, protocol, family) for family in families}
        targets = {name: [bits & with_family[f] for f in families] for name, bits in listeners.items()}
        known: dict[tuple[tuple[Verdict, ...], ...], Cells] = {}
        for source, indexes in sources.items():
            rows = [_reached(tables[f], indexes, with_family[f], evaluation) for f in families]
            for target, bits in targets.items():
                if source.namespace is None and target.namespace is None:
                    continue
                verdicts = tuple(_verdicts(*row, of) for row, of in zip(rows, bits, strict=True))
                if verdicts not in known:
                    known[verdicts] = tuple(_port_cells(port, protocol, families, verdicts))
                found[source, target].append(known[verdicts])
    whole: dict[tuple[int, ...], Cells] = {}
    return {
        pair: whole.setdefault(tuple(map(id, parts)), tuple(chain.from_iterable(parts)))
        for pair, parts in found.items()
    }


def _port_cells(
    port: int,
    protocol: Protocol,
    families: Sequence[Family | None],
    verdicts: Sequence[tuple[Verdict, ...]],
) -> Iterator[GraphCell]:
    """The cells of a port with these verdicts in each family."""
    if len(set(verdicts)) == 1:
        families, verdicts = (None,), verdicts[:1]
    for family, some in zip(families, verdicts, strict=True):
        for verdict in some:
            yield GraphCell(port, protocol, family, simulated=verdict)


def _listeners(
    namespaces: Namespaces, evaluation: Evaluation
) -> dict[tuple[int, Protocol], dict[EndName, int]]:
    """For each port: the namespaces that listen on it, with the simulator's groups that do, as bits."""
    listening: dict[tuple[int, Protocol], dict[EndName, list[int]]] = defaultdict(lambda: defaultdict(list))
    for name, groups in namespaces.items():
        for group in groups:
            for port in group.ports if group.is_destination else ():
                listening[port][name].append(evaluation.group_of(group.members[0]).index)
    size = len(evaluation.groups)
    return {
        port: {name: pack(indexes, size) for name, indexes in targets.items()}
        for port, targets in listening.items()
    }


def _reached(
    table: Table, sources: Iterable[int], with_family: int, evaluation: Evaluation
) -> tuple[int, int]:
    """The groups that some pod of the source groups reaches, and those that some pod does not, as bits.

    The only pod of a group forms no pair with its own group.
    """
    reached = missed = 0
    for group in sources:
        if with_family >> group & 1:
            row = table.reached(group)
            single = 1 << group if evaluation.groups[group].size == 1 else 0
            reached |= row & ~single
            missed |= ~row & ~single
    return reached, missed


def _verdicts(reached: int, missed: int, bits: int) -> tuple[Verdict, ...]:
    """The verdicts that occur among the pairs with the groups in `bits`."""
    return (Verdict.ALLOW,) * bool(reached & bits) + (Verdict.DENY,) * bool(missed & bits)
