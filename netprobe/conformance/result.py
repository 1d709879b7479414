"""What a run of the suite found, before it has a format. Ends and policies have the cases' relative names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from netprobe.conformance.case import Case
from netprobe.diff import Row
from netprobe.diff import Status as FlowStatus
from netprobe.model.flow import Flow
from netprobe.model.policy import Policy
from netprobe.model.verdict import Verdict


class CaseStatus(Enum):
    """What became of a case; the value is the word in reports."""

    PASSED = "passed"
    FAILED = "failed"
    FLAKY = "flaky"  # some try gave another answer than the next, after the change was in force
    UNKNOWN = "unknown"  # could not tell
    UNSCORED = "implementation_defined"
    SKIPPED = "skipped"
    UNTRIED = "not_tried"  # the run ended before it was this case's turn, or while it was


class Triage(Enum):
    """What a failure, or a pass, is to somebody who knows what is expected of this cluster."""

    EXPECTED = "expected"  # fails, as the file of expected failures says
    EXPIRED = "expired"  # fails, as that file said until a day that has passed
    FIXED = "fixed"  # passes, although that file says that it fails
    BEFORE = "before"  # failed in the baseline already


@dataclass(frozen=True, slots=True)
class StepResult:
    """The comparison after one change.

    `rows` are of the last try. `attempts` has, for each flow that was ever not as expected, the verdict of
    every try in order. `policies` are those that existed then.
    """

    rows: tuple[Row, ...]
    attempts: Mapping[Flow, tuple[Verdict, ...]] = field(default_factory=dict)
    converged_s: float | None = None
    policies: tuple[Policy, ...] = ()
    problem: str | None = None

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The flows that the cluster, and not the simulator alone, has wrong."""
        return tuple(
            row for row in self.rows if row.status is FlowStatus.MISMATCH and row.observed is not None
        )

    @property
    def unknown(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.status is FlowStatus.UNKNOWN)

    @property
    def flaky(self) -> bool:
        """Whether a try gave another answer than the one after it. UNKNOWN is no answer."""
        return any(len({*verdicts} - {Verdict.UNKNOWN}) > 1 for verdicts in self.attempts.values())

    @property
    def status(self) -> CaseStatus:
        if self.flaky:
            return CaseStatus.FLAKY
        if self.wrong:
            return CaseStatus.FAILED
        return CaseStatus.UNKNOWN if self.unknown or self.problem else CaseStatus.PASSED


@dataclass(frozen=True, slots=True)
class Result:
    """One case. `reason` says why it was skipped, not tried, is not scored, or could not be told."""

    case: Case
    status: CaseStatus
    moments: tuple[StepResult, ...] = ()
    reason: str | None = None
    seconds: float = 0.0
    standing: Triage | None = None
    remark: str | None = None  # what the file of expected failures says

    @property
    def converged_s(self) -> float | None:
        """The slowest moment's."""
        return max((m.converged_s for m in self.moments if m.converged_s is not None), default=None)

    @property
    def cells(self) -> int:
        return sum(len(moment.rows) for moment in self.moments)

    @property
    def counts_against(self) -> bool:
        """Whether it makes the run fail: it fails, and nobody said that it would."""
        return self.status is CaseStatus.FAILED and self.standing not in {Triage.EXPECTED, Triage.BEFORE}


@dataclass(frozen=True, slots=True)
class Results:
    """All cases of a run, in the order of the suite. `problems` are sentences about the run as a whole.

    `shard`: of how many parts this is which one (from 0), where it is a part. `interrupted`: by a signal.
    """

    results: tuple[Result, ...]
    enforcement: str | None = None
    problems: tuple[str, ...] = ()
    fixtures: int = 1
    shard: tuple[int, int] | None = None
    interrupted: bool = False

    @property
    def counts(self) -> Counter[CaseStatus]:
        return Counter(result.status for result in self.results)

    def features(self) -> Mapping[str, tuple[Result, ...]]:
        """The results by feature, in the order in which the features first appear."""
        found: dict[str, list[Result]] = {}
        for result in self.results:
            found.setdefault(result.case.feature, []).append(result)
        return {feature: tuple(results) for feature, results in found.items()}

    def of(self, *statuses: CaseStatus) -> Iterator[Result]:
        return (result for result in self.results if result.status in statuses)

    @property
    def exit_status(self) -> int:
        """1 where a case fails that should not; 3 where one could not be told or is flaky; else 0.

        Before all that 130 where the run was interrupted, and 3 where it ended early: its cases are not told.
        """
        if self.interrupted:
            return 130
        if self.counts[CaseStatus.UNTRIED]:
            return 3
        if any(result.counts_against for result in self.results):
            return 1
        untold = any(result.standing is None for result in self.of(CaseStatus.FLAKY, CaseStatus.UNKNOWN))
        return 3 if untold or self.problems else 0


def overall(
    case: Case, moments: tuple[StepResult, ...], unscored: str | None
) -> tuple[CaseStatus, str | None]:
    """The status of a case, and the reason where it needs one."""
    statuses = {moment.status for moment in moments}
    worst = next(
        s
        for s in (CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN, CaseStatus.PASSED)
        if s in statuses
    )
    if unscored is not None:
        return CaseStatus.UNSCORED, unscored
    if worst is not CaseStatus.UNKNOWN:
        return worst, None
    told = next(
        (moment.problem or moment.unknown[0].reason for moment in moments if moment.status is worst), None
    )
    return worst, told or f"{case.name}: no reason is known"
