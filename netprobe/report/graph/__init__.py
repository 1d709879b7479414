"""Who may talk to whom as a picture: mermaid, DOT, SVG, and a page that works offline.

`inputs` has a graph for each thing that can be drawn: manifests, a suite, a saved report. `build` decides
which boxes and arrows there are.
"""

from __future__ import annotations

from netprobe.report.graph.build import GraphOptions, build
from netprobe.report.graph.elements import Denied, DrawnTable, Graph

__all__ = ["Denied", "DrawnTable", "Graph", "GraphOptions", "build"]
