"""Results to standard output, and to the files that --output-file and --report name."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from netprobe.cli import options, streams
from netprobe.cli.command import invocation
from netprobe.cli.flags import ViewFlags
from netprobe.errors import NetprobeError
from netprobe.report import FORMATS, Style, save
from netprobe.report.style import Detail
from netprobe.report.write import Render
from netprobe.run.record import Report


def emit(report: Report, out: options.OutputFlags, view: ViewFlags = ViewFlags()) -> int:  # noqa: B008 (frozen)
    """Write the report of a run or a simulation; returns its exit status."""
    shown = report.only_differences() if view.only_differences else report
    write(FORMATS.of(shown), out, view.detail)
    return report.exit_status


def write(render: Render, out: options.OutputFlags, detail: Detail = Detail.AUTO) -> None:
    """Write a record to files and to standard output. It is no error if the reader of that has gone away.

    Files come first, so that they are complete even then. With the format `github`, the Markdown form is
    appended to the file that $GITHUB_STEP_SUMMARY names. NetprobeError if a file cannot be written;
    everything else is written before it is raised.
    """
    style = replace(Style.of(sys.stdout, os.environ, invocation().color), detail=detail)
    for_files = Style(root=style.root, detail=detail)
    failures: list[NetprobeError] = []
    shown = [] if out.output_file else [out.output]
    files = [*out.reports, *([(out.output, out.output_file)] if out.output_file else [])]
    for format_, path in files:
        if path is None:
            shown.append(format_)
            continue
        try:
            save(path, render(format_, for_files))
        except NetprobeError as error:
            failures.append(error)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "github" in {*shown, *(format_ for format_, _ in files)}:
        try:
            with Path(summary).open("a", encoding="utf-8") as page:
                page.writelines(render("markdown", for_files))
        except OSError as error:
            failures.append(NetprobeError(f"cannot write $GITHUB_STEP_SUMMARY: {error.strerror}"))
    try:
        for format_ in shown:
            sys.stdout.writelines(render(format_, style))
    except BrokenPipeError:
        streams.silence()
    streams.flush()
    if failures:
        raise failures[0]


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
