"""`netprobe conformance`: does this cluster implement NetworkPolicy?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netprobe.cli import complete, options
from netprobe.cli.command import is_given
from netprobe.cli.flags import ClusterFlags, LabFlags, PodFlags, resolve_target
from netprobe.cli.parameters import SHARD
from netprobe.errors import NetprobeError, UsageError
from netprobe.report import CONFORMANCE_FORMATS

if TYPE_CHECKING:
    from netprobe.conformance.case import Case
    from netprobe.conformance.result import Results
    from netprobe.conformance.runner import ConformanceRun
    from netprobe.run.record import ClusterInfo, RunInfo

LEFT_BEHIND = "the cleanup did not finish: `netprobe clean` removes what is left"


@dataclass(frozen=True, slots=True)
class ConformanceFlags(options.Flags):
    cluster: ClusterFlags = options.nested(ClusterFlags)
    lab: LabFlags = options.nested(LabFlags)
    include: Sequence[str] = options.repeatable(
        "--include TAG", "Only cases with this tag, rule or feature.", shell_complete=complete.tags
    )
    exclude: Sequence[str] = options.repeatable(
        "--exclude TAG", "Leave out cases with this tag, rule or feature.", shell_complete=complete.tags
    )
    only: Sequence[str] = options.repeatable(
        "--only NAME", "Only cases with this name or pattern (*).", shell_complete=complete.cases
    )
    listing: bool = options.flag("--list", "List the cases and exit.")
    files: Sequence[str] = options.repeatable(
        "--cases FILE", "Add your own cases (format: docs/conformance.md).", type=click.Path()
    )
    shard: tuple[int, int] | None = options.option(
        "--shard I/N",
        "Run only shard I (from 0) of N, for example as a worker of an Indexed Job.",
        type=SHARD,
    )
    join: bool = options.flag("--join", "Run nothing: join the JSON reports of shards into one report.")
    parts: Sequence[str] = options.argument(nargs=-1, type=click.Path())
    full: bool = options.flag(
        "--full", "Probe every cell of every case, including pods that no policy selects."
    )
    fixtures: int | None = options.option(
        "--fixtures N",
        "How many cases to run at once, each on its own nine pods.  [default: 4; on a lab 8]",
        type=click.IntRange(1, 16),
    )
    known_file: str | None = options.option(
        "--expect-failures FILE",
        "YAML file of cases that are known to fail, with reasons.",
        type=click.Path(),
    )
    history: str | None = options.option(
        "--history DIR",
        "Keep a small file per run in this folder, and report what changed.",
        type=click.Path(),
    )
    baseline: str | None = options.option(
        "--baseline PATH",
        "Earlier run, or --history folder: only failures that are not in it fail the run.",
        type=click.Path(),
    )
    pods: PodFlags = options.nested(PodFlags)
    ready_s: float = options.ready("180s")
    wait_s: float = options.wait()
    profile: str = options.profile()
    out: options.OutputFlags = options.output(CONFORMANCE_FORMATS.names)
    results: str | None = options.option(
        "--results DIR",
        "Write all formats into this folder, then a file `done`, as Sonobuoy expects.",
        type=click.Path(),
    )


@options.as_command(ConformanceFlags)
def command(flags: ConformanceFlags) -> int:
    """Test whether a cluster implements NetworkPolicy, with hundreds of cases with known results.

    Creates sets of nine pods and runs cases on them in parallel: applies policies, probes every flow with
    `nc -zv`, and compares the results with the rules of the API. Removes everything at the end. PARTS are for
    --join.

    Exit status: 0 all cases passed, 1 unexpected failures, 2 unusable input, 3 some cases unknown, flaky or
    not tried, 130 interrupted. Finished cases are reported however the run ends.

    Examples:
      netprobe conformance                                    # on a lab created for this run
      netprobe conformance --context kind-kind --report junit=junit.xml
      netprobe conformance --include named-port --list
      netprobe conformance --context kind-kind --shard 0/3 -o json > part-0.json
      netprobe conformance --join part-*.json --report html=night.html
      netprobe conformance --context prod --history runs/ --baseline runs/
    """
    from netprobe.cli import signals
    from netprobe.cli.emit import write
    from netprobe.cli.invoke import say
    from netprobe.conformance import shard as shards
    from netprobe.conformance.baseline import Baseline, load_expected_failures
    from netprobe.conformance.case import select_cases
    from netprobe.conformance.load import builtin, load
    from netprobe.conformance.runner import ConformanceRun
    from netprobe.probe import Deadlines, Pace
    from netprobe.report.conformance import save_all
    from netprobe.run.cluster import RunOptions
    from netprobe.simulate import profile as profile_of

    target, new_lab = resolve_target(flags.cluster, flags.lab)
    nodes = flags.lab.lab_nodes if is_given("lab_nodes") else 2
    new_lab = replace(new_lab, nodes=nodes, ip_families=("ipv4", "ipv6"))  # so that no case is skipped
    every = (*builtin(), *(case for file in flags.files for case in load(file)))
    cases = select_cases(every, include=flags.include, exclude=flags.exclude, only=flags.only)
    if flags.listing:
        _list(cases)
        return 0
    if flags.join is not bool(flags.parts):
        raise UsageError("--join takes the JSON reports of shards; file arguments need --join")
    if flags.join and (flags.include or flags.exclude or flags.only or flags.shard):
        raise UsageError("--join cannot be combined with --include, --exclude, --only or --shard")
    expected = load_expected_failures(flags.known_file, every) if flags.known_file else ()
    results_folder = _writable(flags.results, "--results")
    folder = _writable(flags.history, "--history")
    known = Baseline.read(expected, Path(flags.baseline) if flags.baseline else None, folder, say)

    def report(results: Results, info: ClusterInfo, run: RunInfo) -> int:
        found = known.report(results, info, run)
        try:
            if results_folder is not None:
                save_all(found, results_folder)
        finally:  # a full disk there does not keep the other reports from being written
            write(CONFORMANCE_FORMATS.of(found), flags.out)
        return signals.status() if results.interrupted else found.exit_status

    if flags.join:
        return report(*shards.join([Path(part) for part in flags.parts], every))
    if flags.shard is not None:
        index, count = flags.shard
        cases = cases[index::count]
        if not cases:
            raise UsageError(f"shard {index} of {count} is empty: there are fewer cases than shards")
    run = ConformanceRun(
        cases,
        RunOptions(
            target=target,
            lab=new_lab,
            pods=flags.pods.options(lifetime_s=4 * 3600),
            deadlines=Deadlines(ready_s=flags.ready_s),
            pace=Pace(wait_s=flags.wait_s),
            profile=profile_of(flags.profile),
            request_timeout_s=flags.cluster.request_timeout_s,
        ),
        flags.fixtures,
        flags.full,
        flags.shard,
    )
    return report(_results(run), run.cluster, run.info)


def _results(run: ConformanceRun) -> Results:
    """Run the cases; however the run ends, return the results of the finished cases."""
    from netprobe.cli.invoke import say
    from netprobe.cli.progress import cases_shown
    from netprobe.cli.signals import run_async
    from netprobe.conformance.result import CaseStatus

    async def results() -> Results:
        with cases_shown(len(run.cases)) as (narrate, on_result):
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
