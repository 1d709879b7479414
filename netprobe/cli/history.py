"""`netprobe history`: runs over time, and what changed in the last one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netprobe.cli.command import Command
from netprobe.cli.emit import write
from netprobe.cli.invoke import say
from netprobe.cli.options import OutputFlags, examples, output_options
from netprobe.errors import InputError

if TYPE_CHECKING:
    from netprobe.conformance.history import PastRun, RunChanges
    from netprobe.history import ReportDiff, SuiteRun
    from netprobe.report.style import Style


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--last", type=click.IntRange(1), default=20, help="Show the newest N runs.")
@output_options(("table", "json"))
@examples("""
netprobe run suite.yaml --history runs/   # a run adds its report
netprobe conformance --history runs/      # a conformance run adds its file
netprobe history runs/                    # the trend, and what the last run changed
""")
def command(folder: Path, last: int, out: OutputFlags) -> int:
    """Show the runs of suites and the conformance runs in FOLDER, oldest first, and what changed in the last.

    Runs of a suite are compared if they were on the same cluster. Exit status: 1 if the last run has new
    failures, otherwise 0.
    """
    from netprobe.conformance.history import RunChanges, changes, runs
    from netprobe.history import suite_runs
    from netprobe.history.saved import kind_of

    suites = suite_runs(folder, say) if folder.is_dir() else ()
    others = not suites or any(kind_of(path) != "Report" for path in folder.glob("*.json"))
    every: tuple[PastRun, ...] = ()
    if others:
        try:
            every = runs(folder, say, leave_out="Report")
        except InputError as error:
            if not suites:
                raise
            for problem in error.problems:
                say(f"{problem}; it is skipped")
    found = changes(every[:-1], every[-1]) if len(every) > 1 else RunChanges()
    differences = _last_changes(suites)

    def render(format_: str, style: Style) -> Iterator[str]:
        from netprobe.history.text import history_document, history_lines
        from netprobe.report.conformance_table import trend

        if format_ == "json":
            documents = [_conformance(every[-last:], found)] if every else []
            documents += [history_document(suites[-last:], differences)] if suites else []
            one = documents[0] if len(documents) == 1 else {**documents[1], "conformance": documents[0]}
            yield json.dumps(one, indent=2, ensure_ascii=False) + "\n"
            return
        if suites:
            yield from history_lines(suites[-last:], differences, style)
        if suites and every:
            yield "\n"
        if every:
            yield from trend(every[-last:], found)

    write(render, out)
    broke = any(change.broke for one in differences.values() for change in one.flows)
    return 1 if found.failures or broke else 0


def _last_changes(runs: tuple[SuiteRun, ...]) -> dict[str, ReportDiff]:
    """By the file of the last run of each suite and cluster: what changed since the run before."""
    from netprobe.history import difference

    found = {}
    for key in dict.fromkeys(run.key for run in runs):
        same = [run for run in runs if run.key == key]
        if len(same) > 1:
            found[str(same[-1].path)] = difference(same[-2].report, same[-1].report)
    return found


def _conformance(shown: tuple[PastRun, ...], found: RunChanges) -> dict[str, Any]:
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConformanceHistory",
        "runs": [
            {
                "started": one.started.isoformat(timespec="seconds"),
                "run": one.run,
                "cluster": one.cluster,
                "seconds": one.seconds,
                "converged_s": one.converged_s,
                "summary": {status.value: number for status, number in one.counts.items()},
            }
            for one in shown
        ],
        "changes": asdict(found),
    }
