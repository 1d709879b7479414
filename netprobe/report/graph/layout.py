"""Where boxes are drawn: a layered layout, in pixels. The same graph always gets the same layout.

Theory of operation. A namespace is a block of boxes, one below the other; a long one is cut into several.
Blocks are in columns (`in_columns`). Within columns, blocks and their boxes are sorted by the mean height of
their neighbours, in a few sweeps. Each label of arrows that lead to a box is a pin inside the box, so labels
never overlap, however many arrows there are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report.graph.elements import Anchor, ArrowLabel, Edge, Graph

TITLE = 24  # the height of a box without pins
PIN = 16  # the height of a pin
PAD = 14  # between a block's border and its boxes
BOX_GAP, BLOCK_GAP = 10, 34
MOST_BOXES = 24  # in one block
WIDEST = 250  # the most that a box is wide
SWEEPS = 4
OUTSIDE = "outside the cluster"
Links = Mapping[int, Mapping[int, int]]
"""The weights of the links from one item to others."""
COLUMN = 330  # the width of a column with the space next to it, about
SCREEN = 1.7  # width to height of a screen
LOW_ENOUGH = 900  # the height of a column that needs no scrolling, about


@dataclass(slots=True)
class Box:
    """A node, or the title of a block. It has a pin for each label of the arrows that lead to it."""

    anchor: Anchor
    title: str
    pins: list[ArrowLabel] = field(default_factory=list)
    x: int = 0
    y: int = 0
    width: int = 0

    @property
    def height(self) -> int:
        return TITLE + PIN * len(self.pins) + (5 if self.pins else 4)

    def pin_y(self, label: ArrowLabel) -> int:
        return self.y + TITLE + PIN * self.pins.index(label) + PIN // 2

    @property
    def title_y(self) -> int:
        return self.y + TITLE // 2 + 2


@dataclass(slots=True)
class LayoutBlock:
    """A namespace with its boxes, or a part of one. Arrows of the whole namespace lead to `head`."""

    head: Box
    boxes: list[Box]
    outside: bool = False
    column: int = 0
    x: int = 0
    y: int = 0
    width: int = 0

    @property
    def height(self) -> int:
        inside = sum(box.height + BOX_GAP for box in self.boxes)
        return self.head.height + inside + PAD - (0 if self.boxes else PAD - 4)


@dataclass(slots=True)
class Layout:
    """`home` is the block of each box. `gutters` are the widths of the spaces before each column and after
    the last one."""

    blocks: list[LayoutBlock]
    columns: list[list[LayoutBlock]]
    boxes: dict[Anchor, Box]
    home: dict[Anchor, LayoutBlock]
    gutters: list[float] = field(default_factory=list)
    width: int = 0
    height: int = 0


def layout(graph: Graph) -> Layout:
    blocks = _blocks(graph)
    boxes = {box.anchor: box for block in blocks for box in block.boxes}
    home = {box.anchor: block for block in blocks for box in block.boxes}
    for block in blocks:
        if block.head.anchor not in boxes:
            boxes[block.head.anchor], home[block.head.anchor] = block.head, block
    for edge in graph.edges:
        pins = boxes[edge.target].pins
        if edge.label not in pins:
            pins.append(edge.label)
    for box in boxes.values():
        box.pins.sort(key=_pin_order)
    links = _links(graph.edges, home)
    heights = {id(block): block.height + BLOCK_GAP for block in blocks}
    by_id = {id(block): block for block in blocks}
    columns = [[by_id[each] for each in column] for column in in_columns(heights, links)]
    for number, column in enumerate(columns):
        for block in column:
            block.column = number
    made = Layout(blocks, columns, boxes, home)
    _measure(made)
    _sort(made, graph.edges)
    _place(made, graph.edges)
    return made


def _pin_order(label: ArrowLabel) -> tuple[bool, str, int, str]:
    """Allowed first, then by the first port: "53/UDP", "80 IPv6"."""
    port = label.ports[0].partition("/")[0].partition(" ")[0] if label.ports else "0"
    return label.verdict is not Verdict.ALLOW, label.verdict.value, int(port), label.text


def _blocks(graph: Graph) -> list[LayoutBlock]:
    blocks = [
        LayoutBlock(Box(anchor, plain(anchor.everyone)), [], outside=True)
        for anchor in graph.everyone_anchors()
    ]
    for namespace in graph.namespaces:
        parts = _parts(graph, graph.nodes_in(namespace))
        for number, part in enumerate(parts, start=1):
            title = plain(namespace) + (f" ({number} of {len(parts)})" if len(parts) > 1 else "")
            blocks.append(LayoutBlock(Box(Anchor(namespace=namespace), title), _boxes(graph, part)))
    # Hosts that are only sources are on the left of the picture, the others on the right.
    reached = {edge.target.node for edge in graph.edges}
    for number, is_reached in enumerate((False, True)):
        hosts = [index for index in graph.nodes_in(None) if (index in reached) is is_reached]
        if hosts:
            head = Box(Anchor(namespace="/" * number), OUTSIDE)  # no namespace has such a name
            blocks.append(LayoutBlock(head, _boxes(graph, hosts), outside=True))
    return blocks


def _boxes(graph: Graph, nodes: Iterable[int]) -> list[Box]:
    return [Box(Anchor(index), plain(graph.nodes[index].title)) for index in nodes]


def _parts(graph: Graph, inside: list[int]) -> list[list[int]]:
    """The boxes of a namespace; many boxes in parts, callers first."""
    if len(inside) <= MOST_BOXES:
        return [inside]
    members = set(inside)
    links: dict[int, dict[int, int]] = defaultdict(dict)
    for edge in graph.edges:
        source, target = edge.source.node, edge.target.node
        if source in members and target in members and source is not None and target is not None:
            links[source][target] = 1
    order = ordered(inside, links)
    size = math.ceil(len(order) / math.ceil(len(order) / MOST_BOXES))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _links(edges: Iterable[Edge], home: dict[Anchor, LayoutBlock]) -> dict[int, dict[int, int]]:
    """How many arrows lead from one block to another. Denied ones hardly count."""
    found: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for edge in edges:
        one, other = id(home[edge.source]), id(home[edge.target])
        if one != other:
            found[one][other] += 100 if edge.label.verdict is Verdict.ALLOW else 1
    return found


def _pin_width(label: ArrowLabel) -> float:
    return len(label.text) * (7.1 if label.unexpected else 6.4) + 34  # unexpected labels are bold


def _measure(made: Layout) -> None:
    for column in made.columns:
        widest = 110.0
        for block in column:
            for box in (block.head, *block.boxes):
                texts = [len(box.title) * 7.2 + 24, *map(_pin_width, box.pins)]
                widest = max(widest, *texts)
        # "everyone except ..." has nothing but its name, so that gets more room.
        width = math.ceil(min(widest, WIDEST if any(block.boxes for block in column) else WIDEST + 90))
        for block in column:
            block.width = width + 2 * PAD + 22
            for box in block.boxes:
                box.width = width
            block.head.width = block.width


def _sort(made: Layout, edges: Iterable[Edge]) -> None:
    """Blocks of a column, and boxes of a block, by the mean height of their neighbours."""
    near: dict[Anchor, list[Anchor]] = defaultdict(list)
    for edge in edges:
        if edge.source != edge.target:
            near[edge.source].append(edge.target)
            near[edge.target].append(edge.source)
    for sweep in range(SWEEPS):
        columns = made.columns if sweep % 2 == 0 else made.columns[::-1]
        _stack(made)
        for column in columns:
            for block in column:
                middle = {box.anchor: _mean(made, near[box.anchor], box.y) for box in block.boxes}
                block.boxes.sort(key=lambda box: middle[box.anchor])
            means = {
                id(block): _mean(
                    made, [n for box in (block.head, *block.boxes) for n in near[box.anchor]], block.y, block
                )
                for block in column
            }
            column.sort(key=lambda block: means[id(block)])
            _stack(made)


def _mean(made: Layout, near: list[Anchor], otherwise: float, but: LayoutBlock | None = None) -> float:
    heights = [made.boxes[anchor].title_y for anchor in near if made.home[anchor] is not but]
    return sum(heights) / len(heights) if heights else otherwise


def _stack(made: Layout) -> None:
    """Set the heights: columns are centred on the tallest."""
    totals = [sum(block.height + BLOCK_GAP for block in column) - BLOCK_GAP for column in made.columns]
    made.height = max(totals, default=0) + 2 * BLOCK_GAP
    for column, total in zip(made.columns, totals, strict=True):
        y = (made.height - total) // 2
        for block in column:
            block.y = block.head.y = y
            inside = y + block.head.height
            for box in block.boxes:
                box.y = inside
                inside += box.height + BOX_GAP
            y += block.height + BLOCK_GAP


def _place(made: Layout, edges: Iterable[Edge]) -> None:
    """Columns side by side. The more arrows pass through a gutter, the wider it is."""
    passing = [0] * (len(made.columns) + 1)
    for edge in edges:
        one, other = made.home[edge.source].column, made.home[edge.target].column
        low, high = (one + 1, other) if other > one else (other, one)
        for number in range(low, high + 1):
            passing[number] += 1
    made.gutters = [min(150.0, 56.0 + 1.5 * count) for count in passing]
    made.gutters[0] = min(110.0, 24.0 + 6 * passing[0])
    made.gutters[-1] = 24.0
    x = 0
    for column, gutter in zip(made.columns, made.gutters, strict=False):
        x += round(gutter)
        for block in column:
            block.x = block.head.x = x
            for box in block.boxes:
                box.x = x + PAD + 22
        x += max(block.width for block in column)
    made.width = x + round(made.gutters[-1])


def in_columns(heights: Mapping[int, int], links: Links) -> list[list[int]]:
    """The items in columns, from left to right. `heights` are those of the items, gaps included.

    A column is the longest path to its items, in the order of `ordered`. If that would give a long and thin
    picture, the order is cut into the columns that fit a screen best.
    """
    order = ordered(list(heights), links)
    total = sum(heights.values())
    best = max(3, round(math.sqrt(total * SCREEN / COLUMN)))
    layers = _layers(order, links)
    tallest = max((sum(heights[item] for item in layer) for layer in layers), default=0)
    if len(layers) <= best + 2 and tallest <= max(LOW_ENOUGH, 2 * total / best):
        return layers
    tall = [heights[item] for item in order]
    splits = [_split(tall, number) for number in range(min(3, len(tall)), min(len(tall), 2 * best) + 1)]
    chosen = min(splits, key=lambda split: max(_tallest(tall, split), len(split) * COLUMN / SCREEN))
    return [order[start:end] for start, end in chosen]


def _layers(order: Sequence[int], links: Links) -> list[list[int]]:
    """The items by the length of the longest path to them; links that point back do not count."""
    place = {item: number for number, item in enumerate(order)}
    depth = dict.fromkeys(order, 0)
    for one in order:
        for other in links.get(one, {}):
            if place[other] > place[one]:
                depth[other] = max(depth[other], depth[one] + 1)
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for item in order:
        layers[depth[item]].append(item)
    return layers


def ordered(items: Sequence[int], links: Links) -> list[int]:
    """The items in an order in which few links point back, and heavy ones least of all.

    The heuristic of Eades, Lin and Smyth (1993): sinks go last, sources go first; if there are neither, the
    item with the largest surplus of outgoing over incoming weight goes first. Ties keep the given order.
    """
    left = dict.fromkeys(items)
    outgoing = dict.fromkeys(items, 0)
    incoming = dict.fromkeys(items, 0)
    sources: dict[int, dict[int, int]] = defaultdict(dict)
    for one, others in links.items():
        for other, weight in others.items():
            if one in left and other in left and one != other:
                outgoing[one] += weight
                incoming[other] += weight
                sources[other][one] = weight
    first: list[int] = []
    last: list[int] = []
    while left:
        chosen = next((item for item in reversed(left) if not outgoing[item] and incoming[item]), None)
        if chosen is not None:
            last.append(chosen)
        else:
            chosen = max(left, key=lambda item: (not incoming[item], outgoing[item] - incoming[item]))
            first.append(chosen)
        del left[chosen]
        for other, weight in links.get(chosen, {}).items():
            if other in incoming:
                incoming[other] -= weight
        for other, weight in sources.get(chosen, {}).items():
            outgoing[other] -= weight
    return first + last[::-1]


def _split(heights: Sequence[float], number: int) -> list[tuple[int, int]]:
    """Heights in their order as at most `number` columns (start, end), the tallest as low as possible."""
    low, high = max(heights), sum(heights)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(heights, middle)) <= number else (middle, high)
    return _filled(heights, high)


def _filled(heights: Sequence[float], most: float) -> list[tuple[int, int]]:
    """Columns filled one after the other up to a height."""
    columns, start, filled = list[tuple[int, int]](), 0, 0.0
    for index, height in enumerate(heights):
        if filled and filled + height > most:
            columns.append((start, index))
            start, filled = index, 0.0
        filled += height
    return [*columns, (start, len(heights))]


def _tallest(heights: Sequence[float], split: Iterable[tuple[int, int]]) -> float:
    return max(sum(heights[start:end]) for start, end in split)
