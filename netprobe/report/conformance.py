"""The record of a conformance run with its surroundings, and the formats in which it can be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netprobe.conformance.history import PastRun, RunChanges
from netprobe.conformance.result import Results
from netprobe.report.write import Formats
from netprobe.run.record import ClusterInfo, RunInfo


@dataclass(frozen=True, slots=True)
class Conformance:
    """Everything that one run found.

    `changes`: since the previous run, None if there is none. `past`: earlier runs, the oldest first.
    """

    results: Results
    cluster: ClusterInfo
    run: RunInfo
    changes: RunChanges | None = None
    past: Sequence[PastRun] = ()

    @property
    def exit_status(self) -> int:
        return self.results.exit_status


CONFORMANCE_FORMATS: Formats[Conformance] = Formats(
    {
        "table": "netprobe.report.conformance_table:table",
        "json": "netprobe.report.conformance_document:as_json",
        "markdown": "netprobe.report.conformance_markdown:markdown",
        "junit": "netprobe.report.conformance_junit:junit",
        "github": "netprobe.report.conformance_markdown:github",
        "html": "netprobe.report.conformance_page:html",
    }
)
