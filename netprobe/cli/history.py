"""`netprobe history`: conformance runs over time, and what changed in the last one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netprobe.cli.command import Command
from netprobe.cli.emit import write
from netprobe.cli.options import OutputFlags, examples, output_options

if TYPE_CHECKING:
    from netprobe.conformance.history import PastRun, RunChanges
    from netprobe.report.style import Style


@click.command(cls=Command)
@click.argument("folder", type=click.Path())
@click.option("--last", type=click.IntRange(1), default=20, help="Show the newest N runs.")
@output_options(("table", "json"))
@examples("""
netprobe conformance --history runs/   # a run adds its file
netprobe history runs/                 # the trend, and what the last run changed
""")
def command(folder: str, last: int, out: OutputFlags) -> int:
    """Show the conformance runs in FOLDER, oldest first, and what changed in the last one.

    Exit status: 1 if the last run has new failures, otherwise 0.
    """
    from netprobe.conformance.history import RunChanges, changes, runs

    every = runs(Path(folder))
    shown = every[-last:]
    found = changes(every[:-1], every[-1]) if len(every) > 1 else RunChanges()

    def render(format_: str, _style: Style) -> Iterable[str]:
        if format_ == "json":
            return [json.dumps(_document(shown, found), indent=2, ensure_ascii=False) + "\n"]
        from netprobe.report.conformance_table import trend

        return trend(shown, found)

    write(render, out)
    return 1 if found.failures else 0


def _document(shown: tuple[PastRun, ...], found: RunChanges) -> dict[str, object]:
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
