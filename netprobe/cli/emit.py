"""Results to standard output, and to the files that --output-file and --report name."""

from __future__ import annotations

import os
import sys

from netprobe.cli.command import invocation
from netprobe.cli.options import OutputFlags
from netprobe.report import FORMATS, Style
from netprobe.report.write import Render
from netprobe.report.write import write as write_report
from netprobe.run.record import Report


def emit(report: Report, out: OutputFlags) -> int:
    """Write the report of a run or a simulation; returns its exit status."""
    write(FORMATS.of(report), out)
    return report.exit_status


def write(render: Render, out: OutputFlags) -> None:
    """Write a record to standard output and to files. NetprobeError if a file cannot be written."""
    files = [*out.reports, *([(out.output, out.output_file)] if out.output_file else [])]
    write_report(
        render, None if out.output_file else out.output, files, sys.stdout, os.environ, style=output_style()
    )


def output_style() -> Style:
    """The style of standard output, as --color and the environment want it."""
    return Style.of(sys.stdout, os.environ, invocation().color)
