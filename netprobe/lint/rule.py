"""A rule is a module with a severity, a manual and a check. This module finds all rules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent, indent
from typing import Protocol, cast

import netprobe.lint.rules
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View

EXAMPLE = re.compile(r"^Example:\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)


class RuleModule(Protocol):
    """The members of the module of a rule, besides its docstring."""

    SEVERITY: Severity

    def check(self, view: View) -> Iterator[Finding]: ...


@dataclass(frozen=True, slots=True)
class LintRule:
    """A rule with its manual.

    `title` is the docstring's first line, and `prose` what follows up to the examples. Each example is two
    texts of YAML manifests: the rule finds something in that of `fails` and nothing in that of `passes`.
    """

    id: str
    severity: Severity
    title: str
    prose: str
    fails: tuple[str, ...]
    passes: tuple[str, ...]
    module: RuleModule

    @property
    def text(self) -> str:
        """The whole manual."""
        parts = [self.title, self.prose]
        for word, snippets in (("Fails", self.fails), ("Passes", self.passes)):
            parts += [f"{word}:\n\n{indent(snippet, '    ').rstrip()}" for snippet in snippets]
        return "\n\n".join(parts)

    def check(self, view: View) -> Iterator[Finding]:
        return (replace(finding, rule=self.id) for finding in self.module.check(view))


def load(name: str) -> LintRule:
    module = import_module(f"{netprobe.lint.rules.__name__}.{name}")
    rule = cast("RuleModule", module)
    text = (inspect.getdoc(module) or "") + "\n"
    title, _, prose = EXAMPLE.split(text, maxsplit=1)[0].partition("\n")
    examples = [dedent(body).rstrip() + "\n" for body in EXAMPLE.findall(text)]
    return LintRule(
        name.replace("_", "-"),
        rule.SEVERITY,
        title,
        prose.strip(),
        tuple(_variant(example, "-") for example in examples),
        tuple(_variant(example, "+") for example in examples),
        rule,
    )


def _variant(example: str, sign: str) -> str:
    """The lines of an example that have this sign, or none, in front."""
    return "".join(line[2:] or "\n" for line in example.splitlines(keepends=True) if line[0] in f" {sign}\n")


@cache
def catalogue() -> Mapping[str, LintRule]:
    """All rules by id, in alphabetical order."""
    loaded = [load(module.name) for module in iter_modules(netprobe.lint.rules.__path__)]
    return {rule.id: rule for rule in sorted(loaded, key=lambda rule: rule.id)}
