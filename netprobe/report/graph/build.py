"""Cells to a graph: who gets a box, which arrows are drawn, and what is too much to draw one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netprobe.model.flow import Protocol
from netprobe.model.verdict import Verdict
from netprobe.report.graph.alike import label, together
from netprobe.report.graph.bundle import bundled
from netprobe.report.graph.record import Cell, Denied, Edge, Graph, Kind, Named, Node, Party, Spot, View

MOST_ARROWS = 40  # more of them are bundled
MOST_BOXES = 400  # more ends are shown by namespace

_RANK = {Verdict.ALLOW: 0, Verdict.DENY: 1, Verdict.UNKNOWN: 2}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to draw, and how closely. None in `group`, `bundle` and `summary` means: where it is needed.

    `group`: pods of different workloads that behave alike are one box. `bundle`: arrows from or to every pod
    of a namespace are one. `summary`: a namespace is one box. `only_drawn`: no box without an arrow.
    `most_arrows`: with more of them a namespace is one box, where `summary` leaves that open.
    """

    view: View = View.RESULT
    denied: Denied = Denied.ROWS
    group: bool | None = None
    bundle: bool | None = None
    summary: bool | None = None
    only_drawn: bool = False
    most_arrows: int | None = None


@dataclass(frozen=True, slots=True)
class Ends:
    """What is known of ends beside their names: who is behind one, and which workload it is a replica of."""

    members: Mapping[Party, tuple[Party, ...]] = field(default_factory=dict)
    workloads: Mapping[Party, str] = field(default_factory=dict)

    def of(self, party: Party) -> tuple[Party, ...]:
        return self.members.get(party, (party,))


def build(
    title: str,
    cells: Iterable[Cell],
    wanted: Wanted = Wanted(),
    ends: Ends = Ends(),
    notes: Sequence[str] = (),
) -> Graph:
    """A graph of the cells, in their order. The same cells always give the same graph."""
    known = [cell for cell in cells if cell.verdict(wanted.view) is not None]
    told = list(notes)
    if wanted.summary:
        everybody = dict.fromkeys(end for cell in known for end in (cell.source, cell.destination))
        leaders, summary = _namespaces(everybody), True
    else:
        crowds = {party for party, members in ends.members.items() if len(members) > 1}
        leaders = together(known, ends.workloads, everybody=wanted.group, crowds=crowds)
        boxes = len(set(leaders.values()))
        summary = wanted.summary is None and boxes > MOST_BOXES
        if summary:
            leaders = _namespaces(leaders)
            told.append(f"{boxes:,} boxes are too many to draw: a box is a namespace here")
    nodes, number = _nodes(leaders, ends, summary)
    table = _table(known, leaders, number, whole=summary)
    edges = _edges(table, wanted, summary)
    if wanted.bundle or (wanted.bundle is None and len(edges) > MOST_ARROWS):
        edges = bundled(edges, nodes)
    if wanted.summary is None and not summary and wanted.most_arrows and len(edges) > wanted.most_arrows:
        note = f"{len(edges):,} arrows are too many for this format: a box is a namespace here"
        return build(title, known, replace(wanted, summary=True), ends, [*told, note])
    graph = Graph(
        title,
        wanted.view,
        tuple(dict.fromkeys(node.namespace for node in nodes if node.namespace is not None)),
        tuple(nodes),
        tuple(edges),
        table,
        tuple(told),
    )
    return _only_drawn(graph) if wanted.only_drawn else graph


def _namespaces(ends: Iterable[Party]) -> dict[Party, Party]:
    """The first pod of a namespace stands for all of it."""
    first: dict[str, Party] = {}
    found: dict[Party, Party] = {}
    for end in ends:
        found[end] = end if end.namespace is None else first.setdefault(end.namespace, end)
    return found


def _nodes(leaders: Mapping[Party, Party], ends: Ends, summary: bool) -> tuple[list[Node], dict[Party, int]]:
    members: dict[Party, list[Party]] = defaultdict(list)
    for end, leader in leaders.items():
        members[leader].append(end)
    nodes: list[Node] = []
    number: dict[Party, int] = {}
    for leader, alike in members.items():
        number[leader] = len(nodes)
        behind = [party for end in alike for party in ends.of(end)]
        workloads = {ends.workloads.get(end) for end in alike}
        workload = workloads.pop() if len(workloads) == 1 else None
        text = label([party.name for party in behind], workload)
        if summary and leader.namespace is not None:
            text = "1 pod" if len(behind) == 1 else f"{len(behind):,} pods"
        names = tuple(map(str, behind))
        nodes.append(Node(text, leader.namespace, names, len(names), leader.service))
    return nodes, number


def _table(
    cells: Iterable[Cell], leaders: Mapping[Party, Party], number: Mapping[Party, int], *, whole: bool
) -> dict[tuple[int, int], tuple[Cell, ...]]:
    """The cells between two boxes. Those of the first pair stand for the others, which are equal; where
    they are not, as between namespaces (`whole`), all are kept."""
    found: dict[tuple[int, int], list[Cell]] = defaultdict(list)
    stands: dict[tuple[int, int], tuple[Party, Party]] = {}
    for cell in cells:
        pair = (number[leaders[cell.source]], number[leaders[cell.destination]])
        ends = (cell.source, cell.destination)
        if whole or stands.setdefault(pair, ends) == ends:
            found[pair].append(cell)
    return {pair: tuple(held) for pair, held in found.items()}


def _edges(table: Mapping[tuple[int, int], Sequence[Cell]], wanted: Wanted, summary: bool) -> list[Edge]:
    families = {4, 6} <= {cell.family for cells in table.values() for cell in cells}
    edges: list[Edge] = []
    for (source, target), cells in table.items():
        kinds: dict[tuple[Verdict, str], dict[tuple[int, str], str]] = defaultdict(dict)
        for cell, text in _drawn(cells, wanted, families, summary):
            verdict = cell.verdict(wanted.view) or Verdict.UNKNOWN
            kinds[verdict, _expected(cell, wanted.view)][cell.port, text] = text
        edges += [
            Edge(Spot(source), Spot(target), Kind(verdict, tuple(ports[key] for key in sorted(ports)), wrong))
            for (verdict, wrong), ports in kinds.items()
        ]
    return sorted(edges, key=_order)


def _drawn(
    cells: Sequence[Cell], wanted: Wanted, families: bool, summary: bool
) -> Iterable[tuple[Cell, str]]:
    """The cells that are drawn, each with the label of its port. Between whole namespaces a port that only
    some of the pods may use says so."""
    drawn = [(cell, port_text(cell, families)) for cell in cells if _is_drawn(cell, wanted)]
    if not summary:
        return drawn
    asked = Counter(port_text(cell, families) for cell in cells)
    agreeing = Counter((text, cell.verdict(wanted.view)) for cell, text in drawn)
    return [
        (cell, text if agreeing[text, cell.verdict(wanted.view)] == asked[text] else f"{text} some")
        for cell, text in drawn
    ]


def port_text(cell: Cell, families: bool) -> str:
    """ "5432", "53/UDP", "80 IPv6" where flows are told apart by family."""
    text = str(cell.port) if cell.protocol is Protocol.TCP else f"{cell.port}/{cell.protocol.value}"
    return f"{text} IPv{cell.family}" if families and cell.family else text


def _is_drawn(cell: Cell, wanted: Wanted) -> bool:
    if cell.is_wrong(wanted.view) or cell.verdict(wanted.view) is not Verdict.DENY:
        return True
    match wanted.denied:
        case Denied.ALL:
            return True
        case Denied.NONE:
            return False
        case Denied.NAMED:
            return cell.named is Named.EXACTLY and cell.declared is Verdict.DENY
        case Denied.ROWS:
            return cell.named is not Named.NOT and cell.declared is Verdict.DENY


def _expected(cell: Cell, view: View) -> str:
    """What was expected, where something else came: the declaration speaks first."""
    if not cell.is_wrong(view):
        return ""
    drawn = cell.verdict(view)
    for verdict, who in (
        (cell.declared, "declared"),
        (cell.simulated, "policies:"),
        (cell.observed, "seen:"),
    ):
        if verdict not in {None, Verdict.UNKNOWN, drawn}:
            return f"{who} {verdict.value if verdict else ''}"
    return "differs"


def _order(edge: Edge) -> tuple[int, int, int, bool]:
    source, target = edge.source.node, edge.target.node
    return (_RANK[edge.kind.verdict], source or 0, target or 0, bool(edge.kind.wrong))


def _only_drawn(graph: Graph) -> Graph:
    """Without boxes that no arrow touches; frames that an arrow touches keep all of theirs."""
    spots = [spot for edge in graph.edges for spot in (edge.source, edge.target)]
    frames = {spot.frame for spot in spots if spot.node is None and spot.frame is not None}
    kept = {spot.node for spot in spots if spot.node is not None}
    kept |= {i for i, node in enumerate(graph.nodes) if node.namespace in frames}
    if any(spot.is_crowd for spot in spots):
        return graph
    places = {old: new for new, old in enumerate(sorted(node for node in kept if node is not None))}

    def moved(spot: Spot) -> Spot:
        return spot if spot.node is None else Spot(places[spot.node])

    nodes = tuple(graph.nodes[old] for old in places)
    return replace(
        graph,
        nodes=nodes,
        frames=tuple(dict.fromkeys(node.namespace for node in nodes if node.namespace is not None)),
        edges=tuple(Edge(moved(e.source), moved(e.target), e.kind) for e in graph.edges),
        cells={
            (places[s], places[t]): cells
            for (s, t), cells in graph.cells.items()
            if s in places and t in places
        },
    )
