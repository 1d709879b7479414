"""Records to text: what a run or a simulation found, for terminals, programs and pull requests.

`FORMATS.render(report, format)` yields the text of a report in pieces. `write` puts it where it belongs:
standard output, files, the summary page of a GitHub workflow. Nothing here decides anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.report.style import Style
from netprobe.report.write import Formats, save

if TYPE_CHECKING:  # the names of formats are needed before a lab is started, and records are not
    from netprobe.run.record import Report

FORMATS: Formats[Report] = Formats(
    {
        "table": "netprobe.report.table:table",
        "wide": "netprobe.report.table:wide",
        "matrix": "netprobe.report.matrix:matrix",
        "json": "netprobe.report.document:as_json",
        "yaml": "netprobe.report.document:as_yaml",
        "markdown": "netprobe.report.markdown:markdown",
        "junit": "netprobe.report.junit:junit",
        "github": "netprobe.report.github:github",
        "html": "netprobe.report.html:html",
        "metrics": "netprobe.report.metrics:metrics",
    }
)

__all__ = ["FORMATS", "Formats", "Style", "save"]
