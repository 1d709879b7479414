"""All pairs of a cluster at once.

Theory of operation. Pods that the policies cannot tell apart form a group (`vocabulary`, `groups`), and a
group is a bit position (`universe`). A selector, a block or a named port is then a set of groups: one big
integer. For a port and a family, what a policy opens is the union of some such sets, and what a group may
reach or be reached by is the union over the policies that select it: one row of bits a combination of
policies (`table`). A pair is two bits. No work is done for each pair, except for pairs that are read.

Cost. P pods, G <= P groups, N policies with R rules in all, C distinct combinations of policies, K ports:
O(P) to form the groups, O((N + R + C) * G / 64 * K) for the tables, O(1) a look-up, O(G * G / 64) for
counts; memory C * G / 8 bytes a table. Pods with the same labels cost nothing beyond the first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, Protocol
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate.applying import Applying
from netprobe.simulate.bits import pack, uncollected
from netprobe.simulate.endpoint import Directory, common_families
from netprobe.simulate.groups import EndGroup, Member, given, group
from netprobe.simulate.profile import CALICO, Profile
from netprobe.simulate.table import Context, Table
from netprobe.simulate.tiers import in_order
from netprobe.simulate.universe import Universe
from netprobe.simulate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Pair:
    """The verdict on one ordered pair of ends.

    `family` is None for both families, or for ends without an address; a pair whose families differ comes
    twice. `undefined`: `Simulator.decide` says what the implementation decides.
    """

    source: Member
    destination: Member
    port: int
    protocol: Protocol
    family: Family | None
    verdict: Verdict
    undefined: bool = False


class Evaluation:
    """The policies of a cluster worked out for all pairs of its pods, and of addresses outside.

    Tables are made on first use, and kept.
    """

    def __init__(
        self,
        cluster: Cluster,
        profile: Profile = CALICO,
        externals: Iterable[External] = (),
        parts: Iterable[tuple[Member, ...]] | None = None,
    ) -> None:
        """`parts`: form groups of exactly these members, which no policy may tell apart (`groups.given`)."""
        with uncollected():
            self._prepare(Directory(cluster), profile, externals, parts)

    def _prepare(
        self,
        directory: Directory,
        profile: Profile,
        externals: Iterable[External],
        parts: Iterable[tuple[Member, ...]] | None,
    ) -> None:
        self.cluster = cluster = directory.cluster
        vocabulary = Vocabulary(cluster)
        if parts is None:
            self.groups, self._places = group(directory, vocabulary, profile, externals)
        else:
            self.groups, self._places = given(directory, vocabulary, parts)
        self.universe = Universe(self.groups, directory, profile)
        order = in_order(cluster, profile)
        self.applying = {way: Applying(way, cluster, self.universe, order) for way in Direction}
        self._context = Context(self.universe, self._places, self.applying)
        self._tables: dict[tuple[int, Protocol, Family | None], Table] = {}
        self._kinds: list[int] = []
        kinds: dict[frozenset[Family], int] = {}
        for each in self.groups:
            self._kinds.append(kinds.setdefault(frozenset(each.sample.addresses), len(kinds)))
        self._common: dict[tuple[int, int], tuple[Family | None, ...]] = {}

    @property
    def ends(self) -> tuple[Member, ...]:
        """Every end that can be asked about: pods in the order of the cluster, then addresses outside."""
        return tuple(self._places.groups)

    def group_of(self, end: Member) -> EndGroup:
        return self.groups[self._place(end)]

    def table(self, port: int, protocol: Protocol = Protocol.TCP, family: Family | None = None) -> Table:
        """The verdicts for one port in one family, which may be omitted if pods have only one."""
        if family is None and len(self.families) > 1:
            raise UsageError("the pods have addresses of both families: specify one")
        return self._exact(port, protocol, family or next(iter(self.families), None))

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The families in which some pod has an address."""
        found = {family for each in self.groups if not each.external for family in each.sample.addresses}
        return tuple(sorted(found))

    @cached_property
    def end_families(self) -> tuple[Family | None, ...]:
        """The families of all ends; (None,) if no end has an address. Such ends count for every family."""
        return tuple(sorted({family for each in self.groups for family in each.sample.addresses})) or (None,)

    def speaking(self, family: Family | None) -> int:
        """The groups that have a family, as bits."""
        return pack((each.index for each in self.groups if each.has_family(family)), len(self.groups))

    def verdict(
        self,
        source: Member,
        destination: Member,
        port: int,
        protocol: Protocol = Protocol.TCP,
        family: Family | None = None,
    ) -> Verdict:
        """The verdict on one pair, as `Simulator.decide` gives it; UsageError for unknown ends."""
        common = self._families(self._place(source), self._place(destination))
        if family is not None:
            common = (family,) if family in common or common == (None,) else ()
        verdicts = {self._exact(port, protocol, one).verdict(source, destination) for one in common}
        return verdicts.pop() if len(verdicts) == 1 else Verdict.UNKNOWN

    def pairs(
        self,
        port: int,
        protocol: Protocol = Protocol.TCP,
        *,
        sources: Iterable[Member] | None = None,
        destinations: Iterable[Member] | None = None,
        include_self: bool = False,
    ) -> Iterator[Pair]:
        """Every ordered pair of different ends, one by one, in the order of the ends given."""
        ends = self.ends if destinations is None else tuple(destinations)
        for source in self.ends if sources is None else sources:
            outside = self.group_of(source).external
            for destination in ends:
                if outside and self.group_of(destination).external:
                    continue
                if source == destination and not include_self:
                    continue
                yield from self._split(source, destination, port, protocol)

    def _split(self, source: Member, destination: Member, port: int, protocol: Protocol) -> Iterator[Pair]:
        families = self._families(self._place(source), self._place(destination))
        if not families:
            yield Pair(source, destination, port, protocol, None, Verdict.UNKNOWN)
            return
        tables = [self._exact(port, protocol, family) for family in families]
        verdicts = [table.verdict(source, destination) for table in tables]
        if len(set(verdicts)) == 1:
            families = families if len(families) == 1 else (None,)
        for family, table, verdict in zip(families, tables, verdicts, strict=False):
            undefined = table.undefined(source, destination)
            yield Pair(source, destination, port, protocol, family, verdict, undefined)

    def _families(self, one: int, other: int) -> tuple[Family | None, ...]:
        kinds = (self._kinds[one], self._kinds[other])
        if kinds not in self._common:
            self._common[kinds] = common_families(self.groups[one].sample, self.groups[other].sample)
        return self._common[kinds]

    def _exact(self, port: int, protocol: Protocol, family: Family | None) -> Table:
        """The table for a family that two ends have in common, None for ends without addresses."""
        key = (port, protocol, family)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = Table(self._context, *key)
        return table

    def _place(self, end: Member) -> int:
        place = self._places.groups.get(end)
        if place is None:
            raise UsageError(f"{end} is neither a pod of the cluster nor an external of this evaluation")
        return place


def evaluate(
    cluster: Cluster, profile: Profile = CALICO, *, externals: Iterable[External] = ()
) -> Evaluation:
    """Work out all pairs of a cluster, with some addresses outside as further ends.

    Services are not among the ends: a flow to one is a flow to its backends, see `Simulator.decide`.
    """
    return Evaluation(cluster, profile, externals)


def evaluate_both(
    before: Cluster,
    after: Cluster,
    profile: Profile = CALICO,
    *,
    externals: Iterable[External] = (),
    apart: Callable[[Member], Hashable],
) -> tuple[Evaluation, Evaluation]:
    """Two states of a cluster, with the same pods and namespaces, evaluated on the same groups.

    Ends are in one group if no policy of either state tells them apart and `apart` gives the same for them.
    So the rows of bits of the two evaluations can be compared.
    """
    outside = tuple(externals)
    with uncollected():
        clusters = (before, after)
        old, new = (group(Directory(one), Vocabulary(one), profile, outside)[1].groups for one in clusters)
        parts: dict[tuple[int, int, Hashable], list[Member]] = {}
        for end, index in new.items():
            parts.setdefault((index, old[end], apart(end)), []).append(end)
        ordered = list(map(tuple, sorted(parts.values(), key=lambda members: new[members[0]])))
    return Evaluation(before, profile, outside, ordered), Evaluation(after, profile, outside, ordered)
