"""Where boxes stand: a layered layout of our own, the same for the same graph, in pixels.

Theory of operation. A namespace is a block of boxes, one below the other; a long one is cut into several, by
what its pods call. Blocks stand in columns. They are put into an order in which as few arrows as can be had
cheaply point back (Eades, Lin and Smyth's rule: callers first, called ones last); the longest way to a block
in that order is its column, and where that would give a long, thin picture the order is cut into columns
instead, as many as make it fit a screen best. Within columns, blocks and the boxes in them are sorted by the
mean height of their neighbours, a few times to and fro. A port that an arrow leads to is a pin at the left
of its box, with the label beside it inside the box, so that no label can lie on another, however many arrows
there are.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from netprobe.model.verdict import Verdict
from netprobe.report.graph.layers import ordered
from netprobe.report.graph.record import Edge, Graph, Kind, Spot
from netprobe.report.graph.words import OUTSIDE, crowd_name, title_of, visible

TITLE, PIN, PAD, GAP, HEAD = 24, 16, 14, 34, 26
NODE_GAP = 10
LONGEST_BLOCK = 24  # boxes
WIDEST = 250
SWEEPS = 4


@dataclass(slots=True)
class Box:
    """A node, or the head of a frame: a title, and a pin for each kind of arrow that leads to it."""

    spot: Spot
    title: str
    pins: list[Kind] = field(default_factory=list)
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        return TITLE + PIN * len(self.pins) + (5 if self.pins else 4)

    def pin_y(self, kind: Kind) -> float:
        return self.y + TITLE + PIN * self.pins.index(kind) + PIN / 2

    @property
    def title_y(self) -> float:
        return self.y + TITLE / 2 + 2


@dataclass(slots=True)
class Block:
    """A frame with its boxes, or a part of one. `head` takes the arrows of the namespace as a whole."""

    title: str
    head: Box
    boxes: list[Box]
    outside: bool = False
    column: int = 0
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        inside = sum(box.height + NODE_GAP for box in self.boxes)
        return self.head.height + inside + PAD - (0 if self.boxes else PAD - 4)


@dataclass(slots=True)
class Layout:
    blocks: list[Block]
    columns: list[list[Block]]
    boxes: dict[Spot, Box]
    home: dict[Spot, Block]
    gutters: list[float]  # width of the space left of each column, and right of the last
    width: float = 0
    height: float = 0


def layout(graph: Graph) -> Layout:
    blocks = _blocks(graph)
    boxes = {box.spot: box for block in blocks for box in block.boxes}
    home = {box.spot: block for block in blocks for box in block.boxes}
    for block in blocks:
        if block.head.spot not in boxes:
            boxes[block.head.spot], home[block.head.spot] = block.head, block
    for edge in graph.edges:
        pins = boxes[edge.target].pins
        if edge.kind not in pins:
            pins.append(edge.kind)
    for box in boxes.values():
        box.pins.sort(key=_pin_order)
    links = _links(graph.edges, home)
    columns = _columns(blocks, links)
    for number, column in enumerate(columns):
        for block in column:
            block.column = number
    made = Layout(blocks, columns, boxes, home, [])
    _measure(made)
    _sort(made, graph.edges)
    _place(made, graph.edges)
    return made


def _pin_order(kind: Kind) -> tuple[bool, str, int, str]:
    first = kind.ports[0].partition("/")[0].partition(" ")[0] if kind.ports else ""
    return kind.verdict is not Verdict.ALLOW, kind.verdict.value, int(first or 0), kind.text


def _blocks(graph: Graph) -> list[Block]:
    blocks = [Block("", Box(crowd, visible(crowd_name(crowd))), [], outside=True) for crowd in graph.crowds()]
    for frame in graph.frames:
        parts = _parts(graph, graph.inside(frame))
        for number, part in enumerate(parts):
            more = f" ({number + 1} of {len(parts)})" if len(parts) > 1 else ""
            title = visible(frame) + more
            boxes = [Box(Spot(index), visible(title_of(graph.nodes[index]))) for index in part]
            blocks.append(Block(title, Box(Spot(frame=frame), title), boxes))
    # Who is only reached stands at the other end of the picture than who comes in.
    reached = {edge.target.node for edge in graph.edges}
    for number, is_reached in enumerate((False, True)):
        outside = [index for index in graph.inside(None) if (index in reached) is is_reached]
        boxes = [Box(Spot(index), visible(title_of(graph.nodes[index]))) for index in outside]
        if boxes:
            blocks.append(Block(OUTSIDE, Box(Spot(frame="/" * number), OUTSIDE), boxes, outside=True))
    return blocks


def _parts(graph: Graph, inside: list[int]) -> list[list[int]]:
    """The boxes of a frame; a long one in parts, callers first."""
    if len(inside) <= LONGEST_BLOCK:
        return [inside]
    members = set(inside)
    links: dict[int, dict[int, int]] = defaultdict(dict)
    for edge in graph.edges:
        source, target = edge.source.node, edge.target.node
        if source in members and target in members and source is not None and target is not None:
            links[source][target] = 1
    order = ordered(inside, links)
    size = math.ceil(len(order) / math.ceil(len(order) / LONGEST_BLOCK))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _links(edges: Iterable[Edge], home: dict[Spot, Block]) -> dict[int, dict[int, int]]:
    """How many arrows lead from one block to another; denied ones only count where there is no other."""
    found: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for edge in edges:
        one, other = id(home[edge.source]), id(home[edge.target])
        if one != other:
            found[one][other] += 100 if edge.kind.verdict is Verdict.ALLOW else 1
    return found


def _columns(blocks: list[Block], links: dict[int, dict[int, int]]) -> list[list[Block]]:
    by_id = {id(block): block for block in blocks}
    order = ordered(list(by_id), links)
    place = {block: number for number, block in enumerate(order)}
    depth = dict.fromkeys(order, 0)
    for one in order:
        for other in links.get(one, {}):
            if place[other] > place[one]:
                depth[other] = max(depth[other], depth[one] + 1)
    total = sum(block.height + GAP for block in blocks)
    best = max(3, round(math.sqrt(total * 1.7 / 330)))
    layers: list[list[Block]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for one in order:
        layers[depth[one]].append(by_id[one])
    tallest = max((sum(b.height + GAP for b in layer) for layer in layers), default=0)
    if len(layers) <= best + 2 and tallest <= max(900, 2 * total / best):
        return layers
    tall = [by_id[one].height + GAP for one in order]
    splits = [_split(tall, number) for number in range(min(3, len(tall)), min(len(tall), 2 * best) + 1)]
    chosen = min(splits, key=lambda split: max(_tallest(tall, split), len(split) * 330 / 1.7))
    return [[by_id[one] for one in order[start:end]] for start, end in chosen]


def _split(heights: Sequence[float], number: int) -> list[tuple[int, int]]:
    """Heights in their order as at most so many columns, the tallest of which is as low as can be."""
    low, high = max(heights), sum(heights)
    while high - low > 1:
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(heights, middle)) <= number else (middle, high)
    return _filled(heights, high)


def _filled(heights: Sequence[float], most: float) -> list[tuple[int, int]]:
    """Each column filled up to a height, the first ones first."""
    columns, start, filled = list[tuple[int, int]](), 0, 0.0
    for index, height in enumerate(heights):
        if filled and filled + height > most:
            columns.append((start, index))
            start, filled = index, 0.0
        filled += height
    return [*columns, (start, len(heights))]


def _tallest(heights: Sequence[float], split: Iterable[tuple[int, int]]) -> float:
    return max(sum(heights[start:end]) for start, end in split)


def _pin_width(kind: Kind) -> float:
    return len(kind.text) * (7.1 if kind.wrong else 6.4) + 34  # what is wrong is written bold


def _measure(made: Layout) -> None:
    for column in made.columns:
        widest = 110.0
        for block in column:
            for box in (block.head, *block.boxes):
                texts = [len(box.title) * 7.2 + 24, *(_pin_width(kind) for kind in box.pins)]
                widest = max(widest, *texts)
        # A crowd is known by its name alone, so that is written in full where it can be.
        widest = min(widest, WIDEST if any(block.boxes for block in column) else WIDEST + 90)
        for block in column:
            block.width = widest + 2 * PAD + 22
            for box in block.boxes:
                box.width = widest
            block.head.width = block.width


def _sort(made: Layout, edges: Iterable[Edge]) -> None:
    """Blocks of a column, and boxes of a block, by the mean height of their neighbours."""
    near: dict[Spot, list[Spot]] = defaultdict(list)
    for edge in edges:
        if edge.source != edge.target:
            near[edge.source].append(edge.target)
            near[edge.target].append(edge.source)
    for sweep in range(SWEEPS):
        columns = made.columns if sweep % 2 == 0 else made.columns[::-1]
        _stack(made)
        for column in columns:
            for block in column:
                middle = {box.spot: _mean(made, near[box.spot], box.y) for box in block.boxes}
                block.boxes.sort(key=lambda box: middle[box.spot])
            means = {
                id(block): _mean(
                    made, [n for box in (block.head, *block.boxes) for n in near[box.spot]], block.y, block
                )
                for block in column
            }
            column.sort(key=lambda block: means[id(block)])
            _stack(made)


def _mean(made: Layout, near: list[Spot], otherwise: float, but: Block | None = None) -> float:
    heights = [made.boxes[spot].title_y for spot in near if made.home[spot] is not but]
    return sum(heights) / len(heights) if heights else otherwise


def _stack(made: Layout) -> None:
    """Heights: columns centred on the tallest."""
    totals = [sum(block.height + GAP for block in column) - GAP for column in made.columns]
    made.height = max(totals, default=0) + 2 * GAP
    for column, total in zip(made.columns, totals, strict=True):
        y = (made.height - total) / 2
        for block in column:
            block.y = block.head.y = y
            inside = y + block.head.height
            for box in block.boxes:
                box.y = inside
                inside += box.height + NODE_GAP
            y += block.height + GAP


def _place(made: Layout, edges: Iterable[Edge]) -> None:
    """Columns beside each other; a gutter is as wide as what passes through it needs."""
    passing = [0] * (len(made.columns) + 1)
    for edge in edges:
        one, other = made.home[edge.source].column, made.home[edge.target].column
        low, high = (one + 1, other) if other > one else (other, one)
        for number in range(low, high + 1):
            passing[number] += 1
    made.gutters = [min(150.0, 56.0 + 1.5 * count) for count in passing]
    made.gutters[0] = min(110.0, 24.0 + 6 * passing[0])
    made.gutters[-1] = 24.0
    x = 0.0
    for column, gutter in zip(made.columns, made.gutters, strict=False):
        x += gutter
        for block in column:
            block.x = block.head.x = x
            for box in block.boxes:
                box.x = x + PAD + 22
        x += max(block.width for block in column)
    made.width = x + made.gutters[-1]
