"""`netprobe diff`: what differs between two reports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from netprobe.cli import options
from netprobe.cli.emit import write_either
from netprobe.report.style import Detail


@dataclass(frozen=True, slots=True)
class DiffFlags(options.Flags):
    before: Path = options.argument(metavar="A.json", type=click.Path(path_type=Path))
    after: Path = options.argument(metavar="B.json", type=click.Path(path_type=Path))
    everything: bool = options.flag("--all", "List every flow, however many there are.")
    out: options.OutputFlags = options.output(("text", "json"))


@options.as_command(DiffFlags)
def command(flags: DiffFlags) -> int:
    """Show which flows differ between two reports, why, and which policies changed.

    Exit status: 0 if no flow differs, 1 if some do, 2 if a report cannot be read.

    Examples:
      netprobe diff yesterday.json today.json       # reports of netprobe run or simulate, by -o json
      netprobe diff main.json branch.json -o json
    """
    from netprobe.history import difference, read_run
    from netprobe.history.formats import diff_document, diff_lines

    old, new = read_run(flags.before), read_run(flags.after)
    found = difference(old.report, new.report)
    write_either(
        flags.out,
        lambda: diff_document(found, old, new),
        lambda style: diff_lines(found, old, new, style),
        Detail.ALL if flags.everything else Detail.AUTO,
    )
    return int(bool(found))
