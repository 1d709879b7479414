"""All flows of a question in a few bundles: whom each group of destinations lets in, and whom not.

Theory of operation. `netprobe.simulate` gives, for a port and a family, the groups that a group reaches as
bits. Turned by 90 degrees this says for each destination which groups reach it; destinations with the same
column are one class, and the sources of a class with one verdict are one bundle. There are as many bundles
as the policies make different columns, a few for each, however many pods there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netprobe.diff import Counts
from netprobe.model.flow import End, Family, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import Evaluation
from netprobe.simulate.bits import pack, unpack
from netprobe.survey.crowd import Crowd, Crowds
from netprobe.survey.question import Question

Cell = tuple[Family | None, Verdict]

LEFT_OUT = "pods on their node's network and ends outside are left out here: ask for them by --from and --to"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`flows` flows with one verdict, from each of `sources` to each of `destinations` but itself."""

    sources: Crowd
    destinations: Crowd
    port: int
    protocol: Protocol
    family: Family | None
    verdict: Verdict
    flows: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`left_out`: flows of the question that no bundle holds; see LEFT_OUT."""

    bundles: tuple[Bundle, ...]
    left_out: int

    @property
    def counts(self) -> Counts:
        unknown = sum(bundle.flows for bundle in self.bundles if bundle.verdict is Verdict.UNKNOWN)
        known = sum(bundle.flows for bundle in self.bundles) - unknown
        return Counts(as_expected=known, unknown=unknown, skipped=self.left_out)


def overview(question: Question, evaluation: Evaluation) -> Overview:
    """The bundles of a question, port by port. Pods to themselves are left out."""
    sources = _members(question.sources, evaluation)
    crowds = Crowds(evaluation, sources)
    by_port: dict[tuple[int, Protocol], list[End]] = defaultdict(list)
    for destination in question.destinations:
        for asked in question.ports_of(destination):
            by_port[asked].append(destination)
    bundles: list[Bundle] = []
    told = 0
    for (port, protocol), ends in by_port.items():
        destinations = _members(ends, evaluation)
        columns = _Columns(evaluation, port, protocol)
        bundles.extend(_bundles(columns, crowds, Crowds(evaluation, destinations)))
        told += sum(map(len, sources.values())) * sum(map(len, destinations.values()))
        told -= sum(_overlap(sources.get(g, ()), members) for g, members in destinations.items())
    return Overview(tuple(bundles), question.size - told)


def _members(ends: Sequence[End], evaluation: Evaluation) -> dict[int, list[PodRef]]:
    """Ordinary pods by their group; a group holds either those or others."""
    found: dict[int, list[PodRef]] = defaultdict(list)
    for end in ends:
        if isinstance(end, PodRef):
            group = evaluation.group_of(end)
            if group.sample.pod is not None:
                found[group.index].append(end)
    return found


def _overlap(one: Sequence[PodRef], other: Sequence[PodRef]) -> int:
    """How many pods are on both sides; most often the sides are equal."""
    return len(one) if one == other else len(set(one).intersection(other))


class _Columns:
    """For each destination group, the groups that reach it, on one port in each family."""

    def __init__(self, evaluation: Evaluation, port: int, protocol: Protocol) -> None:
        self.evaluation, self.port, self.protocol = evaluation, port, protocol
        self.size = len(evaluation.groups)
        self.families: tuple[Family | None, ...] = evaluation.families or (None,)
        self.speaking = {
            family: pack((g.index for g in evaluation.groups if g.speaks(family)), self.size)
            for family in self.families
        }
        self.reaching = {family: self._turned(family) for family in self.families}

    def cells(self, group: int) -> dict[Cell, int]:
        """The source groups by family and verdict, as bits. Family None where one row stands for both."""
        common = {f: bits if bits >> group & 1 else 0 for f, bits in self.speaking.items()}
        allowed = {f: common[f] & self.reaching[f][group] for f in self.families}
        found: dict[Cell, int] = {}
        alone = dict(common)
        if len(self.families) == 2:
            one, other = self.families
            both = common[one] & common[other]
            opened, closed = allowed[one] & allowed[other], both & ~(allowed[one] | allowed[other])
            found[None, Verdict.ALLOW], found[None, Verdict.DENY] = opened, closed
            alone = {f: bits & ~(opened | closed) for f, bits in common.items()}
        for family, bits in alone.items():
            found[family, Verdict.ALLOW] = bits & allowed[family]
            found[family, Verdict.DENY] = bits & ~allowed[family]
        reachable = 0
        for bits in common.values():
            reachable |= bits
        found[None, Verdict.UNKNOWN] = ((1 << self.size) - 1) & ~reachable
        return found

    def _turned(self, family: Family | None) -> list[int]:
        """The columns of the reach: a row that is mostly open is turned by what it leaves closed."""
        table = self.evaluation.table(self.port, self.protocol, family)
        everything = (1 << self.size) - 1
        alike: dict[int, list[int]] = defaultdict(list)
        for group in range(self.size):
            alike[table.reached(group)].append(group)
        opened, closed, base = [0] * self.size, [0] * self.size, 0
        for row, groups in alike.items():
            sources = pack(groups, self.size)
            mostly_open = row.bit_count() * 2 > self.size
            if mostly_open:
                base |= sources
            columns = closed if mostly_open else opened
            for destination in unpack(everything & ~row if mostly_open else row):
                columns[destination] |= sources
        return [base & ~no | yes for no, yes in zip(closed, opened, strict=True)]


def _bundles(columns: _Columns, sources: Crowds, destinations: Crowds) -> Iterator[Bundle]:
    classes: dict[tuple[tuple[Cell, int], ...], list[int]] = defaultdict(list)
    for group in destinations.members:
        cells = {cell: bits & sources.everybody for cell, bits in columns.cells(group).items()}
        classes[tuple((cell, bits) for cell, bits in cells.items() if bits)].append(group)
    for cells_of, groups in classes.items():
        to = destinations.crowd(pack(groups, columns.size))
        most = max((bits for _, bits in cells_of), key=sources.weights.total, default=0)
        for (family, verdict), bits in cells_of:
            flows = sources.weights.total(bits) * to.pods
            flows -= sum(
                _overlap(sources.members[g], destinations.members[g]) for g in groups if bits >> g & 1
            )
            if flows:
                crowd = sources.crowd(bits, rest=bits == most and len(cells_of) > 1)
                yield Bundle(crowd, to, columns.port, columns.protocol, family, verdict, flows)
