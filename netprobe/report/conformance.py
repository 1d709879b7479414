"""What a run of the conformance suite found, as text: for terminals, programs and pull requests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module

from netprobe.conformance.history import PastRun, RunChanges
from netprobe.conformance.result import Results
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import ClusterInfo, RunInfo

_RENDERERS = {
    "table": ("netprobe.report.conformance_table", "table"),
    "json": ("netprobe.report.conformance_document", "as_json"),
    "markdown": ("netprobe.report.conformance_markdown", "markdown"),
    "junit": ("netprobe.report.conformance_junit", "junit"),
    "github": ("netprobe.report.conformance_github", "github"),
    "html": ("netprobe.report.conformance_html", "html"),
}
CONFORMANCE_FORMATS = tuple(_RENDERERS)


@dataclass(frozen=True, slots=True)
class Conformance:
    """All that one run found out.

    `changes`: since the run before it, where that is known. `past`: the runs before it, the oldest first.
    """

    results: Results
    cluster: ClusterInfo
    run: RunInfo
    changes: RunChanges | None = None
    past: Sequence[PastRun] = ()

    @property
    def exit_status(self) -> int:
        return self.results.exit_status


def render_conformance(found: Conformance, format: str, style: Style = PLAIN) -> Iterator[str]:  # noqa: A002
    """The text in pieces. ValueError for a format that is not in CONFORMANCE_FORMATS."""
    if format not in _RENDERERS:
        raise ValueError(f"no format {format!r}; there are {', '.join(CONFORMANCE_FORMATS)}")
    module, name = _RENDERERS[format]
    pieces: Iterator[str] = getattr(import_module(module), name)(found, style)
    return pieces
