"""What a command found, to where it was asked to go."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeAlias

from netprobe.cli.options import ReportFile
from netprobe.errors import NetprobeError
from netprobe.report import Style, render, save
from netprobe.run.record import Report

Rendered: TypeAlias = Callable[[str, Style], Iterable[str]]
"""The text of what was found, in pieces, for the name of a format and a style."""


def emit(report: Report, output: str, reports: Iterable[ReportFile] = ()) -> int:
    """Write the report of a run or a simulation; returns its exit status."""
    write(partial(render, report), output, reports)
    return report.exit_status


def write(rendered: Rendered, output: str, reports: Iterable[ReportFile]) -> None:
    """Write to standard output in the format `output`, and to files.

    Files come first, so that they are whole even where the reader of standard output goes away. With
    `github` the page of the workflow run gets the Markdown form, where $GITHUB_STEP_SUMMARY names it.
    NetprobeError where a file cannot be written.
    """
    style = Style.of(sys.stdout, os.environ)
    beside = Style(root=style.root)
    reports = tuple(reports)
    for one in reports:
        if one.path is not None:
            _save(one.path, rendered(one.format, beside))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "github" in {output, *(one.format for one in reports)}:
        _append(Path(summary), rendered("markdown", beside))
    for format_ in (output, *(one.format for one in reports if one.path is None)):
        sys.stdout.writelines(rendered(format_, style))


def _save(path: Path, pieces: Iterable[str]) -> None:
    try:
        save(path, pieces)
    except OSError as error:
        raise NetprobeError(f"cannot write {path}: {error.strerror}") from error


def _append(path: Path, pieces: Iterable[str]) -> None:
    try:
        with path.open("a", encoding="utf-8") as page:
            page.writelines(pieces)
    except OSError as error:
        raise NetprobeError(f"cannot write $GITHUB_STEP_SUMMARY: {error.strerror}") from error
