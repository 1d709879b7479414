"""`netprobe conformance`: does this cluster implement NetworkPolicy?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netprobe.cli.options import (
    ReportFile,
    ReportType,
    cluster_options,
    examples,
    lab_options,
    profile_option,
    ready_option,
    wait_option,
)
from netprobe.cli.pod_options import PodFlags, pod_options, print_images
from netprobe.errors import UsageError

if TYPE_CHECKING:
    from netprobe.conformance.case import Case
    from netprobe.report.conformance import Conformance

FORMATS = ("table", "json", "markdown", "junit", "github", "html")


class ShardType(click.ParamType[tuple[int, int]]):
    """ "0/3": the first of three parts."""

    name = "I/N"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        index, _, count = value.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            self.fail(f"{value!r} is not of the form I/N, with I from 0 to N - 1", param, ctx)
        return int(index), int(count)


@click.command
@cluster_options
@lab_options
@click.option(
    "--include", multiple=True, metavar="TAG", help="Only cases with this tag, rule or feature. Repeatable."
)
@click.option("--exclude", multiple=True, metavar="TAG", help="No case with this tag. Repeatable.")
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only the case of this name, or pattern (*). Repeatable."
)
@click.option("--list", "listing", is_flag=True, help="List the cases, and try none.")
@click.option(
    "--cases",
    "files",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="Cases of your own beside the built-in ones: docs/conformance.md has the form. Repeatable.",
)
@click.option(
    "--shard",
    type=ShardType(),
    metavar="I/N",
    help="Only part I (from 0) of the cases in N parts, as the worker of an Indexed Job.",
)
@click.option(
    "--join", is_flag=True, help="Try nothing: lay the JSON reports of such parts together, and report."
)
@click.argument("parts", nargs=-1, type=click.Path())
@click.option(
    "--full", is_flag=True, help="Ask every cell of every case, also of pods that no policy concerns."
)
@click.option(
    "--fixtures",
    type=click.IntRange(1, 16),
    help="How many cases to try at once, each on nine pods of its own.  [default: 4, on a lab 8]",
)
@click.option(
    "--expect-failures",
    "known_file",
    type=click.Path(),
    metavar="FILE",
    help="Cases that are known to fail here, each with a reason and a date.",
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="DIR",
    help="Keep a small file of each run here; say what changed.",
)
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="PATH",
    help="A run to compare with, or a folder of --history: only new failures fail.",
)
@pod_options
@ready_option("180s")
@wait_option
@profile_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="What to write to standard output.",
)
@click.option(
    "--report",
    "reports",
    type=ReportType(FORMATS),
    multiple=True,
    metavar="FORMAT=PATH",
    help="Write a report to a file too (- for standard output). Repeatable.",
)
@click.option(
    "--results",
    type=click.Path(),
    metavar="DIR",
    help="Write every form of the report into a folder, and a file `done` that names it, as Sonobuoy wants.",
)
@examples("""
netprobe conformance                                    # on a lab made for this
netprobe conformance --context kind-kind --report junit=junit.xml
netprobe conformance --include named-port --list
netprobe conformance --context kind-kind --shard 0/3 -o json > part-0.json
netprobe conformance --join part-*.json --report html=night.html
netprobe conformance --context prod-eu --history runs/ --baseline runs/ --expect-failures known.yaml
""")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    include: Sequence[str],
    exclude: Sequence[str],
    only: Sequence[str],
    listing: bool,
    files: Sequence[str],
    shard: tuple[int, int] | None,
    join: bool,
    parts: Sequence[str],
    full: bool,
    fixtures: int | None,
    known_file: str | None,
    history: str | None,
    baseline: str | None,
    ready_s: float,
    wait_s: float,
    profile: str,
    output: str,
    reports: Sequence[ReportFile],
    results: str | None,
    **others: Any,
) -> int:
    """Say whether a cluster implements NetworkPolicy, by hundreds of cases with known answers.

    Fixtures of nine pods are made once, and cases tried on them side by side: policies are applied, every
    flow is tried by `nc -zv`, and what is seen is held against what the API's text says. Everything is
    removed again.

    Exit status: 0 all as it should be, 1 a case failed that should not, 3 could not tell, flaky or not all
    tried, 130 interrupted. However it ends, the cases that were finished are reported.
    """
    from netprobe.cli.conformance_run import Baseline, ConformanceRun, emit, joined, writable, written
    from netprobe.cli.target import meant
    from netprobe.conformance import expected_failures
    from netprobe.conformance.case import select_cases
    from netprobe.conformance.load import builtin, load
    from netprobe.probe import Deadlines, Pace
    from netprobe.run.options import RunOptions
    from netprobe.simulate import profile as profile_of

    flags = PodFlags.taken_from(others)
    target, options = meant(ctx, kubeconfig, context, **others)
    nodes = (
        2 if ctx.get_parameter_source("lab_nodes") is click.core.ParameterSource.DEFAULT else options.nodes
    )
    options = replace(
        options, nodes=nodes, ip_families=("ipv4", "ipv6")
    )  # so that no case is skipped for them
    if flags.print_images:
        return print_images(flags)
    every = (*builtin(), *(case for file in files for case in load(file)))
    cases = select_cases(every, include=include, exclude=exclude, only=only)
    if listing:
        _list(cases)
        return 0
    if join is not bool(parts):
        raise UsageError("--join takes the JSON reports of parts, and nothing else takes files")
    if join and (include or exclude or only or shard):
        raise UsageError(
            "--join tries no cases: --include, --exclude, --only and --shard belong to the parts"
        )
    expected = expected_failures.load(known_file, every) if known_file else ()
    if results is not None:
        writable(Path(results), "--results")
    ledger = Baseline.opened(expected, baseline, history)

    def told(found: Conformance) -> int:
        try:
            written(found, results)
        finally:  # a folder that is full keeps nobody from what is asked for elsewhere
            status = emit(found, output, reports)
        return status

    if join:
        return told(ledger.enter(*joined([Path(part) for part in parts], every)))
    if shard is not None:
        index, count = shard
        cases = cases[index::count]
        if not cases:
            raise UsageError(f"part {index} of {count} has no case: there are fewer cases than parts")
    night = ConformanceRun(
        cases=cases,
        terms=RunOptions(
            target=target,
            lab=options,
            pods=flags.pods(lifetime_s=4 * 3600),
            deadlines=Deadlines(ready_s=ready_s),
            pace=Pace(wait_s=wait_s),
            profile=profile_of(profile),
            request_timeout_s=request_timeout_s,
        ),
        fixtures=fixtures,
        full=full,
        shard=shard,
    )
    return told(ledger.enter(*night.found()))


def _list(cases: Sequence[Case]) -> None:
    feature = None
    for case in sorted(cases, key=lambda case: case.feature):
        if case.feature != feature:
            feature = case.feature
            print(feature)
        tags = ", ".join(sorted(case.tags))
        print(f"  {case.name}  [{', '.join(case.rules)}; {tags}]")
    print("1 case" if len(cases) == 1 else f"{len(cases)} cases")
