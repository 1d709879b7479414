"""Who may talk to whom as a picture: mermaid, DOT, SVG, and a page that works offline.

`inputs` has a graph for each thing that can be drawn: manifests, a suite, a saved report. `build` decides
which boxes and arrows there are. GRAPH_FORMATS writes them.
"""

from __future__ import annotations

from netprobe.report.graph.build import GraphOptions, build
from netprobe.report.graph.elements import Denied, DrawnTable, Graph
from netprobe.report.write import Formats

GRAPH_FORMATS: Formats[Graph] = Formats(
    {
        "mermaid": "netprobe.report.graph.text_formats:mermaid",
        "dot": "netprobe.report.graph.text_formats:dot",
        "svg": "netprobe.report.graph.pictures:svg",
        "html": "netprobe.report.graph.pictures:html",
    }
)

__all__ = ["GRAPH_FORMATS", "Denied", "DrawnTable", "Graph", "GraphOptions", "build"]
