"""Every rule is a page that can be read alone, and its snippets do what the page says."""

from __future__ import annotations

import pytest

from netprobe.lint import catalogue
from netprobe.lint.rule import LintRule
from tests.lint.helpers import linted, view


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule.id) for rule in catalogue().values()])
def test_a_manual_gives_a_reason_and_its_examples_fail_and_pass(rule: LintRule) -> None:
    assert rule.title.endswith(".") or ":" in rule.title
    assert len(rule.prose) > 80, "no reason is given"
    assert rule.fails
    for text in rule.fails:
        found = linted(text, rule.id).findings
        assert found, text
        assert all(finding.rule == rule.id and finding.message and finding.origin for finding in found)
        assert all(finding.severity.rank >= rule.severity.rank for finding in found)
    for text in rule.passes:
        assert view(text).all_kinds.policies or view(text).all_kinds.staged
        assert linted(text, rule.id).findings == (), text
