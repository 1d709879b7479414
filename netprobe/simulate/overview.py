"""All flows of a question in a few groups: who reaches each set of destinations, and who does not.

Theory of operation. A table says for a port and a family which groups a group reaches, as bits. Transposed,
it says for each destination which groups reach it. Destinations with the same column are one
class, and the sources of a class with one verdict are one bundle. There are as many bundles as the policies
make different columns, a few for each, however many pods there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from netprobe.model.flow import End, Family, PodRef, Protocol
from netprobe.model.policy import Unsimulated
from netprobe.model.verdict import Verdict
from netprobe.simulate.bits import Weights, pack, transposed, unpack
from netprobe.simulate.chosen import ChosenPairs
from netprobe.simulate.matrix import Evaluation
from netprobe.simulate.question import Question
from netprobe.simulate.table import Table

MOST_NAMED = 3  # namespaces


class Cell(NamedTuple):
    """What tells the flows of a bundle apart from others to the same destinations.

    Family None if one row stands for both. `undefined`: the APIs leave the verdict to the implementation.
    """

    family: Family | None
    verdict: Verdict
    undefined: bool = False


Members = Mapping[int, Sequence[PodRef]]
"""Pods by the index of their group."""

LEFT_OUT = "pods on their node's network and ends outside are left out here: select them with --from and --to"


@dataclass(frozen=True, slots=True)
class PodSet:
    """Some pods: the first one, their number, and the namespaces whose pods they all are, if any.

    `rest`: they are all except those of the other sets that it is listed with.
    """

    first: PodRef
    pods: int
    namespaces: tuple[str, ...] = ()
    everybody: bool = False
    rest: bool = False

    def __str__(self) -> str:
        """ "all 40 pods", "shop/* (12 pods)", "a/*, b/*, c/* and 5 more (90 pods)", "shop/cart +3".

        The rest of all pods is "all others (37 pods)".
        """
        if self.pods == 1:
            return str(self.first)
        if self.everybody:
            return f"all {self.pods:,} pods"
        if self.namespaces:
            named = ", ".join(f"{name}/*" for name in self.namespaces[:MOST_NAMED])
            more = len(self.namespaces) - MOST_NAMED
            return f"{named}{f' and {more} more' if more > 0 else ''} ({self.pods:,} pods)"
        if self.rest:
            return f"all others ({self.pods:,} pods)"
        return f"{self.first} +{self.pods - 1:,}"


@dataclass(frozen=True, slots=True)
class FlowBundle:
    """`flows` flows with one verdict, from each of `sources` to each of `destinations` except itself.

    `undefined`: the APIs leave the verdict to the implementation. `qualified_by`: objects that may decide
    some of the flows too and are not evaluated.
    """

    sources: PodSet
    destinations: PodSet
    port: int
    protocol: Protocol
    family: Family | None
    verdict: Verdict
    flows: int
    undefined: bool = False
    qualified_by: tuple[Unsimulated, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """`left_out`: flows of the question that are in no bundle; see LEFT_OUT."""

    bundles: tuple[FlowBundle, ...]
    left_out: int


def overview(question: Question, evaluation: Evaluation) -> Overview:
    """The bundles of a question, port by port, without the flows of pods to themselves."""
    sources = _members(question.sources, evaluation)
    from_sets = _PodSets(evaluation, sources)
    by_port: dict[tuple[int, Protocol], list[End]] = defaultdict(list)
    for destination in question.destinations:
        for asked in question.ports_of(destination):
            by_port[asked].append(destination)
    chosen = ChosenPairs(evaluation)
    bundles: list[FlowBundle] = []
    covered = 0
    for (port, protocol), ends in by_port.items():
        destinations = _members(ends, evaluation)
        columns = _Columns(evaluation, chosen, port, protocol)
        bundles.extend(_bundles(columns, from_sets, _PodSets(evaluation, destinations)))
        covered += sum(map(len, sources.values())) * sum(map(len, destinations.values()))
        covered -= sum(_overlap(sources.get(g, ()), members) for g, members in destinations.items())
    return Overview(tuple(bundles), question.size - covered)


def _members(ends: Sequence[End], evaluation: Evaluation) -> Members:
    """Pods with their own address, by their group."""
    found: dict[int, list[PodRef]] = defaultdict(list)
    for end in ends:
        if isinstance(end, PodRef) and end not in evaluation.cluster.finished:
            group = evaluation.group_of(end)
            if group.sample.pod is not None:
                found[group.index].append(end)
    return found


def _overlap(one: Sequence[PodRef], other: Sequence[PodRef]) -> int:
    """How many pods are on both sides; most often the sides are equal."""
    return len(one) if one == other else len(set(one).intersection(other))


class _PodSets:
    """The pod sets that can be made of some members of an evaluation's groups. Sets of groups are bits."""

    def __init__(self, evaluation: Evaluation, members: Members) -> None:
        groups = evaluation.groups
        self.members = members
        self.everybody = pack(members, len(groups))
        self.weights = Weights([len(members.get(group.index, ())) for group in groups])
        self._whole: Counter[str] = Counter()  # pods of a namespace, members or not
        in_namespace: dict[str, list[int]] = defaultdict(list)
        for group in groups:
            if group.sample.pod is not None:
                namespace = group.sample.pod.ref.namespace
                self._whole[namespace] += group.size
                in_namespace[namespace].append(group.index)
        self._namespaces = {name: pack(indexes, len(groups)) for name, indexes in in_namespace.items()}
        self._made: dict[int, PodSet] = {}

    def inside(self, bits: int, namespace: str) -> bool:
        """Whether some of these groups are in a namespace."""
        return bool(bits & self._namespaces.get(namespace, 0))

    def of(self, bits: int, *, rest: bool = False) -> PodSet:
        """The pods of a set of groups, which is not empty."""
        made = self._made.get(bits)
        if made is None:
            made = self._made[bits] = self._make(bits)
        return replace(made, rest=True) if rest else made

    def _make(self, bits: int) -> PodSet:
        first = self.members[next(unpack(bits))][0]
        pods = self.weights.total(bits)
        everybody = pods == self._whole.total()
        whole: list[str] = []
        for name, own in self._namespaces.items():
            inside = self.weights.total(bits & own)
            if inside == self._whole[name]:
                whole.append(name)
            elif inside:
                return PodSet(first, pods)
        return PodSet(first, pods, tuple(whole), everybody)


class _Columns:
    """For each destination group, the groups that reach it, on one port in each family."""

    def __init__(self, evaluation: Evaluation, chosen: ChosenPairs, port: int, protocol: Protocol) -> None:
        self.port, self.protocol = port, protocol
        self.size = len(evaluation.groups)
        self.unsimulated = evaluation.cluster.unsimulated
        self.families: tuple[Family | None, ...] = evaluation.families or (None,)
        self.speaking = {family: evaluation.speaking(family) for family in self.families}
        self.everything = evaluation.universe.everything
        tables = {family: evaluation.table(port, protocol, family) for family in self.families}

        def turned(row: Callable[[Table, int], int]) -> dict[Family | None, dict[int, int]]:
            """For each destination group the groups whose rows have it."""
            return {
                family: transposed(
                    {group: row(table, group) for group in range(self.size)}, self.everything, self.size
                )
                for family, table in tables.items()
            }

        self.reaching, self.undecided = turned(Table.reached), turned(Table.undecided)
        self.undefined = turned(Table.undefined_groups)
        for family, by_destination in self.undecided.items():
            for group, sources in chosen.sources(port, protocol, family).items():
                by_destination[group] |= sources

    def cells(self, group: int) -> dict[Cell, int]:
        """The source groups by family, verdict and who decides it, as bits."""
        common = {f: bits if bits >> group & 1 else 0 for f, bits in self.speaking.items()}
        unknown = {f: common[f] & self.undecided[f][group] for f in self.families}
        allowed = {f: common[f] & self.reaching[f][group] & ~unknown[f] for f in self.families}
        denied = {f: common[f] & ~(allowed[f] | unknown[f]) for f in self.families}
        undefined = {f: self.undefined[f][group] for f in self.families}
        found: dict[Cell, int] = defaultdict(int)

        def add(family: Family | None, verdict: Verdict, bits: int, undefined: int) -> None:
            found[Cell(family, verdict)] |= bits & ~undefined
            found[Cell(family, verdict, undefined=True)] |= bits & undefined

        alike = 0
        verdicts = {Verdict.ALLOW: allowed, Verdict.DENY: denied, Verdict.UNKNOWN: unknown}
        for verdict, bits in verdicts.items() if len(self.families) == 2 else ():
            one, other = bits.values()
            add(None, verdict, one & other, undefined[self.families[0]])
            alike |= one & other
        for family in self.families:
            for verdict, bits in verdicts.items():
                add(family, verdict, bits[family] & ~alike, undefined[family])
        reachable = 0
        for known in common.values():
            reachable |= known
        found[Cell(None, Verdict.UNKNOWN)] |= self.everything & ~reachable
        return found

    def qualifying(
        self, sources: _PodSets, source_bits: int, destinations: _PodSets, bits: int
    ) -> tuple[Unsimulated, ...]:
        """The objects that may decide some of these flows too; those about nodes concern none of them."""
        return tuple(
            each
            for each in self.unsimulated
            if not each.hosts
            and (
                not (name := each.ref.namespace)
                or sources.inside(source_bits, name)
                or destinations.inside(bits, name)
            )
        )


def _bundles(columns: _Columns, sources: _PodSets, destinations: _PodSets) -> Iterator[FlowBundle]:
    classes: dict[tuple[tuple[Cell, int], ...], list[int]] = defaultdict(list)
    for group in destinations.members:
        cells = {cell: bits & sources.everybody for cell, bits in columns.cells(group).items()}
        classes[tuple((cell, bits) for cell, bits in cells.items() if bits)].append(group)
    for cells_of, groups in classes.items():
        to_bits = pack(groups, columns.size)
        to = destinations.of(to_bits)
        most = max((bits for _, bits in cells_of), key=sources.weights.total, default=None)
        for (family, verdict, undefined), bits in cells_of:
            flows = sources.weights.total(bits) * to.pods
            flows -= sum(
                _overlap(sources.members[g], destinations.members[g]) for g in groups if bits >> g & 1
            )
            if flows:
                whole = sources.of(bits, rest=bits == most and len(cells_of) > 1)
                yield FlowBundle(
                    whole,
                    to,
                    columns.port,
                    columns.protocol,
                    family,
                    verdict,
                    flows,
                    undefined,
                    columns.qualifying(sources, bits, destinations, to_bits),
                )
