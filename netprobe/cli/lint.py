"""`netprobe lint`: mistakes in policies, with file and line."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netprobe.cli.app import Invocation
from netprobe.cli.frame import say
from netprobe.cli.manifests import say_overlays
from netprobe.cli.options import cluster_options, examples, filename_option
from netprobe.cli.progress import reading
from netprobe.errors import Problem, UsageError
from netprobe.lint import Edit, Finding, LintConfig, Linted, catalogue, edits, fix, lint
from netprobe.report import save
from netprobe.report.findings import FINDING_FORMATS, render_findings
from netprobe.report.style import Style

if TYPE_CHECKING:
    from netprobe.cli.lint_input import Gathered

KINDS = ("Namespace", "Pod", "Service", "NetworkPolicy")
UNREADABLE = 2


@click.command
@click.argument("paths", nargs=-1, type=click.Path(allow_dash=True))
@filename_option
@cluster_options
@click.option("-n", "--namespace", metavar="NAME", help="Where manifests that name no namespace will land.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(FINDING_FORMATS),
    default="table",
    show_default=True,
    help="What to write to standard output.",
)
@click.option("--strict", is_flag=True, help="Exit 1 on warnings too.")
@click.option("--fix", "write", is_flag=True, help="Mend what has one right answer, in the files.")
@click.option("--config", metavar="PATH", type=click.Path(), help="Instead of the nearest .netprobe.yaml.")
@click.option(
    "--explain",
    "rule",
    is_flag=False,
    flag_value="",
    metavar="[RULE]",
    help="The manual of a rule; a list of all.",
)
@examples("""
netprobe lint policies/                        # files and folders, or with -f
netprobe lint -f policies/ -f workloads/       # more is known: selectors are held against the pods
netprobe lint suite.yaml                       # a suite's policies, with the labels of its topology
kubectl get ns,pods,svc,netpol -A -o yaml | netprobe lint -
netprobe lint --context staging                # what is live
netprobe lint --fix policies/                  # mend what has one right answer
netprobe lint --explain or-for-and             # what a rule means, with examples
netprobe lint -o sarif policies/ > lint.sarif  # for code scanning
""")
@click.pass_obj
def command(
    invocation: Invocation,
    *,
    paths: tuple[str, ...],
    filenames: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    namespace: str | None,
    output: str,
    strict: bool,
    write: bool,
    config: str | None,
    rule: str | None,
) -> int:
    """Find mistakes in NetworkPolicies: in files and folders, or in a cluster with --context.

    A rule that needs the labels of pods or namespaces is silent where they are not given. An annotation
    `netprobe.dev/ignore-RULE: reason` silences a rule for one policy; `.netprobe.yaml` configures.

    Exit status: 1 with errors (with --strict: warnings), 2 where something cannot be read, else 0.
    """
    from netprobe.cli.lint_input import configuration, is_suite

    if rule is not None:
        return _explain(rule, paths)
    asked = [*paths, *filenames]
    live = bool(kubeconfig or context or (invocation.plugin and not asked))
    if live and (asked or write):
        raise UsageError("--context and --kubeconfig look at a cluster: without files and without --fix")
    if not asked and not live:
        raise UsageError("nothing to look at: name files or folders, or a cluster with --context")
    chosen = configuration(config)
    if live:
        linted, problems = _live(kubeconfig, context, request_timeout_s, chosen)
        return _show(linted, problems, output, strict=strict)
    if len(asked) == 1 and is_suite(asked[0]):
        return _suite(asked[0], chosen, output, strict=strict, write=write)
    if write and "-" in asked:
        raise UsageError("--fix needs files: standard input cannot be changed")
    gathered, linted = _look(asked, chosen, namespace)
    if write and _mend(linted):
        gathered, linted = _look(asked, chosen, namespace)
    for chart in sorted(gathered.charts):
        say(
            f"{chart}: a Helm chart is not looked at; render it first (helm template) and lint what comes out"
        )
    say_overlays(gathered.overlays)
    return _show(linted, gathered.problems, output, strict=strict)


def _look(asked: Sequence[str], config: LintConfig, namespace: str | None) -> tuple[Gathered, Linted]:
    from netprobe.cli.lint_input import read
    from netprobe.simulate.bits import uncollected

    with reading("reading manifests") as progress:
        gathered = read(asked, config, namespace or "default", progress)
    with uncollected():
        return gathered, gathered.lint(config)


def _suite(path: str, config: LintConfig, output: str, *, strict: bool, write: bool) -> int:
    from netprobe.cli.lint_input import suite

    linted = lint(suite(path), config)
    if write and _mend(linted):
        linted = lint(suite(path), config)
    return _show(linted, (), output, strict=strict)


def _live(
    kubeconfig: str | None, context: str | None, timeout_s: float, config: LintConfig
) -> tuple[Linted, Sequence[Problem]]:
    from netprobe.cli.lint_input import live
    from netprobe.cli.loop import run_async
    from netprobe.kube import connect

    async def ask() -> list[Mapping[str, Any]]:
        async with connect(kubeconfig, context, request_timeout_s=timeout_s) as cluster:
            return [thing for kind in KINDS for thing in await cluster.find(kind)]

    gathered = live(run_async(ask()))
    return gathered.lint(config), gathered.problems


def _show(linted: Linted, problems: Sequence[Problem], output: str, *, strict: bool) -> int:
    """The findings, then what could not be read; returns the exit status."""
    if linted.policies or linted.findings or output != "table" or not problems:
        sys.stdout.writelines(render_findings(linted, output, _edits, Style.of(sys.stdout, os.environ)))
    for problem in problems:
        say(str(problem))
    return UNREADABLE if problems else int(linted.failed(strict=strict))


def _edits(finding: Finding) -> tuple[Edit, ...]:
    text = _text(finding.file)
    return () if text is None else edits(text, finding)


def _text(file: str | None) -> str | None:
    """The characters of a file, line ends as they are; None for what is no file of ours to edit."""
    if file is None or not Path(file).is_file():
        return None
    try:
        return Path(file).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _mend(linted: Linted) -> int:
    """Write the files with what could be mended; returns how many findings that were."""
    by_file: dict[str, list[Finding]] = defaultdict(list)
    for finding in linted.findings:
        if finding.changes and finding.file:
            by_file[finding.file].append(finding)
    count = 0
    for file, findings in by_file.items():
        text = _text(file)
        if text is None:
            continue
        fixed = fix(text, findings)
        for finding in fixed.mended:
            say(f"{finding.place}: fixed {finding.rule}: {finding.suggestion}")
        for finding, reason in fixed.left:
            say(f"{finding.place}: {finding.rule} is left to you: {reason}")
        if fixed.mended:
            save(Path(file), [fixed.text])
        count += len(fixed.mended)
    return count


def _explain(name: str, paths: tuple[str, ...]) -> int:
    rules = catalogue()
    if not name and not paths:
        width = max(map(len, rules))
        for rule in rules.values():
            print(f"{rule.id:{width}}  {rule.severity.value:7}  {rule.title}")
        return 0
    for one in [name, *paths] if name else paths:
        if one not in rules:
            near = get_close_matches(one, rules, 1)
            hint = f"did you mean {near[0]}?" if near else "`netprobe lint --explain` lists them"
            raise UsageError(f"no rule {one!r}; {hint}")
        print(f"{rules[one].id} ({rules[one].severity.value})\n\n{rules[one].text}\n")
    return 0
