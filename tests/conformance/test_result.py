"""What becomes of a case: statuses, tries, and the exit status of a run."""

from __future__ import annotations

import pytest

from netprobe.conformance.result import MOST_TRIES, CaseResult, CaseStatus, Results, is_settled
from netprobe.model.verdict import Verdict
from tests.conformance.samples import (
    CASE,
    FAILED,
    FLAKY,
    PASSED,
    SKIPPED,
    UNKNOWN,
    UNSCORED,
    UNTRIED,
    WRONG,
    result,
    rows,
)

AS_DECLARED = rows(CASE, {})
OPEN = rows(CASE, {WRONG: Verdict.ALLOW})


@pytest.mark.parametrize(
    ("tries", "enough"),
    [
        pytest.param([AS_DECLARED], True, id="as expected at once"),
        pytest.param([OPEN], False, id="a failure is tried again"),
        pytest.param([OPEN, OPEN], True, id="the same failure twice stands"),
        pytest.param([OPEN, AS_DECLARED], False, id="it moved: once as expected is not enough"),
        pytest.param([OPEN, AS_DECLARED, AS_DECLARED], True, id="twice the same is the answer"),
        pytest.param([OPEN, AS_DECLARED] * MOST_TRIES, True, id="it never stands still: enough"),
    ],
)
def test_a_case_is_tried_again_while_its_answer_moves(tries: list[tuple[object, ...]], enough: bool) -> None:
    assert is_settled(tries[:MOST_TRIES]) is enough  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (PASSED, CaseStatus.PASSED),
        (FAILED, CaseStatus.FAILED),
        (UNKNOWN, CaseStatus.UNKNOWN),
        (FLAKY, CaseStatus.FLAKY),
        (result(CASE, {}, {WRONG: Verdict.ALLOW}, {WRONG: Verdict.ALLOW}), CaseStatus.FLAKY),
        (result(CASE, {}, {WRONG: Verdict.UNKNOWN}, {}), CaseStatus.PASSED),
        (
            result(CASE, {WRONG: Verdict.ALLOW}, {WRONG: Verdict.UNKNOWN}, {WRONG: Verdict.ALLOW}),
            CaseStatus.FAILED,
        ),
    ],
)
def test_the_status_of_a_case(found: CaseResult, status: CaseStatus) -> None:
    assert found.status is status


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ((PASSED, SKIPPED, UNSCORED), 0),
        ((PASSED, FAILED), 1),
        ((PASSED, FLAKY), 3),
        ((PASSED, UNKNOWN), 3),
        ((UNKNOWN, FAILED), 1),
        ((PASSED, UNTRIED), 3),
        ((FAILED, UNTRIED), 3),
    ],
)
def test_the_exit_status(results: tuple[CaseResult, ...], status: int) -> None:
    assert Results(results).exit_status == status


def test_what_was_interrupted_says_so_whatever_it_found() -> None:
    assert Results((PASSED,), interrupted=True).exit_status == 130
    assert Results((FAILED, UNTRIED), interrupted=True).exit_status == 130
