"""Golden files of every format, and what no name may do in any of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from netprobe.manifests.change import Delete, SuggestedEdit, Suggestion
from netprobe.model.verdict import Verdict
from netprobe.report import FORMATS, Style, save
from netprobe.report.style import Detail
from netprobe.run.record import Report
from tests.conftest import Golden, schema
from tests.report.samples import all_well, hostile, many, many_wrong, sample, unenforced

SCHEMA = json.loads(schema().read_text())
SAMPLES: list[Callable[[], Report]] = [sample, all_well, unenforced, hostile, lambda: many(4)]
NAMES = {"table": "txt", "wide": "txt", "json": "json", "markdown": "md", "junit": "xml"}


def text(report: Report, format_: str, style: Style = Style()) -> str:  # noqa: B008 (frozen)
    return "".join(FORMATS.render(report, format_, style))


@pytest.mark.parametrize("make", [sample, unenforced])
def test_golden(make: Callable[[], Report], golden: Golden) -> None:
    """`unenforced` in the formats that show its two steps and its problems."""
    left_out = {"html", "yaml"} if make is sample else {"html", "yaml", "wide", "matrix", "metrics"}
    for format_ in FORMATS.names:
        if format_ not in left_out:
            golden(f"{make.__name__}.{format_}.{NAMES.get(format_, 'txt')}", text(make(), format_))


def test_json_and_yaml_are_one_document_that_keeps_the_schema() -> None:
    for make in SAMPLES:
        document = json.loads(text(make(), "json"))
        assert document == yaml.safe_load(text(make(), "yaml"))
        jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_is_one_and_refuses_what_is_not_in_the_contract() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    spoils: list[Callable[[Any], object]] = [
        lambda d: d["flows"][0].pop("control"),
        lambda d: d["flows"][0].update(status="blocked"),
        lambda d: d["flows"][0].update(reason="none is due"),
        lambda d: d["flows"][1].update(mismatch=[]),
        lambda d: d.update(extra=1),
    ]
    for spoil in spoils:
        document = json.loads(text(sample(), "json"))
        assert validator.is_valid(document)
        spoil(document)
        assert not validator.is_valid(document)


JUNIT_ATTRIBUTES = ["name", "timestamp", "hostname", "tests", "failures", "errors", "time", "id", "package"]


def test_junit_parses_and_its_counts_are_those_of_its_cases() -> None:
    for make in (sample, unenforced, hostile):
        root = ET.fromstring(text(make(), "junit"))  # noqa: S314 (our own text)
        assert root.tag == "testsuites"
        for suite in root:
            assert suite.tag == "testsuite"
            assert all(suite.get(key) for key in JUNIT_ATTRIBUTES)
            order = [child.tag for child in suite]
            assert order[0] == "properties"
            assert order[-2:] == ["system-out", "system-err"]
            cases = suite.findall("testcase")
            assert suite.get("tests") == str(len(cases))
            for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                assert suite.get(key) == str(sum(case.find(tag) is not None for case in cases))
            for case in cases:
                assert set(case.keys()) - {"file", "line"} == {"name", "classname", "time"}
                assert len(case) <= 1
                assert all(child.get("type") for child in case if child.tag != "skipped")


@pytest.mark.parametrize("format_", FORMATS.names)
@pytest.mark.parametrize("style", [Style(), Style(colour=True, width=80)], ids=["plain", "terminal"])
def test_no_name_acts(format_: str, style: Style) -> None:
    shown = text(hostile(), format_, style)
    shown = (
        re.sub(r"\x1b\[[0-9;]*m", "", shown)
        if style.colour and format_ in {"table", "wide", "matrix"}
        else shown
    )
    raw = {c for c in shown if not c.isprintable()} - {"\n"}
    assert raw <= ({"\u2060"} if format_ == "markdown" else set())
    if format_ == "markdown":
        assert "<script" not in shown
        assert not re.search(r"(?<!\\)\|b", shown), "a bar that ends a cell"
        assert not re.search(r"@\w", shown), "a mention"
        assert "://" not in shown, "a link"
    if format_ == "github":
        commands = [line for line in shown.splitlines() if line.startswith("::")]
        assert all(re.match(r"::(error|warning) [^:]*::", line) for line in commands)
        assert not any("file=a|b" in line and ",line=3," not in line for line in commands)


@pytest.mark.parametrize("format_", ["table", "wide", "matrix"])
def test_colour_is_added_and_nothing_else(format_: str) -> None:
    coloured = text(sample(), format_, Style(colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(sample(), format_)


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        pytest.param("db", "  to be allowed: delete db\n", id="one suggestion for all"),
        pytest.param(
            "cache",
            "  to be allowed, ns0/pod-3 -> ns0/pod-0 80: delete db\n"
            "  to be allowed, ns0/pod-6 -> ns0/pod-0 80: delete cache\n",
            id="another one for the others",
        ),
    ],
)
def test_a_suggestion_names_its_flow_where_others_have_another_one(others: str, shown: str) -> None:
    report = many_wrong(9)
    rows = []
    for row, name in zip(
        (row for row in report.steps[0].rows if row.mismatches), ("db", others), strict=True
    ):
        edit = SuggestedEdit(name, "", f"delete {name}", Delete("NetworkPolicy", name))
        why = replace(row.why, sentences=(*row.why.sentences, f"to be allowed: delete {name}"))
        rows.append(replace(row, why=why, fix=Suggestion(Verdict.ALLOW, (edit,))))
    steps = (replace(report.steps[0], rows=tuple(rows)),)
    assert shown in text(replace(report, steps=steps), "table")


@pytest.mark.parametrize("width", [80, 120])
def test_a_narrow_terminal_wraps_reasons_and_cuts_no_name(width: int) -> None:
    shown = text(sample(), "table", Style(width=width))
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    for name in ("frontend/web", "svc:backend/api", "partner-api"):
        assert name in shown


def test_a_reason_is_shown_once_with_the_flows_that_share_it() -> None:
    shown = text(many_wrong(60), "table")
    assert shown.count("the policies do not match the declaration") == 1
    assert "and no rule allows TCP 80 from these sources" in shown
    assert shown.count("MISMATCH ns0/pod-") == 8
    assert "MISMATCH and 11 more flows" in shown
    assert text(many_wrong(60), "markdown").count("and no rule allows TCP 80 from these sources") == 1
    assert text(many_wrong(60), "github").count("and no rule allows TCP 80 from these sources") == 1
    every = text(many_wrong(60), "table", Style(detail=Detail.ALL))
    assert every.count("MISMATCH ns0/pod-") == 19
    assert every.count("MISMATCH: declared ALLOW") == 19


def test_many_flows_that_are_as_expected_are_counted_by_namespaces() -> None:
    shown = text(many_wrong(60), "table")
    rows = [line.split() for line in shown.splitlines() if line.startswith("ns")]
    assert rows == [["ns1", "ns0", "20", "20", "DENY"], ["ns2", "ns0", "20", "20", "DENY"]]


def test_only_differences_keeps_the_counts() -> None:
    report = many_wrong(60).only_differences()
    document = json.loads(text(report, "json"))
    assert (len(document["flows"]), document["summary"]["flows"]) == (19, 59)
    assert report.exit_status == 1
    assert 'tests="19"' in text(report, "junit")


def test_a_long_table_puts_pods_that_behave_alike_into_one_row() -> None:
    shown = text(many(40), "table")
    rows = [line.split() for line in shown.splitlines() if " 80 " in line]
    # Three namespaces of 14, 13 and 13 pods; those of ns0 and ns2 cannot be told apart.
    assert rows == [
        ["ns0/pod-0", "+26", "ns1/pod-1", "+12", "80", "DENY", "351"],
        ["ns0/pod-0", "+26", "ns0/pod-0", "+26", "80", "ALLOW", "702"],
        ["ns1/pod-1", "+12", "ns0/pod-0", "+26", "80", "ALLOW", "351"],
        ["ns1/pod-1", "+12", "ns1/pod-1", "+12", "80", "DENY", "156"],
    ]
    assert "1,560 flows: 1,560 decided" in shown


def test_a_problem_is_status_3_and_no_enforcement_is_status_1() -> None:
    """Even if all flows are as expected."""
    assert (all_well().exit_status, sample().exit_status) == (0, 1)
    assert replace(all_well(), problems=("left behind",)).exit_status == 3
    report = replace(all_well(), enforcement="Nothing is enforced.")
    assert report.exit_status == 1
    assert json.loads(text(report, "json"))["problems"] == ["Nothing is enforced."]
    assert text(report, "table").splitlines()[1] == "Nothing is enforced."


def test_save_writes_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")

    def breaks() -> Any:
        yield "new"
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        save(target, breaks())
    assert target.read_text() == "old"
    target.chmod(0o600)
    save(target, ["new", "er"])
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("newer", 0o600)
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"], "no temporary file stays"


def test_save_writes_through_what_is_not_a_file(tmp_path: Path) -> None:
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    save(link, ["text"])
    assert Path("/dev/null").is_char_device()
