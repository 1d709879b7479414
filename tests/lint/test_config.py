"""Silencing: by annotation with a reason, by `.netprobe.yaml`, and never by a typing mistake."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.errors import InputError
from netprobe.lint import LintConfig, Severity, parse_config
from tests.lint.helpers import linted
from tests.manifest_text import policy

OPEN = policy("{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}")


def with_annotation(annotation: str) -> str:
    return OPEN.replace("name: p,", f"name: p, annotations: {{{annotation}}},")


def config(value: Any) -> LintConfig:
    return parse_config(value, lambda path: f"cfg:{path}")


def test_an_annotation_with_a_reason_silences_one_rule() -> None:
    reasoned = with_annotation('netprobe.dev/ignore-no-ports: "a test"')
    for text in (reasoned, reasoned.replace("name: p", "generateName: p-")):
        result = linted(text)
        assert result.findings == ()
        assert [(each.finding.rule, each.reason) for each in result.silenced] == [("no-ports", "a test")]
        assert not result.failed(strict=True)
    unreasoned = linted(with_annotation('netprobe.dev/ignore-no-ports: ""'))
    assert {finding.rule for finding in unreasoned.findings} == {"no-ports", "bad-ignore"}


def test_a_rule_that_does_not_exist_is_named_with_the_nearest() -> None:
    (finding,) = linted(with_annotation("netprobe.dev/ignore-no-port: x"), "bad-ignore").findings
    assert finding.suggestion == "did you mean no-ports?"
    assert finding.position == (1, 91)


def test_disable_severity_and_paths() -> None:
    text = with_annotation("")
    assert linted(text, config=config({"lint": {"disable": ["no-ports"]}})).findings == ()
    graver = config({"lint": {"severity": {"no-ports": "error"}}})
    assert linted(text, config=graver).findings[0].severity is Severity.ERROR
    there = config({"lint": {"paths": [{"match": "test*", "disable": ["no-ports"]}]}})
    assert linted(text, config=there).findings == ()
    elsewhere = config({"lint": {"paths": [{"match": "legacy/", "disable": ["no-ports"]}]}})
    assert linted(text, config=elsewhere).findings


def test_patterns_are_relative_to_the_file_and_a_folder_means_all_below() -> None:
    chosen = parse_config({"lint": {"exclude": ["charts/", "*.gen.yaml"]}}, str, "/repo")
    assert chosen.excludes("/repo/charts/a/b.yaml")
    assert chosen.excludes("charts/a.yaml")
    assert chosen.excludes("deep/down/x.gen.yaml")
    assert not chosen.excludes("mycharts/a.yaml")


def test_a_typing_mistake_in_the_file_is_an_error_at_its_place() -> None:
    for value, place, text in (
        ({"lint": {"disable": ["no-such"]}}, "lint.disable[0]", "no rule 'no-such'"),
        ({"lint": {"severity": {"no-such": "error"}}}, "lint.severity.no-such", "no rule 'no-such'"),
        ({"lint": {"severity": {"no-ports": "fatal"}}}, "lint.severity.no-ports", "'error'"),
        ({"lint": {"paths": [{"match": "x", "disable": ["x"]}]}}, "lint.paths[0].disable[0]", "no rule"),
        ({"lint": {"disabled": []}}, "lint.disabled", "not permitted"),
        ({"lnt": {}}, "lnt", "not permitted"),
        ([], "", "dictionary"),
    ):
        with pytest.raises(InputError) as caught:
            config(value)
        (problem,) = caught.value.problems
        assert problem.place == f"cfg:{place}"
        assert text in problem.message
