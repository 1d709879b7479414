"""What differs between two reports: flows, and the policies behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netprobe.model.verdict import Verdict
from netprobe.report.saved import SavedFlow, SavedReport

TABLES = ("declared", "simulated", "observed")


@dataclass(frozen=True, slots=True)
class FlowChange:
    """A flow before and after. `policies`: those behind it that were "changed", "added" or "removed"."""

    before: SavedFlow
    after: SavedFlow
    policies: Mapping[str, str]

    @property
    def tables(self) -> dict[str, tuple[Verdict | None, Verdict | None]]:
        """The verdicts that differ, by the name of their table."""
        pairs = {name: (getattr(self.before, name), getattr(self.after, name)) for name in TABLES}
        return {name: pair for name, pair in pairs.items() if pair[0] is not pair[1]}

    @property
    def broke(self) -> bool:
        """Whether it was as expected and is not any more."""
        return self.before.status == "as_expected" and self.after.status in {"mismatch", "unknown"}


@dataclass(frozen=True, slots=True)
class ReportDiff:
    """`policies`: all that differ. `appeared`, `disappeared`: flows of one report only."""

    flows: tuple[FlowChange, ...]
    policies: Mapping[str, str]
    appeared: tuple[SavedFlow, ...] = ()
    disappeared: tuple[SavedFlow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.flows or self.appeared or self.disappeared)


def difference(before: SavedReport, after: SavedReport) -> ReportDiff:
    """Flows whose verdicts or status differ, in the order of the second report."""
    policies = dict(_policies(before, after))
    old, new = {one.key: one for one in before.flows}, {one.key: one for one in after.flows}
    changes = tuple(
        FlowChange(
            old[key], flow, {name: how for name, how in policies.items() if name in _behind(old[key], flow)}
        )
        for key, flow in new.items()
        if key in old and old[key].outcome_key != flow.outcome_key
    )
    return ReportDiff(
        changes,
        policies,
        tuple(flow for key, flow in new.items() if key not in old),
        tuple(flow for key, flow in old.items() if key not in new),
    )


def _policies(before: SavedReport, after: SavedReport) -> Iterator[tuple[str, str]]:
    old, new = ({(one.kind, one.name): one.digest for one in report.policies} for report in (before, after))
    for kind, name in dict.fromkeys((*old, *new)):
        if (kind, name) not in new:
            yield f"{kind} {name}", "removed"
        elif (kind, name) not in old:
            yield f"{kind} {name}", "added"
        elif old[kind, name] != new[kind, name]:
            yield f"{kind} {name}", "changed"


def _behind(*flows: SavedFlow) -> set[str]:
    return {f"{cause.kind} {cause.policy}" for flow in flows for cause in flow.because}
