"""Failures that are expected: a reason and an end, and nothing that no case has."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from netprobe.conformance.baseline import ExpectedFailure, load_expected_failures, triage
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseResult, Triage
from netprobe.errors import InputError
from tests.conformance.samples import CASE, FAILED, FLAKY, PASSED, UNKNOWN, of
from tests.conftest import Answers

UNTIL = dt.date(2027, 3, 1)
KNOWN = ExpectedFailure(case=CASE.name, reason="a bug of the plugin", until=UNTIL)


@pytest.mark.parametrize(
    ("found", "today", "standing", "status"),
    [
        pytest.param(FAILED, "2026-11-23", Triage.EXPECTED, 0, id="expected"),
        pytest.param(FLAKY, "2026-11-23", Triage.EXPECTED, 0, id="flaky counts as failing"),
        pytest.param(UNKNOWN, "2026-11-23", Triage.EXPECTED, 0, id="could not tell too"),
        pytest.param(FAILED, "2027-02-28", Triage.EXPECTED, 0, id="the last day"),
        pytest.param(FAILED, "2027-03-01", Triage.EXPIRED, 1, id="the day after"),
        pytest.param(PASSED, "2026-11-23", Triage.FIXED, 0, id="it passes"),
    ],
)
def test_what_is_expected_does_not_fail_a_run_until_its_day(
    found: CaseResult, today: str, standing: Triage, status: int
) -> None:
    results = triage(of([found]), [KNOWN], dt.date.fromisoformat(today))
    assert results.results[0].standing is standing
    assert results.exit_status == status


def test_a_pattern_names_many(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    path.write_text('- {case: "ingress: port *", reason: not yet, until: 2027-03-01}\n')
    (known,) = load_expected_failures(path, builtin())
    assert sum(map(known.holds, builtin())) == 34 - 7
    assert known.until == UNTIL


def test_what_is_wrong_is_reported_with_its_line(answers: Answers, tmp_path: Path) -> None:
    def ask(text: str) -> list[str]:
        path = tmp_path / "known.yaml"
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            load_expected_failures(path, builtin())
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    answers("expected.txt", ask)
