"""Results to standard output, and to the files that --output-file and --report name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace

from netprobe.cli import options, streams
from netprobe.cli.command import invocation
from netprobe.cli.flags import ViewFlags
from netprobe.report import FORMATS, Style
from netprobe.report.style import Detail
from netprobe.report.write import Render
from netprobe.report.write import write as write_report
from netprobe.run.record import Report


def emit(report: Report, out: options.OutputFlags, view: ViewFlags = ViewFlags()) -> int:  # noqa: B008 (frozen)
    """Write the report of a run or a simulation; returns its exit status."""
    shown = report.only_differences() if view.only_differences else report
    write(FORMATS.of(shown), out, view.detail)
    return report.exit_status


def write(render: Render, out: options.OutputFlags, detail: Detail = Detail.AUTO) -> None:
    """Write a record to standard output and to files. NetprobeError if a file cannot be written.

    It is no error if the reader of standard output has gone away.
    """
    files = [*out.reports, *([(out.output, out.output_file)] if out.output_file else [])]
    style = replace(Style.of(sys.stdout, os.environ, invocation().color), detail=detail)
    shown = None if out.output_file else out.output
    try:
        write_report(render, shown, files, sys.stdout, os.environ, style=style)
    except BrokenPipeError:
        streams.silence()
    streams.flush()


def write_either(
    out: options.OutputFlags,
    document: Callable[[], object],
    text: Callable[[Style], Iterable[str]],
    detail: Detail = Detail.AUTO,
) -> None:
    """Write what has two formats: JSON for programs, and text."""

    def render(format_: str, style: Style) -> Iterable[str]:
        return [json.dumps(document(), indent=2) + "\n"] if format_ == "json" else text(style)

    write(render, out, detail)
