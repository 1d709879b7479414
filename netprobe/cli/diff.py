"""`netprobe diff`: what differs between two reports."""

from __future__ import annotations

from pathlib import Path

import click

from netprobe.cli.command import Command
from netprobe.cli.emit import write_either
from netprobe.cli.options import OutputFlags, examples, flag, output_options
from netprobe.report.style import Detail


@click.command(cls=Command)
@click.argument("before", metavar="A.json", type=click.Path(path_type=Path))
@click.argument("after", metavar="B.json", type=click.Path(path_type=Path))
@flag("--all", "List every flow, however many there are.", "everything")
@output_options(("text", "json"))
@examples("""
netprobe diff yesterday.json today.json       # reports of netprobe run or simulate, by -o json
netprobe diff main.json branch.json -o json
""")
def command(*, before: Path, after: Path, everything: bool, out: OutputFlags) -> int:
    """Show which flows differ between two reports, why, and which policies changed.

    Exit status: 0 if no flow differs, 1 if some do, 2 if a report cannot be read.
    """
    from netprobe.history import difference, read_run
    from netprobe.history.diff_text import diff_document, diff_lines

    old, new = read_run(before), read_run(after)
    found = difference(old.report, new.report)
    write_either(
        out,
        lambda: diff_document(found, old, new),
        lambda style: diff_lines(found, old, new, style),
        Detail.ALL if everything else Detail.AUTO,
    )
    return int(bool(found))
