"""Results of cases. Ends and policies have the relative names of world.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from netprobe.conformance.case import Case
from netprobe.diff import FlowStatus, Row
from netprobe.model.flow import Flow
from netprobe.model.policy import Policy
from netprobe.model.verdict import Verdict

MOST_TRIES: Final = 5


class CaseStatus(Enum):
    """How a case ended; the value is the word in reports."""

    PASSED = "passed"
    FAILED = "failed"
    FLAKY = "flaky"  # two tries gave different answers after the change was in force
    UNKNOWN = "unknown"  # could not tell
    UNSCORED = "implementation_defined"
    SKIPPED = "skipped"
    UNTRIED = "not_tried"  # the run ended before the case was finished


class Triage(Enum):
    """How a result relates to what is known about this cluster."""

    EXPECTED = "expected"  # fails and is in the file of expected failures
    EXPIRED = "expired"  # fails, and its entry in that file has expired
    FIXED = "fixed"  # passes although it is in that file
    BEFORE = "before"  # already failed in the baseline


@dataclass(frozen=True, slots=True)
class StepResult:
    """The comparison after one change.

    `rows` are from the last try. `attempts` has the verdicts of all tries, in order, for each flow that was
    not as expected in any of them. `policies` are those in force. `problem` says why the rows may be older
    than the change.
    """

    rows: tuple[Row, ...]
    attempts: Mapping[Flow, tuple[Verdict, ...]] = field(default_factory=dict)
    converged_s: float | None = None
    policies: tuple[Policy, ...] = ()
    problem: str | None = None

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The flows in which the cluster (not only the simulator) differs from the declaration."""
        return tuple(
            row for row in self.rows if row.status is FlowStatus.MISMATCH and row.observed is not None
        )

    @property
    def unknown(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.status is FlowStatus.UNKNOWN)

    @property
    def flaky(self) -> bool:
        """Whether two tries gave different answers. UNKNOWN is not an answer."""
        return any(len({*verdicts} - {Verdict.UNKNOWN}) > 1 for verdicts in self.attempts.values())

    @property
    def status(self) -> CaseStatus:
        if self.flaky:
            return CaseStatus.FLAKY
        if self.wrong:
            return CaseStatus.FAILED
        return CaseStatus.UNKNOWN if self.unknown or self.problem else CaseStatus.PASSED


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case.

    `reason` says why it was skipped, not tried or not scored, or why it is unknown. `remark` is the reason
    in the file of expected failures.
    """

    case: Case
    status: CaseStatus
    steps: tuple[StepResult, ...] = ()
    reason: str | None = None
    seconds: float = 0.0
    standing: Triage | None = None
    remark: str | None = None

    @property
    def converged_s(self) -> float | None:
        """Convergence of the slowest step."""
        return max((m.converged_s for m in self.steps if m.converged_s is not None), default=None)

    @property
    def cells(self) -> int:
        return sum(len(step.rows) for step in self.steps)

    @property
    def counts_against(self) -> bool:
        """Whether it makes the run fail: an unexpected failure."""
        return self.status is CaseStatus.FAILED and self.standing not in {Triage.EXPECTED, Triage.BEFORE}


@dataclass(frozen=True, slots=True)
class Results:
    """All cases of a run, in the order of the cases. `problems` are sentences about the whole run.

    `shard`: (index from 0, number of shards) if only a part of the cases ran. `interrupted`: by a signal.
    """

    results: tuple[CaseResult, ...]
    enforcement: str | None = None
    problems: tuple[str, ...] = ()
    fixtures: int = 1
    shard: tuple[int, int] | None = None
    interrupted: bool = False

    @property
    def counts(self) -> Counter[CaseStatus]:
        return Counter(result.status for result in self.results)

    def features(self) -> Mapping[str, tuple[CaseResult, ...]]:
        """The results by feature, in the order in which the features first appear."""
        found: dict[str, list[CaseResult]] = {}
        for result in self.results:
            found.setdefault(result.case.feature, []).append(result)
        return {feature: tuple(results) for feature, results in found.items()}

    def of(self, *statuses: CaseStatus) -> Iterator[CaseResult]:
        return (result for result in self.results if result.status in statuses)

    @property
    def exit_status(self) -> int:
        """130 interrupted, 3 ended early, 1 unexpected failures, 3 unknown or flaky cases, otherwise 0."""
        if self.interrupted:
            return 130
        if self.counts[CaseStatus.UNTRIED]:
            return 3
        if any(result.counts_against for result in self.results):
            return 1
        unclear = any(result.standing is None for result in self.of(CaseStatus.FLAKY, CaseStatus.UNKNOWN))
        return 3 if unclear or self.problems else 0


def overall(
    case: Case, moments: tuple[StepResult, ...], unscored: str | None
) -> tuple[CaseStatus, str | None]:
    """The status of a case, and its reason if the status needs one."""
    statuses = {step.status for step in moments}
    worst = next(
        s
        for s in (CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN, CaseStatus.PASSED)
        if s in statuses
    )
    if unscored is not None:
        return CaseStatus.UNSCORED, unscored
    if worst is not CaseStatus.UNKNOWN:
        return worst, None
    reason = next((step.problem or step.unknown[0].reason for step in moments if step.status is worst), None)
    return worst, reason or f"{case.name}: no reason is known"


def _unexpected(rows: Iterable[Row]) -> dict[Flow, Verdict | None]:
    return {row.flow: row.observed for row in rows if row.status in {FlowStatus.MISMATCH, FlowStatus.UNKNOWN}}


def is_settled(tries: Sequence[tuple[Row, ...]]) -> bool:
    """Whether a case needs no further try: it is as expected, two tries agree, or MOST_TRIES is reached.

    After a try that was not as expected, a good one must be seen twice too.
    """
    if len(tries) == 1:
        return not _unexpected(tries[0])
    first, second = ({row.flow: row.observed for row in rows} for rows in tries[-2:])
    return first == second or len(tries) >= MOST_TRIES


def attempts(tries: Sequence[tuple[Row, ...]]) -> dict[Flow, tuple[Verdict, ...]]:
    """The verdicts of all tries, for each flow that was not as expected in any of them."""
    flows = dict.fromkeys(flow for rows in tries for flow in _unexpected(rows))
    by_try = [{row.flow: row.observed or Verdict.UNKNOWN for row in rows} for rows in tries]
    return {flow: tuple(seen[flow] for seen in by_try if flow in seen) for flow in flows}
