"""The manuals of rules do what they say, and the page keeps step with the rules."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml

from netprobe.cli.invoke import COMMANDS
from netprobe.lint import catalogue, parse_config
from netprobe.lint.rule import LintRule
from tests.lint.helpers import linted, view

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "lint.md").read_text()


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


def test_the_page_lists_every_rule_as_it_is() -> None:
    listed = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.*) \|$", PAGE, re.MULTILINE)
    assert listed == [(rule.id, rule.severity.value, rule.title) for rule in catalogue().values()]


def test_the_configuration_on_the_page_is_valid() -> None:
    (text,) = re.findall(r"```yaml\n(lint:\n.*?)```", PAGE, re.DOTALL)
    assert parse_config(yaml.safe_load(text), str).exclude == ("vendor/",)


def test_the_annotation_on_the_page_names_a_rule() -> None:
    assert set(re.findall(r"netprobe\.dev/ignore-([a-z-]+):", PAGE)) <= catalogue().keys()


def test_the_hook_calls_a_command_that_there_is() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, name = shlex.split(hook["entry"])
    assert program == "netprobe"
    assert name in COMMANDS
    assert f"id: {hook['id']}" in PAGE


def test_every_mistake_is_named_by_a_rule_that_exists_or_another_command() -> None:
    section = PAGE.partition("## The classic mistakes")[2].partition("## Rules")[0]
    rows = re.findall(r"^\| (?!mistake|-)(.*?) \| (.*) \|$", section, re.MULTILINE)
    assert len(rows) == 14
    for mistake, named in rows:
        words = re.findall(r"`([^`]+)`", named)
        assert words, mistake
        assert all(word in catalogue() or word.startswith("netprobe ") for word in words), mistake
