"""Reports to standard output and to the files that `--report` names."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from netprobe.cli.parameters import ReportFile
from netprobe.report import FORMATS
from netprobe.report.write import Render
from netprobe.report.write import write as write_report
from netprobe.run.record import Report


def emit(report: Report, output: str, reports: Iterable[ReportFile] = ()) -> int:
    """Write the report of a run or a simulation; returns its exit status."""
    write(FORMATS.of(report), output, reports)
    return report.exit_status


def write(render: Render, output: str, reports: Iterable[ReportFile]) -> None:
    """Write a record to standard output and to files. NetprobeError if a file cannot be written."""
    write_report(render, output, reports, sys.stdout, os.environ)
