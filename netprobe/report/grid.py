"""A plain table of strings, for the commands that list things."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tabulate import tabulate

from netprobe.report.escape import plain


def grid(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Columns under their headings; control characters shown as escapes."""
    lines = [[plain(str(cell)) for cell in row] for row in rows]
    return tabulate(lines, header, tablefmt="plain", disable_numparse=True)
