"""`netprobe history`: runs over time, and what changed in the last one."""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.command import Command
from netprobe.cli.emit import write
from netprobe.cli.invoke import say
from netprobe.cli.options import OutputFlags, examples, output_options


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--last", type=click.IntRange(1), default=20, help="Show the newest N runs.")
@output_options(("table", "json", "html"))
@examples("""
netprobe run suite.yaml --history runs/   # a run adds its report
netprobe conformance --history runs/      # a conformance run adds its file
netprobe history runs/                    # the trend, and what the last run changed
netprobe history runs/ --report html=runs.html
""")
def command(folder: Path, last: int, out: OutputFlags) -> int:
    """Show the runs of suites and the conformance runs in FOLDER, oldest first, and what changed in the last.

    Runs of a suite are compared if they were on the same cluster. Exit status: 1 if the last run has new
    failures, otherwise 0.
    """
    from netprobe.history import read_folder
    from netprobe.history.formats import HISTORY_FORMATS

    found = read_folder(folder, say)
    write(HISTORY_FORMATS.of(found.newest(last)), out)
    return found.exit_status
