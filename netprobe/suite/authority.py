"""By what a suite declares a flow: a row that names both ends, one with a pattern, or the default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.suite.expectation import Expectation, Row
from netprobe.suite.resolve import resolve


@dataclass(slots=True)
class Authority:
    """Asked for a flow, says "row", "pattern" (a row with `*` or labels), "default", or None: by nothing.

    Worked out when it is first asked.
    """

    expectation: Expectation
    cluster: Cluster
    _known: tuple[frozenset[Flow], frozenset[Flow]] | None = field(default=None, init=False)

    def __call__(self, flow: Flow) -> str | None:
        exactly, by_row = self.rows()
        # A row of a family of its own stands below one that was declared for both.
        wide = Flow(flow.source, flow.destination, flow.port, flow.protocol, via=flow.via)
        if flow in exactly or wide in exactly:
            return "row"
        if flow in by_row or wide in by_row:
            return "pattern"
        return "default" if self.expectation.default is not None else None

    def rows(self) -> tuple[frozenset[Flow], frozenset[Flow]]:
        """The flows of rows that name both ends, and those of any row."""
        if self._known is None:
            self._known = self._resolved()
        return self._known

    def _resolved(self) -> tuple[frozenset[Flow], frozenset[Flow]]:
        alone = replace(self.expectation, default=None)
        exact = tuple(row for row in alone.rows if _names_both_ends(row))
        return (
            frozenset(resolve(replace(alone, rows=exact), self.cluster)),
            frozenset(resolve(alone, self.cluster)),
        )


def _names_both_ends(row: Row) -> bool:
    return not any(set(end.text) & set("*?=") for end in (*row.source, *row.destination))
