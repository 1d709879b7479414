"""The report in every format: what failed, why, and what it counts as."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import yaml

from netprobe.conformance.baseline import ConformanceReport, RunChanges
from netprobe.conformance.result import Triage
from netprobe.report import CONFORMANCE_FORMATS
from tests.conformance.samples import CASE, FAILED, FLAKY, PASSED, SKIPPED, UNKNOWN, UNSCORED, UNTRIED, report
from tests.conftest import Golden

ALL = report(PASSED, FAILED, FLAKY, UNKNOWN, SKIPPED, UNSCORED)
FIXED = replace(PASSED, standing=Triage.FIXED, remark="a bug (until 2027-03-01)")
KNOWN = replace(FAILED, standing=Triage.EXPECTED, remark="a bug (until 2027-03-01)")
BEFORE = replace(FAILED, standing=Triage.BEFORE)
CHANGES = RunChanges(failures=("a",), slower=(("b", 0.1, 2.0),))
NIGHT = replace(report(KNOWN, BEFORE, *[FIXED] * 9), changes=CHANGES)
SUFFIXES = {"json": "json", "markdown": "md", "junit": "xml", "conformance": "yaml"}


def text(found: ConformanceReport, format_: str) -> str:
    return "".join(CONFORMANCE_FORMATS.render(found, format_))


def test_golden(golden: Golden) -> None:
    """A run with every status; one with failures that are known, and what changed since the run before."""
    for name, found in (("all", ALL), ("night", NIGHT)):
        for format_ in ("table", "github", *SUFFIXES):
            if (name, format_) != ("night", "json"):
                golden(f"{name}.{format_}.{SUFFIXES.get(format_, 'txt')}", text(found, format_))


def test_a_hundred_changes_are_counted_and_not_listed() -> None:
    many = tuple((f"case {number}", 0.1, 1.0 + number) for number in range(100))
    shown = text(replace(report(PASSED), changes=RunChanges(slower=many)), "table")
    assert "slower to converge: case 99: 0.10 s, now 100.00 s" in shown  # the worst first
    assert shown.count("slower to converge: ") == 10
    assert "and 90 more slower to converge" in shown


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
