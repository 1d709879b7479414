"""`netprobe history`: runs over time, and what changed in the last one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.cli import options
from netprobe.cli.emit import write
from netprobe.cli.invoke import say


@dataclass(frozen=True, slots=True)
class HistoryFlags(options.Flags):
    folder: Path = options.argument(type=click.Path(path_type=Path))
    last: int = options.option("--last N", "Show the newest N runs.", type=click.IntRange(1), default=20)
    out: options.OutputFlags = options.output(("table", "json", "html"))


@options.as_command(HistoryFlags)
def command(flags: HistoryFlags) -> int:
    """Show the runs kept in FOLDER, oldest first, and what changed in the last one.

    Lists runs of suites and conformance runs. Only runs on the same cluster are compared.

    Exit status: 0, 1 if the last run has new failures.

    Examples:
      netprobe run suite.yaml --history runs/   # adds the report of this run
      netprobe conformance --history runs/      # adds a file for this run
      netprobe history runs/                    # the trend, and what the last run changed
      netprobe history runs/ --report html=runs.html
    """
    from netprobe.history import read_folder
    from netprobe.history.formats import HISTORY_FORMATS

    found = read_folder(flags.folder, say)
    write(HISTORY_FORMATS.of(found.newest(flags.last)), flags.out)
    return found.exit_status
