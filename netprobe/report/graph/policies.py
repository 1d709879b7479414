"""The cells of a cluster without a suite: pods that no policy can tell apart stand for each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.report.graph.build import Ends
from netprobe.report.graph.cells import Citing
from netprobe.report.graph.record import Cell, Party
from netprobe.simulate import Evaluation, Simulator

Asked = tuple[tuple[int, Protocol], ...]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Pods of one group of the simulator, with the same ports, on the same side of the question."""

    members: tuple[PodRef | External, ...]
    ports: Asked
    speaks: bool  # among the sources
    answers: bool  # among the destinations


def crowds(
    evaluation: Evaluation, sources: tuple[End, ...], destinations: Mapping[End, Asked]
) -> list[Crowd]:
    """The ends of a question that neither policies nor the question tell apart, in order of appearance.

    `destinations` has the ports that each is asked on. UsageError for a Service, which is no end here.
    """
    asking = set(sources)
    found: dict[tuple[int, Asked, bool, bool], list[PodRef | External]] = defaultdict(list)
    for end in dict.fromkeys((*sources, *destinations)):
        if isinstance(end, ServiceRef):
            raise UsageError(f"{end}: a graph of manifests is drawn between pods; name those behind it")
        ports = destinations.get(end, ())
        key = (evaluation.group_of(end).index, ports, end in asking, end in destinations)
        found[key].append(end)
    return [
        Crowd(tuple(members), ports, speaks, answers)
        for (_, ports, speaks, answers), members in found.items()
    ]


def ends_of(cluster: Cluster, found: list[Crowd]) -> Ends:
    """Who stands behind the first of each crowd."""
    members: dict[Party, tuple[Party, ...]] = {}
    workloads: dict[Party, str] = {}
    for crowd in found:
        party = Party.of(crowd.members[0])
        members[party] = tuple(map(Party.of, crowd.members))
        kinds = {cluster.pods[end].workload for end in crowd.members if isinstance(end, PodRef)}
        if len(kinds) == 1 and (workload := kinds.pop()):
            workloads[party] = workload.partition("/")[2]
    return Ends(members, workloads)


def of_policies(
    found: list[Crowd], evaluation: Evaluation, decide: Simulator | None, citing: Citing
) -> Iterator[Cell]:
    """A cell for each pair of crowds and port, in the names of their first; with `decide` it says why.

    The first members' verdict is that of all; only between a pod and what is on its own node's network can it
    be another, and that is what implementations decide.
    """
    for source in found:
        if not source.speaks:
            continue
        for destination in found:
            if destination.answers and (ends := _pair(source, destination)) is not None:
                names = Party.of(source.members[0]), Party.of(destination.members[0])
                for asked in destination.ports:
                    for cell in _cells(ends, asked, evaluation, decide, citing):
                        yield replace(cell, source=names[0], destination=names[1])


def _pair(source: Crowd, destination: Crowd) -> tuple[PodRef | External, PodRef | External] | None:
    """Two different ends that stand for all pairs, not both outside."""
    one, other = source.members[0], destination.members[0]
    if isinstance(one, External) and isinstance(other, External):
        return None
    if source is not destination:
        return one, other
    return (one, source.members[1]) if len(source.members) > 1 else None


def _cells(
    ends: tuple[PodRef | External, PodRef | External],
    asked: tuple[int, Protocol],
    evaluation: Evaluation,
    decide: Simulator | None,
    citing: Citing,
) -> Iterator[Cell]:
    (one, other), (port, protocol) = ends, asked
    source, target = Party.of(one), Party.of(other)
    for pair in evaluation.pairs(port, protocol, sources=[one], destinations=[other]):
        why = note = None
        if decide is not None:
            decision = decide.decide(Flow(one, other, port, protocol, pair.family))
            why, note = citing.why(decision), decision.undefined or decision.reason
        elif pair.verdict is Verdict.UNKNOWN:
            note = "could not tell"
        yield Cell(source, target, port, protocol, pair.family, simulated=pair.verdict, why=why, note=note)
