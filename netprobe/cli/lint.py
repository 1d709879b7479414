"""`netprobe lint`: mistakes in policies, with file and line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from netprobe.cli import complete, options
from netprobe.cli.command import invocation
from netprobe.cli.emit import write as write_findings
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.inputs import live_objects, tier_option
from netprobe.cli.invoke import say
from netprobe.cli.progress import shown
from netprobe.errors import Problem, UsageError
from netprobe.lint import LintConfig, Linted, catalogue, fix_files, lint
from netprobe.report import FINDING_FORMATS, save
from netprobe.report.style import Style, wrapped

if TYPE_CHECKING:
    from netprobe.model.policy import Tier

UNREADABLE = 2


@dataclass(frozen=True, slots=True)
class LintFlags(options.Flags):
    paths: tuple[str, ...] = options.argument(nargs=-1, type=click.Path(allow_dash=True))
    filenames: tuple[str, ...] = options.manifests()
    tiers: tuple[Tier, ...] = tier_option()
    cluster: ClusterFlags = options.nested(ClusterFlags)
    namespace: str | None = options.namespace()
    out: options.OutputFlags = options.output(FINDING_FORMATS.names)
    strict: bool = options.flag("--strict", "Exit with status 1 on warnings too.")
    write: bool = options.flag("--fix", "Fix unambiguous problems in place.")
    config: str | None = options.option(
        "--config PATH", "Configuration file. Default: the nearest .netprobe.yaml.", type=click.Path()
    )
    rule: str | None = options.option(
        "--explain [RULE]",
        "Show the manual of a rule, or list all rules.",
        is_flag=False,
        flag_value="",
        shell_complete=complete.rules,
    )


@options.as_command(LintFlags)
def command(flags: LintFlags) -> int:
    """Find mistakes in policies: in files and folders, or in a cluster with --context.

    Rules that need the labels of pods or namespaces report nothing without them. The annotation
    `netprobe.dev/ignore-RULE: reason` silences a rule for one policy. `.netprobe.yaml` configures the rules.

    Exit status: 0 no errors, 1 errors (with --strict also warnings), 2 if something cannot be read.

    Examples:
      netprobe lint policies/                        # files and folders, or with -f
      netprobe lint -f policies/ -f workloads/       # with the pods: selectors are checked too
      netprobe lint suite.yaml                       # the policies of a suite, with the pods of its topology
      kubectl get ns,pods,svc,netpol -A -o yaml | netprobe lint -
      netprobe lint --context staging                # the policies of a live cluster
      netprobe lint --fix policies/                  # fix unambiguous problems
      netprobe lint --explain or-for-and             # what a rule means, with examples
      netprobe lint -o sarif policies/ > lint.sarif  # for code scanning
    """
    from netprobe.lint.read import configuration, from_objects, read
    from netprobe.simulate.bits import uncollected
    from netprobe.suite import is_suite

    if flags.rule is not None:
        return _explain(flags.rule, flags.paths)
    given = [*flags.paths, *flags.filenames]
    live = bool(flags.cluster or (invocation().plugin and not given))
    if live and (given or flags.write or flags.tiers):
        raise UsageError("--context and --kubeconfig cannot be combined with files, --tier or --fix")
    if not given and not live:
        raise UsageError("no policies given: name files or folders, or a cluster with --context")
    is_of_suite = len(given) == 1 and is_suite(given[0])
    if is_of_suite and flags.tiers:
        raise UsageError("--tier is for manifests: a suite has its own tiers")
    if flags.write and "-" in given:
        raise UsageError("--fix needs files: it cannot change standard input")
    chosen = configuration(flags.config)

    def found() -> tuple[Linted, Sequence[Problem]]:
        if is_of_suite:
            return _of_suite(given[0], chosen), ()
        if live:
            listed = live_objects(flags.cluster)
            seen = from_objects(listed.objects, listed.unreadable)
        else:
            with shown() as progress:
                progress("reading manifests")
                seen = read(given, chosen, flags.namespace or "default", flags.tiers)
        with uncollected():
            return seen.lint(chosen), seen.problems

    linted, problems = found()
    if flags.write and _fix(linted):
        linted, problems = found()
    return _show(linted, problems, flags.out, strict=flags.strict)


def _of_suite(path: str, config: LintConfig) -> Linted:
    """The policies of a suite; with a topology also what each fix opens and closes."""
    from netprobe.lint.fix import with_effects
    from netprobe.lint.read import of_suite
    from netprobe.run.steps import advisor_of
    from netprobe.simulate import CALICO
    from netprobe.suite import load

    suite = load(path)
    linted = lint(of_suite(suite), config)
    return with_effects(linted, advisor_of(suite, None, CALICO)) if suite.topology is not None else linted


def _show(linted: Linted, problems: Sequence[Problem], out: options.OutputFlags, *, strict: bool) -> int:
    """Print the findings, then what could not be read. Returns the exit status."""
    if linted.policies or linted.findings or out.output != "table" or not problems:
        write_findings(FINDING_FORMATS.of(linted), out)
    for problem in problems:
        say(str(problem))
    return UNREADABLE if problems else int(linted.failed(strict=strict))


def _fix(linted: Linted) -> bool:
    """Fix the files. Returns whether any has changed."""
    results = fix_files(linted.findings, save)
    for result in results:
        for finding in result.fixed:
            say(f"{finding.place}: fixed {finding.rule}: {finding.suggestion}")
        for finding, reason in result.left:
            say(f"{finding.place}: {finding.rule} not fixed: {reason}")
    return any(result.fixed for result in results)


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
        print(f"{rules[one].id} ({rules[one].severity.value})\n\n{_fitted(rules[one].text)}\n")
    return 0


def _fitted(text: str) -> str:
    """A manual with lines that fit the terminal; examples and lists stay as they are."""
    style = Style.of(sys.stdout, os.environ)
    if style.width is None:
        return text
    blocks = (
        block
        if block.startswith((" ", "-")) or "\n " in block
        else wrapped(block.replace("\n", " "), style, hang="")
        for block in text.split("\n\n")
    )
    return "\n\n".join(blocks)
