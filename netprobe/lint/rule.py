"""Rules of lint, their findings, and the catalogue of all rules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from textwrap import dedent, indent
from typing import TypeAlias

import netprobe.lint.rules
from netprobe.lint.view import View
from netprobe.manifests.change import Operation, Patch, SideEffects
from netprobe.model.policy import Origin, Policy, PolicyRef


class Severity(Enum):
    """ERROR: certainly wrong. WARNING: probably not what the author wants. NOTE: worth a look."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake in one policy.

    `path` is the part of the object that is wrong, "" for all of it. `suggestion` says in one sentence what
    to do. `fix` is the same as JSON Patch operations, for `--fix`; only if there is one right answer.
    `effects` is what it opens and closes, if that has been worked out. `rule` is the id of the rule, which
    `LintRule.check` fills in.
    """

    subject: PolicyRef
    path: str
    message: str
    suggestion: str = ""
    severity: Severity = Severity.WARNING
    fix: tuple[Operation, ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)
    effects: SideEffects | None = field(default=None, compare=False, repr=False)
    rule: str = ""

    @classmethod
    def about(
        cls,
        policy: Policy,
        path: str,
        message: str,
        *,
        suggestion: str = "",
        severity: Severity = Severity.WARNING,
        fix: tuple[Operation, ...] = (),
    ) -> Finding:
        return cls(policy.ref, path, message, suggestion, severity, fix, policy.origin)

    @property
    def patch(self) -> Patch:
        """What `--fix` does to the policy."""
        return Patch(self.subject.kind, str(self.subject), self.fix, self.origin)

    @property
    def file(self) -> str | None:
        """The file of the policy; None for one of a live cluster."""
        return (self.origin.file or None) if self.origin else None

    @property
    def position(self) -> tuple[int, int]:
        """Line and column, from 1, of the part that is wrong."""
        return self.origin.at(self.path) if self.origin else (1, 1)

    @property
    def full_name(self) -> str:
        """ "networkpolicy/shop/web", as kubectl takes it."""
        return f"{self.subject.kind.lower()}/{self.subject}"

    @property
    def place(self) -> str:
        """ "file:line:column", or the policy's name for one of a live cluster."""
        if self.file is None:
            return self.full_name
        line, column = self.position
        return f"{self.file}:{line}:{column}"


Check: TypeAlias = Callable[[View], Iterator[Finding]]

EXAMPLE = re.compile(r"^Example:\n\n((?:(?:    .*)?\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LintRule:
    """A rule with its manual, the docstring of its function.

    `severity` is that of its most severe findings. `title` is the docstring's first line, and `prose` what
    follows up to the examples. Each example is two texts of YAML manifests: the rule finds something in that
    of `fails` and nothing in that of `passes`.
    """

    id: str
    severity: Severity
    title: str
    prose: str
    fails: tuple[str, ...]
    passes: tuple[str, ...]
    function: Check

    @property
    def text(self) -> str:
        """The whole manual."""
        parts = [self.title, self.prose]
        for word, snippets in (("Fails", self.fails), ("Passes", self.passes)):
            parts += [f"{word}:\n\n{indent(snippet, '    ').rstrip()}" for snippet in snippets]
        return "\n\n".join(parts)

    def check(self, view: View) -> Iterator[Finding]:
        return (replace(finding, rule=self.id) for finding in self.function(view))


_RULES: dict[str, LintRule] = {}


def lint_rule(severity: Severity) -> Callable[[Check], Check]:
    """Make a rule of a function: its id is the name, with hyphens, and its manual the docstring."""

    def add(function: Check) -> Check:
        name = function.__name__.replace("_", "-")
        text = (inspect.getdoc(function) or "") + "\n"
        title, _, prose = EXAMPLE.split(text, maxsplit=1)[0].partition("\n")
        examples = [dedent(body).rstrip() + "\n" for body in EXAMPLE.findall(text)]
        _RULES[name] = LintRule(
            name,
            severity,
            title,
            prose.strip(),
            tuple(_variant(example, "-") for example in examples),
            tuple(_variant(example, "+") for example in examples),
            function,
        )
        return function

    return add


def _variant(example: str, sign: str) -> str:
    """The lines of an example that have this sign, or none, in front."""
    return "".join(line[2:] or "\n" for line in example.splitlines(keepends=True) if line[0] in f" {sign}\n")


@cache
def catalogue() -> Mapping[str, LintRule]:
    """All rules by id, in alphabetical order: those of every module in `netprobe/lint/rules/`."""
    for module in iter_modules(netprobe.lint.rules.__path__):
        import_module(f"{netprobe.lint.rules.__name__}.{module.name}")
    return dict(sorted(_RULES.items()))
