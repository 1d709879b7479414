"""A graph as one HTML page that asks no server for anything, and tells why a flow is allowed or denied.

The page is three parts that do not mix: the drawing, the data (JSON, in which `<` is written as an escape, so
that no name can end the element), and the script, which writes text as text and never as markup. A content
security policy lets exactly this script and this style take effect, and no request leave the page.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

from netprobe.report.graph.build import port_text
from netprobe.report.graph.record import Cell, Clause, Graph, Part, Spot, View
from netprobe.report.graph.svg import asset, drawing, escape
from netprobe.report.graph.words import VIEWS, full_name, visible

K = TypeVar("K", bound=Hashable)


def html(graph: Graph) -> Iterator[str]:
    """The document, piece by piece."""
    style, script = asset("graph.css") + asset("page.css"), asset("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = escape(graph.title)
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f'<meta name="color-scheme" content="light dark">\n<title>{title}: who may talk to whom</title>\n'
    yield f"<style>{style}</style>\n</head>\n"
    yield from _top(graph, title)
    yield '<main>\n<div id="pane" tabindex="-1">\n'
    yield from drawing(graph)
    yield '</div>\n<aside id="panel" aria-live="polite"></aside>\n</main>\n'
    yield f'<script type="application/json" id="data">{_json(data(graph))}</script>\n'
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _top(graph: Graph, title: str) -> Iterator[str]:
    pods = sum(node.count for node in graph.nodes)
    wrong = sum(bool(edge.kind.wrong) for edge in graph.edges)
    yield f'<body class="netprobe">\n<header>\n<h1>{title}</h1>\n<p>Drawn: {VIEWS[_view(graph)]}. '
    yield f"{pods:,} ends in {len(graph.frames):,} namespaces, {len(graph.edges):,} arrows"
    yield f', <strong class="bad">{wrong:,} not as expected</strong>.' if wrong else "."
    yield "".join(f" {escape(note)}." for note in graph.notes)
    yield '</p>\n<ul class="legend"><li class="allow">allowed</li><li class="deny">denied</li>'
    yield '<li class="unknown">unknown</li><li class="wrong">not as expected</li></ul>\n'
    yield '<form id="tools"><label>Find <input id="find" type="search" autocomplete="off" size="14">'
    yield "</label>\n"
    yield '<span class="pair"><label>Why? From <select id="from"></select></label> <label>to <select id="to">'
    yield "</select></label></span>\n"
    yield '<label><input id="denied" type="checkbox" checked> denied</label>\n'
    yield '<span class="zoom"><button type="button" id="out" aria-label="smaller">\u2212</button>'
    yield '<button type="button" id="fit">fit</button><button type="button" id="in" aria-label="larger">+'
    yield "</button></span></form>\n</header>\n"


def _view(graph: Graph) -> View:
    """What was seen is not spoken of where nothing was probed."""
    seen = any(cell.observed for cells in graph.cells.values() for cell in cells)
    return View.SIMULATED if graph.view is View.RESULT and not seen else graph.view


class Numbers(Generic[K]):
    """Gives each thing a number when it is first seen."""

    def __init__(self) -> None:
        self._known: dict[K, int] = {}

    def __call__(self, thing: K) -> int:
        return self._known.setdefault(thing, len(self._known))

    def __iter__(self) -> Iterator[K]:
        return iter(self._known)


def data(graph: Graph) -> dict[str, Any]:
    """What the script reads. Whatever many pairs share is written once and referred to by number.

    `pairs[source][target]` is a flat list, four numbers a flow: into `kinds`, into `parts` for the source's
    and the destination's side, and into `changes` (-1: not known).
    """
    clauses: Numbers[Clause] = Numbers()
    parts: Numbers[Part] = Numbers()
    kinds: Numbers[tuple[object, ...]] = Numbers()
    changes: Numbers[str] = Numbers()
    families = {4, 6} <= {cell.family for cells in graph.cells.values() for cell in cells}
    pairs: dict[int, dict[int, list[int]]] = {}
    for (source, target), cells in graph.cells.items():
        flat = pairs.setdefault(source, {}).setdefault(target, [])
        for cell in cells:
            flat += [kinds(_kind(cell, families))]
            flat += [parts(cell.why.egress), parts(cell.why.ingress)] if cell.why else [-1, -1]
            flat += [changes(visible(cell.change)) if cell.change else -1]
    listed = [[[clauses(c) for c in part.isolating], [clauses(c) for c in part.allowing]] for part in parts]
    return {
        "view": graph.view.value,
        "nodes": [
            {
                "name": visible(full_name(graph, Spot(index))),
                "ns": node.namespace,
                "members": [visible(name) for name in node.members[:200]],
                "count": node.count,
            }
            for index, node in enumerate(graph.nodes)
        ],
        "edges": [
            {
                "s": _spot(edge.source),
                "t": _spot(edge.target),
                "ports": edge.kind.ports,
                "verdict": edge.kind.verdict.value,
            }
            for edge in graph.edges
        ],
        "kinds": list(kinds),
        "parts": listed,
        "clauses": [
            [visible(clause.policy), clause.path, clause.place and visible(clause.place)]
            for clause in clauses
        ],
        "changes": list(changes),
        "pairs": pairs,
    }


def _spot(spot: Spot) -> int | str | dict[str, Any]:
    """A node's index, a frame's name, or what a crowd is made of."""
    if spot.is_crowd:
        return {"but": spot.but, "outside": spot.outside}
    return spot.frame if spot.node is None and spot.frame is not None else spot.node or 0


def _kind(cell: Cell, families: bool) -> tuple[object, ...]:
    verdicts = tuple(v and v.value for v in (cell.declared, cell.simulated, cell.observed))
    note = cell.note and visible(cell.note)
    told = cell.why.told if cell.why else False
    return (
        port_text(cell, families),
        *verdicts,
        bool(cell.differs),
        note,
        told,
        cell.port,
        cell.protocol.value,
    )


def _json(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
