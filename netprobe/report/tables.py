"""Tables: aligned columns for terminals and files, and Markdown. Names in them cannot act."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from tabulate import tabulate

from netprobe.model.text import plain
from netprobe.report.escape import markdown
from netprobe.report.style import PLAIN, Style

NARROWEST_LAST = 24
"""The last column is never cut to less."""


def grid(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns under their headings, without rules."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    return tabulate(cells, header, tablefmt="plain", disable_numparse=True)


def aligned(
    header: Sequence[str],
    rows: Iterable[Sequence[str]],
    colours: Iterable[Mapping[int, str]] = (),
    style: Style = PLAIN,
    *,
    right: Container[int] = (),
    optional: bool = False,
) -> Iterator[str]:
    """Columns under their headings with a rule, as lines that end in a newline.

    `colours` has the colours of each row's cells by their column; `right` are the columns that are aligned to
    the right. The last column is cut at the width of the terminal. One that is `optional` is left out if it
    is empty; if there is no room it shows what comes before a colon.
    """
    lines = [[plain(cell) for cell in row] for row in rows]
    if optional and not any(line[-1] for line in lines):
        header, lines = header[:-1], [line[:-1] for line in lines]
    elif style.width:
        _cut_last(header, lines, style.width, heads=optional)
    for line, painted in zip(lines, colours, strict=False):
        for column, colour in painted.items():
            if column < len(line):
                line[column] = style.paint(line[column], colour)
    align = ["right" if column in right else "left" for column in range(len(header))]
    drawn = tabulate(lines, header, tablefmt="simple", disable_numparse=True, colalign=align)
    yield from (line.rstrip() + "\n" for line in drawn.splitlines())


def _cut_last(header: Sequence[str], lines: Sequence[list[str]], width: int, *, heads: bool) -> None:
    # tabulate pads a heading by two, and puts two between columns.
    others = range(len(header) - 1)
    taken = sum(max([len(header[i]) + 2, *(len(line[i]) for line in lines)]) + 2 for i in others)
    room = width - taken
    for line in lines:
        if heads and len(line[-1]) > room:
            line[-1] = line[-1].partition(":")[0]
        if len(line[-1]) > max(room, NARROWEST_LAST):
            line[-1] = line[-1][: max(room, NARROWEST_LAST) - 1] + "…"


def markdown_table(
    header: Sequence[str], rows: Iterable[Iterable[str]], right: Container[int] = ()
) -> Iterator[str]:
    """A table of GitHub's Markdown; `right` are the columns that are aligned to the right."""
    rules = ["---:" if column in right else "---" for column in range(len(header))]
    yield f"| {' | '.join(header)} |\n|{'|'.join(rules)}|\n"
    for row in rows:
        yield f"| {' | '.join(map(markdown, row))} |\n"
