"""Whether policies do what is demanded, by the simulator.

The simulator evaluates the policies on the crowds of the declaration, so a row of bits of its table is
compared with what is demanded in one step, and flows are not checked one by one. Only the pairs of a pod
and its own node, which have their own rules, are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.generate.declared import Declared
from netprobe.generate.demand import Demand, PortNumber, TargetDemand
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, PodRef, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.simulate import Evaluation, Profile, Table, evaluate
from netprobe.simulate.bits import Weights, transposed, unpack


@dataclass(frozen=True, slots=True)
class Failure:
    """A pair of ends for which policies do not do what is declared on a port."""

    source: PodRef | External
    destination: PodRef | External
    port: PortNumber
    declared: Verdict


Pair = tuple[PodRef | External, PodRef | External]


def failures(demand: Demand, world: Cluster, profile: Profile) -> Iterator[Failure]:
    """What the policies of `world` do not do: one pair of ends for each pair of crowds."""
    proof = _Proof(demand, world, profile)
    for port, targets in demand.crowds.items():
        yield from proof.of_port(port, targets)


def flows(declared: Declared) -> int:
    """The number of declared flows."""
    weights = Weights([len(crowd) for crowd in declared.crowds])
    found = len(declared.itself)
    for column in declared.columns:
        size = len(declared.crowds[column.destination])
        for share in column.shares:
            itself = share.sources >> column.destination & 1
            found += size * (weights.total(share.sources) - itself)
    return found


class _Proof:
    def __init__(self, demand: Demand, world: Cluster, profile: Profile) -> None:
        space = demand.space
        crowds = [
            tuple(end for end in crowd if not isinstance(end, ServiceRef))
            for crowd in space.crowds[: space.size]
        ]
        hosts = tuple(space.hosts.values())
        whole = evaluate(world, profile, externals=hosts)
        for crowd in crowds:
            pods = [end for end in crowd if isinstance(end, PodRef)]
            if len({whole.group_of(pod).index for pod in pods}) > 1:
                raise AssertionError(f"the policies divide the crowd of {pods[0]}: the proof would be void")
        self._evaluation = Evaluation(world, profile, hosts, crowds)
        self._groups = self._evaluation.groups
        self._speaking = {each: self._evaluation.speaking(each) for each in self._evaluation.end_families}
        self._near = self._neighbours()

    def _neighbours(self) -> dict[tuple[int, int], list[Pair]]:
        """The pairs of a node and a pod that runs on it, in both directions, by their crowds."""
        found: dict[tuple[int, int], list[Pair]] = defaultdict(list)
        for node in (each for each in self._groups if each.sample.pod is None):
            for ref in self._evaluation.universe.pods_on(node.index):
                crowd = self._evaluation.group_of(ref).index
                for member in node.members if crowd != node.index else ():
                    found[node.index, crowd].append((member, ref))
                    found[crowd, node.index].append((ref, member))
        return found

    def of_port(self, port: PortNumber, targets: dict[int, TargetDemand]) -> Iterator[Failure]:
        size = len(self._groups)
        everybody = (1 << size) - 1
        allow = transposed({target: each.allow for target, each in targets.items()}, everybody, size)
        deny = transposed({target: each.deny for target, each in targets.items()}, everybody, size)
        decided = dict.fromkeys((*allow, *deny), 0)
        for family, speaking in self._speaking.items():
            table = self._evaluation.table(*port, family)
            for source in decided:
                if not speaking >> source & 1:
                    continue
                decided[source] |= speaking
                passes, reached = allow.get(source, 0), table.reached(source)
                wrong = ((passes & ~reached) | (deny.get(source, 0) & reached)) & speaking
                yield from self._far(source, wrong, passes, port)
            yield from self._of_neighbours(table, port, targets)
        for source, targets_met in decided.items():
            passes = allow.get(source, 0)
            yield from self._far(source, (passes | deny.get(source, 0)) & ~targets_met, passes, port)

    def _far(self, source: int, targets: int, passes: int, port: PortNumber) -> Iterator[Failure]:
        """For each target, one pair of different ends that are not a pod and its own node, if one exists."""
        for target in unpack(targets):
            near = set(self._near.get((source, target), ()))
            ones, others = self._groups[source].members, self._groups[target].members
            pairs: Iterator[Pair] = ((s, d) for s in ones for d in others if s != d and (s, d) not in near)
            if source == target and len(ones) == 1:
                pairs = iter([(ones[0], ones[0])])  # through a Service
            for pair in pairs:
                yield _failure(pair, port, passes >> target & 1)
                break

    def _of_neighbours(
        self, table: Table, port: PortNumber, targets: dict[int, TargetDemand]
    ) -> Iterator[Failure]:
        for (source, target), pairs in self._near.items():
            each = targets.get(target, TargetDemand())
            for passes in (1, 0):
                if (each.allow if passes else each.deny) >> source & 1:
                    for ends in pairs:
                        if (table.verdict(*ends) is Verdict.ALLOW) is not bool(passes):
                            yield _failure(ends, port, passes)


def _failure(ends: Pair, port: PortNumber, passes: int) -> Failure:
    return Failure(*ends, port, Verdict.ALLOW if passes else Verdict.DENY)
