"""One small file a run, and what changed."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.conformance.baseline import (
    Baseline,
    PastCase,
    PastRun,
    RunChanges,
    changes_since,
    read_run,
    read_runs,
    runs_of,
    save_run,
    with_known_failures,
)
from netprobe.conformance.result import CaseResult, CaseStatus, Triage
from netprobe.errors import InputError
from netprobe.report import CONFORMANCE_FORMATS
from tests.conformance.samples import CASE, FAILED, SKIPPED, START, of, report

P, F, K, U, S = CaseStatus.PASSED, CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN, CaseStatus.SKIPPED
N = CaseStatus.UNTRIED


def run(at: int, **cases: CaseStatus | tuple[CaseStatus, float]) -> PastRun:
    entries = {
        name: PastCase(*what) if isinstance(what, tuple) else PastCase(what) for name, what in cases.items()
    }
    return PastRun(START + dt.timedelta(days=at), "kind", 60.0, entries, "0.1.0", f"run{at}")


def past(*results: CaseResult) -> PastRun:
    found = report(*results)
    return PastRun.of(found.results, found.cluster, found.run)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param(run(0, a=P), run(1, a=P), RunChanges(), id="nothing"),
        pytest.param(run(0, a=P), run(1, a=F), RunChanges(failures=("a",)), id="a new failure"),
        pytest.param(run(0, a=U), run(1, a=F), RunChanges(failures=("a",)), id="could not tell, now fails"),
        pytest.param(run(0, a=F), run(1, a=F), RunChanges(), id="an old failure"),
        pytest.param(run(0, a=F), run(1, a=P), RunChanges(fixed=("a",)), id="fixed"),
        pytest.param(run(0, a=F), run(1, a=S), RunChanges(), id="skipped is not fixed"),
        pytest.param(run(0, a=P), run(1, a=K), RunChanges(flaky=("a",)), id="flaky"),
        pytest.param(
            run(0, a=P), run(1, b=P), RunChanges(appeared=("b",), disappeared=("a",)), id="other cases"
        ),
        pytest.param(
            run(0, a=(P, 0.1)), run(1, a=(P, 0.9)), RunChanges(slower=(("a", 0.1, 0.9),)), id="slower"
        ),
        pytest.param(run(0, a=(P, 0.1)), run(1, a=(P, 0.5)), RunChanges(), id="slower, by too little to say"),
        pytest.param(
            run(0, a=P),
            replace(run(1, a=P), cluster="prod"),
            RunChanges(other_cluster="kind"),
            id="elsewhere",
        ),
        pytest.param(run(0, a=(P, 3.0)), run(1, a=(P, 4.0)), RunChanges(), id="not twice as slow"),
    ],
)
def test_what_changed(before: PastRun, now: PastRun, expected: RunChanges) -> None:
    assert changes_since([before], now) == expected


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        pytest.param([run(0, a=P), run(1, a=N)], run(2, a=F), ("a",), id="passed, not tried, fails"),
        pytest.param([run(0, a=F), run(1, a=N)], run(2, a=F), (), id="failed, not tried, fails"),
        pytest.param([run(0, a=F), run(1, a=S)], run(2, a=F), (), id="failed, skipped, fails"),
        pytest.param([run(0, a=F), run(1, b=P)], run(2, a=F, b=P), (), id="a run of other cases between"),
        pytest.param([run(0, a=F), run(1, a=P)], run(2, a=F), ("a",), id="failed, passed, fails"),
        pytest.param([run(0, a=P)], run(1, a=N), (), id="not tried is no failure"),
    ],
)
def test_what_is_known_of_a_case_is_what_the_last_run_says_that_tried_it(
    before: list[PastRun], now: PastRun, expected: tuple[str, ...]
) -> None:
    found = changes_since(before, now)
    assert found.failures == expected
    assert not found.fixed
    assert not found.appeared


def test_half_a_run_spoils_no_baseline(tmp_path: Path) -> None:
    """Run 1 fails, night 2 is interrupted before the case, night 3 fails in the same way: no news."""
    for at, status in enumerate((F, N)):
        save_run(tmp_path, run(at, **{CASE.name: status}))
    (same,) = with_known_failures(of([FAILED]), runs_of(tmp_path)).results
    assert same.standing is Triage.BEFORE
    half = of([CaseResult(CASE, CaseStatus.UNTRIED, reason="interrupted")])
    assert with_known_failures(half, runs_of(tmp_path)) == half
    assert half.exit_status == 3


def test_a_report_is_a_baseline_too(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("".join(CONFORMANCE_FORMATS.render(report(FAILED, SKIPPED), "json")))
    (one,) = runs_of(path)
    assert one.cases == {CASE.name: PastCase(F, 0.1), SKIPPED.case.name: PastCase(S)}
    assert (one.started, one.seconds, one.run) == (START, 12.5, "abcd1234")


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    one = past(FAILED)
    path = save_run(tmp_path / "new", one)
    assert path.name == "20261123T060000Z-abcd1234.json"
    assert read_run(path) == one
    assert path.stat().st_size < 500
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_command_shows_the_trend_and_the_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(tmp_path, run(0, a=P, b=F))
    assert main(["history", str(tmp_path)]) == 0
    save_run(tmp_path, run(1, a=F, b=P))
    capsys.readouterr()
    assert main(["history", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "2026-11-23 06:00" in out
    assert "new failure: a" in out
    assert "fixed: b" in out
    assert main(["history", str(tmp_path), "-o", "json", "--last", "1"]) == 1
    assert '"failures": [' in capsys.readouterr().out


def test_a_file_that_was_cut_off_spoils_no_other_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = save_run(tmp_path, run(0, a=P))
    (tmp_path / "cut.json").write_text(whole.read_text()[:-20])
    assert main(["history", str(tmp_path)]) == 0
    seen = capsys.readouterr()
    assert "2026-11-23 06:00" in seen.out
    assert re.fullmatch(r"netprobe: \S+cut\.json: is not a run .*; it is skipped\n", seen.err)
    known = Baseline.read((), None, tmp_path, lambda _: None)
    assert [one.run for one in known.past] == ["run0"]
    whole.unlink()
    said: list[str] = []
    assert Baseline.read((), None, tmp_path, said.append).past == ()
    assert len(said) == 1


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": "Report", "cases": {}}', '{"kind": 3}'])
def test_what_is_not_a_run_is_reported(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InputError, match=r"x\.json: is not a run"):
        read_runs(tmp_path)
