"""The report in every format: what failed, why, and what it counts as."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
import yaml

from netprobe.conformance.baseline import ConformanceReport, RunChanges
from netprobe.conformance.result import Triage
from netprobe.report import CONFORMANCE_FORMATS
from tests.conformance.samples import CASE, FAILED, FLAKY, PASSED, SKIPPED, UNKNOWN, UNSCORED, UNTRIED, report

ALL = report(PASSED, FAILED, FLAKY, UNKNOWN, SKIPPED, UNSCORED)


def text(found: ConformanceReport, format_: str) -> str:
    return "".join(CONFORMANCE_FORMATS.render(found, format_))


KNOWN = replace(FAILED, standing=Triage.EXPECTED, remark="a bug (until 2027-03-01)")
TABLES = [
    pytest.param(
        report(FAILED),
        [
            "Pod selectors  0/1",
            f"FAILED {CASE.name}",
            "y/a -> x/a 80: declared DENY, simulated DENY, observed ALLOW",
            "ingress: x/p0 isolates x/a, and no rule allows TCP 80 from y/a",
            "y/a .!   .   .       .",
            "matchLabels: {pod: b}",
            "Port 81 IPv4: as expected",
        ],
        id="a failure: flow, reason, matrix and policy",
    ),
    pytest.param(report(FLAKY), ["y/a -> x/a 80: successive tries: ALLOW, DENY, DENY"], id="a flaky case"),
    pytest.param(
        ALL,
        [
            "1 skipped: no <SCTP> here",
            "implementation-defined:",
            "6 cases: 1 passed, 1 failed, 1 flaky, 1 unknown, 1 not scored, 1 skipped (12.5 s, 2.50 s a",
        ],
        id="every status",
    ),
    pytest.param(
        report(PASSED, FAILED, KNOWN), ["3 cases: 1 passed, 2 failed (1 known) (12.5 s"], id="known failures"
    ),
]


@pytest.mark.parametrize(("found", "texts"), TABLES)
def test_the_table(found: ConformanceReport, texts: list[str]) -> None:
    shown = text(found, "table")
    assert [text for text in texts if text not in shown] == []


def test_a_pattern_that_expects_too_much_is_shown_once() -> None:
    fixed = replace(PASSED, standing=Triage.FIXED, remark="a bug (until 2027-03-01)")
    shown = text(report(*[fixed] * 9), "table")
    assert shown.count("although a failure is expected") == 1
    assert f"{CASE.name} and 6 more: passes, although" in shown


def test_the_changes_since_the_run_before() -> None:
    found = replace(report(PASSED), changes=RunChanges(failures=("a",), slower=(("b", 0.1, 2.0),)))
    for format_ in ("table", "markdown"):
        shown = text(found, format_)
        assert "new failure: a" in shown
        assert "slower to converge: b: 0.10 s, now 2.00 s" in shown


def test_a_hundred_changes_are_counted_and_not_listed() -> None:
    many = tuple((f"case {number}", 0.1, 1.0 + number) for number in range(100))
    shown = text(replace(report(PASSED), changes=RunChanges(slower=many)), "table")
    assert "slower to converge: case 99: 0.10 s, now 100.00 s" in shown  # the worst first
    assert shown.count("slower to converge: ") == 10
    assert "and 90 more slower to converge" in shown


def test_junit_counts_as_the_exit_status_does() -> None:
    (suite, *_) = ET.fromstring(text(report(PASSED, FAILED, FLAKY, UNKNOWN), "junit"))  # noqa: S314 (our own)
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "2",
        "skipped": "0",
    }
    (suite, *_) = ET.fromstring(text(report(KNOWN), "junit"))  # noqa: S314
    (skipped,) = suite.iter("skipped")
    assert skipped.get("message") == "expected: a bug (until 2027-03-01)"


def test_what_was_not_tried_never_looks_like_what_passed() -> None:
    found = report(PASSED, UNTRIED)
    assert "0/1" in text(found, "table")
    assert "1 not tried: interrupted" in text(found, "table")
    *_, whole = suites = list(ET.fromstring(text(found, "junit")))  # noqa: S314 (our own)
    assert [suite.get("errors") for suite in suites] == ["0", "0", "1"]
    (error,) = whole.iter("error")
    assert error.get("message") == "1 of 2 cases were not tried"
    assert [one.get("message") for suite in suites for one in suite.iter("skipped")] == [
        "not tried: interrupted"
    ]
    stopped = replace(found, results=replace(found.results, problems=("interrupted: 1 of 2 cases",)))
    assert "::error title=netprobe::interrupted: 1 of 2 cases" in text(stopped, "github")
    assert json.loads(text(found, "json"))["summary"]["not_tried"] == 1


def test_json_has_every_case_and_every_flow_that_is_wrong() -> None:
    document = json.loads(text(ALL, "json"))
    assert document["kind"] == "ConformanceReport"
    assert document["exit_status"] == ALL.exit_status == 1
    assert document["summary"]["failed"] == 1
    (moment,) = document["cases"][1]["moments"]
    (flow,) = moment["flows"]
    assert (flow["from"], flow["to"], flow["observed"], flow["declared"]) == ("y/a", "x/a", "allow", "deny")
    assert document["cases"][2]["moments"][0]["attempts"][0]["observed"] == ["allow", "deny", "deny"]


def test_github_has_one_annotation_for_a_feature() -> None:
    shown = text(report(PASSED, FAILED), "github").splitlines()
    assert shown[0].startswith(
        "::error title=Pod selectors%3A not as NetworkPolicy says::a podSelector admits"
    )
    assert not shown[-1].startswith("::")
    known = replace(FAILED, standing=Triage.BEFORE)
    assert not any(line.startswith("::error") for line in text(report(known), "github").splitlines())


def test_markdown_folds_each_case_and_keeps_names_inert() -> None:
    shown = text(ALL, "markdown")
    assert shown.count("<details>") == shown.count("</details>") == 3
    assert "no &lt;SCTP&gt; here" in shown


def test_the_report_of_network_policy_api_has_a_profile_for_each_api() -> None:
    """The fields are those of conformance/apis/v1alpha1 of network-policy-api v0.3.0."""
    rules = {"standard": ("cnp-admin",), "experimental": ("cnp-named-port",)}
    ours = {
        name: replace(PASSED, case=replace(CASE, name=name, rules=ids, feature="ClusterNetworkPolicy"))
        for name, ids in rules.items()
    }
    failing = replace(ours["standard"], status=FAILED.status, case=replace(ours["standard"].case, name="bad"))
    (document,) = yaml.safe_load_all(
        text(report(PASSED, SKIPPED, UNSCORED, failing, *ours.values()), "conformance")
    )
    assert (document["kind"], document["networkPolicyBundleVersion"]) == ("ConformanceReport", "v0.3.0")
    cluster, network_policy = document["profiles"]
    assert cluster["experimental"]["supportedFeatures"] == ["ClusterNetworkPolicyNamedPorts"]
    assert cluster["standard"]["result"] == "failure"
    assert cluster["standard"]["statistics"] == {"Passed": 1, "Skipped": 0, "Failed": 1}
    assert cluster["standard"]["failedTests"] == ["bad"]
    assert network_policy["standard"]["statistics"] == {"Passed": 1, "Skipped": 1, "Failed": 0}
