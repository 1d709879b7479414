"""Every rule is a page that can be read alone, and its snippets do what the page says."""

from __future__ import annotations

import pytest

from netprobe.lint import Severity, catalogue
from netprobe.lint.rule import LintRule
from tests.lint.helpers import linted, view

RULES = [pytest.param(rule, id=rule.id) for rule in catalogue().values()]
FAILS = [
    pytest.param(rule, text, id=f"{rule.id}-{number}")
    for rule in catalogue().values()
    for number, text in enumerate(rule.fails)
]
PASSES = [
    pytest.param(rule, text, id=f"{rule.id}-{number}")
    for rule in catalogue().values()
    for number, text in enumerate(rule.passes)
]


@pytest.mark.parametrize(("rule", "text"), FAILS)
def test_a_snippet_that_fails(rule: LintRule, text: str) -> None:
    found = linted(text, rule.id).findings
    assert found, f"{rule.id} says nothing about\n{text}"
    assert {finding.rule for finding in found} == {rule.id}
    assert all(finding.message and finding.origin for finding in found)


@pytest.mark.parametrize(("rule", "text"), PASSES)
def test_a_snippet_that_passes(rule: LintRule, text: str) -> None:
    assert view(text).cluster.policies
    assert linted(text, rule.id).findings == ()


@pytest.mark.parametrize("rule", RULES)
def test_a_manual_says_what_why_and_how(rule: LintRule) -> None:
    assert rule.module.__name__.endswith(f".{rule.id.replace('-', '_')}")  # type: ignore[attr-defined]
    assert rule.fails
    assert rule.passes
    assert rule.title.endswith(".") or ":" in rule.title
    assert len(rule.text.partition("Fails:")[0]) > len(rule.title) + 80, "no reason is given"
    assert isinstance(rule.severity, Severity)
