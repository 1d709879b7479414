"""Records to text: what a run or a simulation found, for terminals, programs and pull requests.

`render(report, format)` yields the text in pieces, so that a report of many rows is never held whole;
`save` writes the pieces to a file, all or nothing. Nothing here decides anything: `netprobe.diff` did.
"""

from netprobe.report.output import FORMATS, render, save
from netprobe.report.style import Style

__all__ = ["FORMATS", "Style", "render", "save"]
