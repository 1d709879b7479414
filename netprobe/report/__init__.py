"""Records to text: what a command found, for terminals, programs, browsers and pull requests.

`FORMATS.render(report, format)` yields the text of a report in pieces, and `save` writes a file. Nothing here
decides anything.

The formats of all kinds of records are below, each as "module:function".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netprobe.report.style import Style
from netprobe.report.write import Formats, save

if TYPE_CHECKING:  # the names of formats are needed before a lab is started, and records are not
    from netprobe.conformance.baseline import ConformanceReport
    from netprobe.doctor import Diagnosis
    from netprobe.impact import Impact
    from netprobe.lint import Linted
    from netprobe.report.graph import Graph
    from netprobe.run.record import Report

FORMATS: Formats[Report] = Formats(
    {
        "table": "netprobe.report.table:table",
        "wide": "netprobe.report.table:wide",
        "matrix": "netprobe.report.table:matrix",
        "json": "netprobe.report.document:as_json",
        "yaml": "netprobe.report.document:as_yaml",
        "markdown": "netprobe.report.markdown:markdown",
        "junit": "netprobe.report.junit:junit",
        "github": "netprobe.report.github:github",
        "html": "netprobe.report.html:html",
        "metrics": "netprobe.report.metrics:metrics",
    }
)
CONFORMANCE_FORMATS: Formats[ConformanceReport] = Formats(
    {
        "table": "netprobe.report.conformance:table",
        "json": "netprobe.report.conformance_document:as_json",
        "markdown": "netprobe.report.conformance:markdown",
        "junit": "netprobe.report.conformance:junit",
        "github": "netprobe.report.conformance:github",
        "html": "netprobe.report.conformance_page:html",
        "metrics": "netprobe.report.metrics:conformance_metrics",
        "conformance": "netprobe.report.conformance_document:profiles",
    }
)
FINDING_FORMATS: Formats[Linted] = Formats(
    {
        "table": "netprobe.report.findings:table",
        "json": "netprobe.report.findings:as_json",
        "sarif": "netprobe.report.findings:sarif",
        "github": "netprobe.report.findings:github",
        "junit": "netprobe.report.findings:junit",
    }
)
IMPACT_FORMATS: Formats[Impact] = Formats(
    {
        "table": "netprobe.report.impact:table",
        "json": "netprobe.report.impact:as_json",
        "markdown": "netprobe.report.impact:markdown",
    }
)
GRAPH_FORMATS: Formats[Graph] = Formats(
    {
        "mermaid": "netprobe.report.graph.text_formats:mermaid",
        "dot": "netprobe.report.graph.text_formats:dot",
        "svg": "netprobe.report.graph.pictures:svg",
        "html": "netprobe.report.graph.pictures:html",
    }
)
DIAGNOSIS_FORMATS: Formats[Diagnosis] = Formats(
    {
        "table": "netprobe.report.diagnosis:table",
        "json": "netprobe.report.diagnosis:as_json",
        "yaml": "netprobe.report.diagnosis:as_yaml",
        "rbac": "netprobe.report.diagnosis:rbac",
    }
)

__all__ = [
    "CONFORMANCE_FORMATS",
    "DIAGNOSIS_FORMATS",
    "FINDING_FORMATS",
    "FORMATS",
    "GRAPH_FORMATS",
    "IMPACT_FORMATS",
    "Formats",
    "Style",
    "save",
]
