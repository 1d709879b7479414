"""A rule is a module with an id, a severity, a manual and a check. This module finds all rules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent
from typing import Protocol, cast

import netprobe.lint.rules
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View

SNIPPET = re.compile(r"^(Fails|Passes):\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)


class RuleModule(Protocol):
    """The members of the module of a rule, besides its docstring."""

    ID: str
    SEVERITY: Severity

    def check(self, view: View) -> Iterator[Finding]: ...


@dataclass(frozen=True, slots=True)
class LintRule:
    """A rule with its manual.

    `title` is the docstring's first line, `text` all of it. `fails` and `passes` are its snippets:
    YAML manifests in which the rule finds something, or nothing.
    """

    id: str
    severity: Severity
    title: str
    text: str
    fails: tuple[str, ...]
    passes: tuple[str, ...]
    module: RuleModule

    @property
    def prose(self) -> str:
        """The text before the snippets, without the title."""
        return SNIPPET.split(self.text, maxsplit=1)[0].partition("\n")[2].strip()

    def check(self, view: View) -> Iterator[Finding]:
        return self.module.check(view)


def load(name: str) -> LintRule:
    module = import_module(f"{netprobe.lint.rules.__name__}.{name}")
    rule = cast("RuleModule", module)
    text = inspect.getdoc(module) or ""
    snippets = [(kind, dedent(body).strip() + "\n") for kind, body in SNIPPET.findall(text + "\n")]
    return LintRule(
        rule.ID,
        rule.SEVERITY,
        text.partition("\n")[0],
        text,
        tuple(body for kind, body in snippets if kind == "Fails"),
        tuple(body for kind, body in snippets if kind == "Passes"),
        rule,
    )


@cache
def catalogue() -> Mapping[str, LintRule]:
    """All rules by id, in alphabetical order."""
    loaded = [load(module.name) for module in iter_modules(netprobe.lint.rules.__path__)]
    return {rule.id: rule for rule in sorted(loaded, key=lambda rule: rule.id)}
