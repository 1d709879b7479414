"""Parts of a run: what is written is read again, joined, and reported as if it had been one run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main
from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.conformance.shard import cell_of, join
from netprobe.errors import InputError
from netprobe.model.verdict import Verdict
from netprobe.report import CONFORMANCE_FORMATS
from tests.conformance.samples import FAILED, FLAKY, SKIPPED, UNKNOWN, WRONG, report, result

CASES = builtin()
SERVICE = next(case for case in CASES if "svc:y/web" in case.scope.extra)
LATE = next(case for case in CASES if case.steps[-1].pods)


def part(folder: Path, shard: tuple[int, int] | None, *results: CaseResult, **run: Any) -> Path:
    found = report(*results)
    found = replace(found, results=replace(found.results, shard=shard), **run)
    path = folder / f"part-{shard[0] if shard else 'x'}.json"
    path.write_text("".join(CONFORMANCE_FORMATS.render(found, "json")))
    return path


def rendered(found: ConformanceReport, format_: str) -> str:
    return "".join(CONFORMANCE_FORMATS.render(found, format_))


@pytest.mark.parametrize(
    "one", [FAILED, FLAKY, UNKNOWN, SKIPPED, result(SERVICE), result(LATE, {WRONG: Verdict.ALLOW})]
)
def test_what_is_written_is_read_again(one: CaseResult, tmp_path: Path) -> None:
    again = ConformanceReport(*join([part(tmp_path, None, one)], CASES))
    for format_ in ("table", "markdown", "junit"):
        assert rendered(again, format_) == rendered(report(one), format_)


def test_every_cell_can_be_written() -> None:
    site = fictional_map()
    for case in {case.scope: case for case in CASES}.values():
        pods = {end: site.addresses["x/late"] for end in case.scope.extra if end not in site.addresses}
        there = site.with_pods(pods, {})
        for cell in case.scope.cells():
            assert cell_of(case, there.flow(cell)) == cell


def test_parts_are_joined_in_the_order_of_the_cases(tmp_path: Path) -> None:
    late = part(tmp_path, (1, 2), result(CASES[7]))
    early = part(tmp_path, (0, 2), result(CASES[3]), result(CASES[9]))
    results, cluster, run = join([late, early], CASES)
    assert [one.case for one in results.results] == [CASES[3], CASES[7], CASES[9]]
    assert (results.problems, results.fixtures, results.shard) == ((), 2, None)
    assert cluster == report().cluster
    assert run.id == "abcd1234+abcd1234"


def test_a_part_that_is_missing_is_reported_and_nothing_is_green(tmp_path: Path) -> None:
    paths = [part(tmp_path, (0, 3), result(CASES[3])), part(tmp_path, (2, 3), result(CASES[5]))]
    results, _, _ = join(paths, CASES)
    assert results.problems == ("shard 1 of 3 is missing: its cases are not included",)
    assert results.exit_status == 3


def test_parts_that_do_not_belong_together(tmp_path: Path) -> None:
    other = replace(report().cluster, context="another")
    paths = [part(tmp_path, (0, 2), FAILED), part(tmp_path, (1, 2), FAILED, cluster=other)]
    with pytest.raises(InputError) as raised:
        join(paths, [case for case in CASES if case != CASES[1]])
    output = "\n".join(map(str, raised.value.problems))
    assert f"{FAILED.case.name!r} is also in {paths[0]}" in output
    assert f"differs from the cluster of {paths[0]}" in output
    own = replace(FAILED, case=replace(FAILED.case, name="one of theirs"))
    with pytest.raises(InputError, match="pass its file with --cases"):
        join([part(tmp_path, None, own)], CASES)


def test_a_log_is_a_part(tmp_path: Path) -> None:
    """What a container says on standard error stands between the lines of its report."""
    path = part(tmp_path, (0, 1), FAILED)
    head, *lines = path.read_text().splitlines(keepends=True)
    talk = "netprobe: 33 s: 3 of 133 cases, none failed, about 5 min left\n"
    path.write_text("".join([talk, head, talk, *lines]))
    (again,) = join([path], CASES)[0].results
    assert (again.case, again.status) == (FAILED.case, FAILED.status)


def test_a_part_that_was_interrupted_is_not_green(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = part(
        tmp_path, (0, 2), result(CASES[3]), CaseResult(CASES[9], CaseStatus.UNTRIED, reason="interrupted")
    )
    assert main(["conformance", "--join", str(half), str(part(tmp_path, (1, 2), result(CASES[5])))]) == 3
    assert "1 not tried: interrupted" in capsys.readouterr().out


def test_what_is_not_a_shard_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    assert main(["conformance", "--join", str(wrong)]) == 2
    assert "is not a report of `netprobe conformance -o json`" in capsys.readouterr().err
    good = str(part(tmp_path, None, FAILED))
    assert main(["conformance", "--join", good, "--only", CASES[0].name]) == 2
    assert main(["conformance", "--join", good, good]) == 2
    assert "is given twice" in capsys.readouterr().err
    assert main(["conformance", "--shard", "1/2", "--only", CASES[0].name]) == 2


def test_results_as_sonobuoy_wants_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results"
    status = main(["conformance", "--join", str(part(tmp_path, None, FAILED)), "--results", str(folder)])
    assert status == 1
    assert {path.name for path in folder.iterdir()} == {
        *("done", "junit_conformance.xml", "report.html", "report.json", "report.md"),
    }
    assert (folder / "done").read_text() == str(folder)
    assert "<testsuites>" in (folder / "junit_conformance.xml").read_text()
    (tmp_path / "file").write_text("")
    capsys.readouterr()
    for option in ("--results", "--history"):
        taken = [option, str(tmp_path / "file" / "below")]
        assert main(["conformance", "--join", str(part(tmp_path, None, FAILED)), *taken]) == 2
        assert f"{option}: cannot create {tmp_path}/file/below" in capsys.readouterr().err


def test_the_first_night_has_no_baseline_and_the_second_has_the_first(tmp_path: Path) -> None:
    nights = tmp_path / "runs"
    (tmp_path / "2").mkdir()
    first = part(tmp_path, None, FAILED)
    second = part(tmp_path / "2", None, FAILED, run=replace(report().run, id="beefbeef"))
    baseline = ["--baseline", str(nights)]
    assert main(["conformance", "--join", str(first), *baseline]) == 2, "a folder that nobody writes to"
    kept = [*baseline, "--history", str(nights)]
    assert main(["conformance", "--join", str(first), *kept]) == 1
    assert main(["conformance", "--join", str(first), *kept]) == 1, "the same again is the same"
    assert main(["conformance", "--join", str(second), "--baseline", f"{nights}/", *kept[2:]]) == 0
    assert len(list(nights.iterdir())) == 2
