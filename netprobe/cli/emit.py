"""A report to where it was asked to go."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from netprobe.cli.options import ReportFile
from netprobe.errors import NetprobeError
from netprobe.report import Report, Style, render, save


def emit(report: Report, output: str, reports: Iterable[ReportFile] = ()) -> int:
    """Write a report to standard output in the format `output`, and to the files; returns its exit status.

    Files come first, so that they are whole even where the reader of standard output goes away. With
    `github` the page of the workflow run gets the Markdown form, where $GITHUB_STEP_SUMMARY names it.
    NetprobeError where a file cannot be written.
    """
    style = Style.of(sys.stdout, os.environ)
    for one in reports:
        if one.path is not None:
            _save(one.path, report, one.format, Style(root=style.root))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "github" in {output, *(one.format for one in reports)}:
        _append(Path(summary), report)
    for format_ in (output, *(one.format for one in reports if one.path is None)):
        sys.stdout.writelines(render(report, format_, style))
    return report.exit_status


def _save(path: Path, report: Report, format_: str, style: Style) -> None:
    try:
        save(path, render(report, format_, style))
    except OSError as error:
        raise NetprobeError(f"cannot write {path}: {error.strerror}") from error


def _append(path: Path, report: Report) -> None:
    try:
        with path.open("a", encoding="utf-8") as page:
            page.writelines(render(report, "markdown"))
    except OSError as error:
        raise NetprobeError(f"cannot write $GITHUB_STEP_SUMMARY: {error.strerror}") from error
