"""`netprobe conformance`: does this cluster implement NetworkPolicy?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from netprobe.cli import complete
from netprobe.cli.command import Command
from netprobe.cli.flags import (
    ClusterFlags,
    LabFlags,
    PodFlags,
    cluster_options,
    lab_options,
    pod_options,
    resolve_target,
)
from netprobe.cli.options import (
    OutputFlags,
    examples,
    flag,
    output_options,
    profile_option,
    ready_option,
    repeatable,
    wait_option,
)
from netprobe.cli.parameters import SHARD
from netprobe.errors import NetprobeError, UsageError
from netprobe.report.conformance import CONFORMANCE_FORMATS

if TYPE_CHECKING:
    from netprobe.conformance.case import Case
    from netprobe.conformance.conformance_run import ConformanceRun
    from netprobe.conformance.result import Results
    from netprobe.run.record import ClusterInfo, RunInfo

LEFT_BEHIND = "the cleanup did not finish: `netprobe clean` removes what is left"


@click.command(cls=Command)
@cluster_options
@lab_options
@repeatable(
    "--include",
    metavar="TAG",
    shell_complete=complete.tags,
    help="Only cases with this tag, rule or feature.",
)
@repeatable(
    "--exclude", metavar="TAG", shell_complete=complete.tags, help="No cases with this tag, rule or feature."
)
@repeatable(
    "--only", metavar="NAME", shell_complete=complete.cases, help="Only cases with this name or pattern (*)."
)
@flag("--list", "List the cases and exit.", "listing")
@repeatable(
    "--cases",
    "files",
    type=click.Path(),
    metavar="FILE",
    help="Add your own cases (format: docs/conformance.md).",
)
@click.option(
    "--shard",
    type=SHARD,
    metavar="I/N",
    help="Run only shard I (from 0) of N, for example as a worker of an Indexed Job.",
)
@flag("--join", "Run nothing: join the JSON reports of shards into one report.")
@click.argument("parts", nargs=-1, type=click.Path())
@flag("--full", "Probe every cell of every case, including pods that no policy selects.")
@click.option(
    "--fixtures",
    type=click.IntRange(1, 16),
    help="Number of cases to run at once, each on nine pods of its own.  [default: 4; on a lab 8]",
)
@click.option(
    "--expect-failures",
    "known_file",
    type=click.Path(),
    metavar="FILE",
    help="File of cases that are known to fail here, each with a reason and an end date.",
)
@click.option(
    "--history",
    type=click.Path(),
    metavar="DIR",
    help="Keep a small file per run in this folder, and report what changed.",
)
@click.option(
    "--baseline",
    type=click.Path(),
    metavar="PATH",
    help="Run (or --history folder) to compare with: only new failures make the run fail.",
)
@pod_options
@ready_option("180s")
@wait_option
@profile_option
@output_options(CONFORMANCE_FORMATS.names)
@click.option(
    "--results",
    type=click.Path(),
    metavar="DIR",
    help="Write all formats into a folder, and finally a file `done`, as Sonobuoy expects.",
)
@examples("""
netprobe conformance                                    # on a lab created for this run
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
    *,
    cluster: ClusterFlags,
    lab: LabFlags,
    pods: PodFlags,
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
    out: OutputFlags,
    results: str | None,
) -> int:
    """Test whether a cluster implements NetworkPolicy, with hundreds of cases with known results.

    Creates fixtures of nine pods and runs cases on them in parallel: applies policies, probes every flow
    with `nc -zv`, and compares the result with the text of the API. Removes everything at the end.

    Exit status: 0 all cases passed, 1 unexpected failures, 3 unknown, flaky or not all tried, 130
    interrupted. However the run ends, finished cases are reported.
    """
    from netprobe.cli import signals
    from netprobe.cli.emit import write
    from netprobe.cli.invoke import say
    from netprobe.conformance import shard as shards
    from netprobe.conformance.baseline import Baseline, load_expected_failures
    from netprobe.conformance.case import select_cases
    from netprobe.conformance.conformance_run import ConformanceRun
    from netprobe.conformance.load import builtin, load
    from netprobe.probe import Deadlines, Pace
    from netprobe.report.conformance import save_all
    from netprobe.run.options import RunOptions
    from netprobe.simulate import profile as profile_of

    target, new_lab = resolve_target(ctx, cluster, lab)
    nodes = 2 if ctx.get_parameter_source("lab_nodes") is ParameterSource.DEFAULT else lab.lab_nodes
    new_lab = replace(new_lab, nodes=nodes, ip_families=("ipv4", "ipv6"))  # so that no case is skipped
    every = (*builtin(), *(case for file in files for case in load(file)))
    cases = select_cases(every, include=include, exclude=exclude, only=only)
    if listing:
        _list(cases)
        return 0
    if join is not bool(parts):
        raise UsageError("--join takes the JSON reports of shards; file arguments need --join")
    if join and (include or exclude or only or shard):
        raise UsageError("--join cannot be combined with --include, --exclude, --only or --shard")
    expected = load_expected_failures(known_file, every) if known_file else ()
    results_folder = _writable(results, "--results")
    folder = _writable(history, "--history")
    known = Baseline.read(expected, Path(baseline) if baseline else None, folder, say)

    def report(results: Results, info: ClusterInfo, run: RunInfo) -> int:
        found = known.report(results, info, run)
        try:
            if results_folder is not None:
                save_all(found, results_folder)
        finally:  # a full disk there does not keep the other reports from being written
            write(CONFORMANCE_FORMATS.of(found), out)
        return signals.status() if results.interrupted else found.exit_status

    if join:
        return report(*shards.join([Path(part) for part in parts], every))
    if shard is not None:
        index, count = shard
        cases = cases[index::count]
        if not cases:
            raise UsageError(f"shard {index} of {count} is empty: there are fewer cases than shards")
    run = ConformanceRun(
        cases,
        RunOptions(
            target=target,
            lab=new_lab,
            pods=pods.options(lifetime_s=4 * 3600),
            deadlines=Deadlines(ready_s=ready_s),
            pace=Pace(wait_s=wait_s),
            profile=profile_of(profile),
            request_timeout_s=cluster.request_timeout_s,
        ),
        fixtures,
        full,
        shard,
    )
    return report(_results(run), run.cluster, run.info)


def _results(run: ConformanceRun) -> Results:
    """Run the cases; however the run ends, the results of its finished cases."""
    from netprobe.cli.conformance_progress import progress
    from netprobe.cli.invoke import say
    from netprobe.cli.signals import run_async
    from netprobe.conformance.result import CaseStatus

    async def results() -> Results:
        with progress(len(run.cases)) as (narrate, on_result):
            return await run.results(narrate, on_result)

    try:
        found = run_async(results())
    except KeyboardInterrupt as error:
        left = () if run.options.target.is_ephemeral_lab else (LEFT_BEHIND,)
        found = run.finished(error, interrupted=True, problems=left)
    except NetprobeError as error:
        found = run.finished(error, problems=(str(error),))
    if found.interrupted or found.counts[CaseStatus.UNTRIED]:
        for problem in found.problems:
            say(problem)
    return found


def _writable(folder: str | None, option: str) -> Path | None:
    """The folder, created if needed. UsageError if nothing can be written to it."""
    if folder is None:
        return None
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: cannot create {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: {path} is not writable")
    return path


def _list(cases: Sequence[Case]) -> None:
    feature = None
    for case in sorted(cases, key=lambda case: case.feature):
        if case.feature != feature:
            feature = case.feature
            print(feature)
        tags = ", ".join(sorted(case.tags))
        print(f"  {case.name}  [{', '.join(case.rules)}; {tags}]")
    print("1 case" if len(cases) == 1 else f"{len(cases)} cases")
