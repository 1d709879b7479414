"""The matrix that an expectation declares for a cluster, flow by flow.

Rows go from coarse to fine, a later one overrides an earlier one. A row that names nothing, or of which
later rows leave nothing, is an error: a typing mistake must not pass as a green run.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.errors import InputError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, Protocol
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Verdict
from netprobe.suite.expectation import Expectation, Row
from netprobe.suite.naming import Naming, Somebody, overridden


def resolve(expectation: Expectation, cluster: Cluster) -> Matrix[Verdict]:
    """The declared matrix.

    First the flows of the default, if there is one: every ordered pair of different pods, and of a pod and
    an external host, on each port that the destination declares. Then those that only rows name, in the
    order of the rows. A flow has the only family that its ends have in common, and none where they have
    both, or no address is known. A pod's way to itself is declared only by a row that names it exactly at
    both ends.

    Raises InputError for rows that match nothing or that later ones wholly override.
    """
    return _Resolver(expectation, cluster).matrix()


class _Resolver:
    def __init__(self, expectation: Expectation, cluster: Cluster) -> None:
        self.expectation = expectation
        self.naming = Naming(expectation, cluster)

    def matrix(self) -> Matrix[Verdict]:
        cells: dict[Flow, Verdict] = {}
        winner: dict[Flow, int] = {}
        rows = self.expectation.rows
        if self.expectation.default is not None:
            cells = dict.fromkeys(self._all_flows(), self.expectation.default)
        per_row: list[list[Flow]] = []
        for index, row in enumerate(rows):
            flows = list(dict.fromkeys(self._row(row)))
            per_row.append(flows)
            for flow in flows:
                cells[flow] = row.verdict
                winner[flow] = index
        effective = set(winner.values())
        problems = self.naming.problems
        for index, (row, flows) in enumerate(zip(rows, per_row, strict=True)):
            if flows and index not in effective:
                problems.append(overridden(row, (rows[n] for n in sorted({winner[flow] for flow in flows}))))
        if problems:
            raise InputError(problems)
        return Matrix(cells)

    def _all_flows(self) -> Iterator[Flow]:
        everybody: list[Somebody] = [*self.naming.cluster.pods, *self.naming.externals]
        for source in everybody:
            for destination in everybody:
                for port in self.naming.declared(destination):
                    if flow := self._flow(source, destination, port.number, port.protocol):
                        yield flow

    def _row(self, row: Row) -> Iterator[Flow]:
        sources = self.naming.ends(row, "from", row.source)
        destinations = self.naming.ends(row, "to", row.destination)
        if not sources or not destinations:
            return
        exact = self.naming.is_exact(row, sources)
        found = False
        for source in sources:
            for destination in destinations:
                for number, protocol in self.naming.ports(row, destination):
                    flow = self._flow(source, destination, number, protocol, to_itself=exact)
                    if flow is not None:
                        found = True
                        yield flow
        if not found:
            self.naming.problems.append(self.naming.nothing(row, sources, destinations))

    def _flow(
        self,
        source: Somebody,
        destination: Somebody,
        port: int,
        protocol: Protocol,
        *,
        to_itself: bool = False,
    ) -> Flow | None:
        if source == destination and not to_itself:
            return None
        if isinstance(source, External) and isinstance(destination, External):
            return None
        return self.naming.flow(source, destination, port, protocol)
