"""Manifests to findings, as the command does it, without files."""

from __future__ import annotations

from textwrap import dedent

from netprobe.lint import NO_CONFIG, Finding, LintConfig, Linted, View, catalogue, lint
from netprobe.lint.read import WEBHOOKS, LintInput
from netprobe.manifests import Reader


def view(text: str, file: str = "test.yaml") -> View:
    gathered = LintInput()
    reader = Reader(keeps=WEBHOOKS)
    for document in (*reader.text(file, dedent(text)), *reader.unsimulated):
        gathered.add(document)
    gathered.skipped = list(reader.skipped)
    gathered.webhooks = [document.object for document in reader.kept]
    assert not reader.problems, reader.problems
    seen = gathered.view()
    assert not gathered.problems, gathered.problems
    return seen


def linted(text: str, *rules: str, config: LintConfig = NO_CONFIG) -> Linted:
    chosen = [catalogue()[rule] for rule in rules] if rules else None
    return lint(view(text), config, chosen)


def found(text: str, *rules: str) -> tuple[Finding, ...]:
    return linted(text, *rules).findings
