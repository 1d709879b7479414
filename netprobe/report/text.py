"""What the formats for a terminal share: title, warnings, steps with their headings, and the summary."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator

from netprobe.model.text import plain
from netprobe.report import phrases
from netprobe.report.style import BOLD, BOLD_BAD, UNSURE, Style, status_colour
from netprobe.run.record import Report, ReportStep


def framed(report: Report, style: Style, body: Callable[[ReportStep], Iterable[str]]) -> Iterator[str]:
    """The text of each step, between the title and the summary."""
    yield style.paint(wrapped(phrases.title(report), style), BOLD) + "\n"
    if report.enforcement:
        yield style.paint(wrapped(report.enforcement, style), BOLD_BAD) + "\n"
    for index, step in enumerate(report.steps):
        yield "\n"
        if len(report.steps) > 1:
            yield style.paint(wrapped(phrases.step_title(report, index), style), BOLD) + "\n\n"
        yield from body(step)
    yield "\n"
    yield from (wrapped(sentence, style) + "\n" for sentence in phrases.in_place(report))
    for problem in report.problems:
        yield style.paint(wrapped(f"problem: {problem}", style), UNSURE) + "\n"
    yield style.paint(wrapped(phrases.closing(report), style), status_colour(report.exit_status)) + "\n"


def wrapped(text: str, style: Style, indent: str = "", hang: str = "  ") -> str:
    """A sentence that may act nowhere, in lines that fit; names are never cut.

    Lines after the first are indented by `hang` more.
    """
    safe = indent + plain(text)
    if style.width is None or len(safe) <= style.width:
        return safe
    return textwrap.fill(
        safe,
        style.width,
        subsequent_indent=indent + hang,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
