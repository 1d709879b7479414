"""The formats of a conformance report, and writing all of them into a folder."""

from __future__ import annotations

from pathlib import Path

from netprobe.conformance.baseline import ConformanceReport
from netprobe.report.write import Formats, save

CONFORMANCE_FORMATS: Formats[ConformanceReport] = Formats(
    {
        "table": "netprobe.report.conformance_table:table",
        "json": "netprobe.report.conformance_document:as_json",
        "markdown": "netprobe.report.conformance_markdown:markdown",
        "junit": "netprobe.report.conformance_junit:junit",
        "github": "netprobe.report.conformance_markdown:github",
        "html": "netprobe.report.conformance_page:html",
        "metrics": "netprobe.report.metrics:conformance_metrics",
        "conformance": "netprobe.report.conformance_profiles:profiles",
    }
)
FILES = {
    "report.html": "html",
    "report.json": "json",
    "report.md": "markdown",
    "junit_conformance.xml": "junit",
}


def save_all(report: ConformanceReport, folder: Path) -> None:
    """Write every format into a folder, and at the end a file `done` with the folder's path.

    Sonobuoy waits for that file and collects what it names. NetprobeError if a file cannot be written.
    """
    for name, format_ in FILES.items():
        save(folder / name, CONFORMANCE_FORMATS.render(report, format_))
    save(folder / "done", [str(folder.resolve())])
