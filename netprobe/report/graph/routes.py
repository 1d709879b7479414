"""The paths of arrows between boxes: through the spaces between blocks, never across a box.

An arrow to a column further right leaves its box on the right; all others leave on the left, where the pins
are. Columns in between are crossed through the gap between two blocks that is nearest to the direct way.
"""

from __future__ import annotations

from collections import Counter

from netprobe.report.graph.elements import Edge
from netprobe.report.graph.layout import BLOCK_GAP, Box, Layout, LayoutBlock

LANES = 9  # in a gap between two blocks


class ArrowRouter:
    """The paths of a layout's arrows, in the order of the calls: arrows that pass through the same gap get
    different lanes."""

    def __init__(self, made: Layout) -> None:
        self.made = made
        self._lanes: Counter[tuple[int, float]] = Counter()
        self._gaps = [
            [blocks[0].y - BLOCK_GAP / 2, *(block.y + block.height + BLOCK_GAP / 2 for block in blocks)]
            for blocks in made.columns
        ]

    def path(self, edge: Edge) -> str:
        """The `d` of an SVG path."""
        source, target = self.made.boxes[edge.source], self.made.boxes[edge.target]
        one, other = self.made.home[edge.source], self.made.home[edge.target]
        end = (target.x, target.pin_y(edge.label))
        if other.column > one.column:
            return self._forward(self._right(source, one), end, one.column, other.column)
        start = (source.x, source.title_y)
        if one is other:
            return _arc(start, end, 14 + min(46.0, abs(end[1] - start[1]) * 0.08))
        if other.column == one.column:
            reach = start[0] - one.x + 18 + min(60.0, abs(end[1] - start[1]) * 0.06)
            return _arc(start, end, reach)
        return self._back(start, end, one.column, other.column)

    @staticmethod
    def _right(box: Box, block: LayoutBlock) -> tuple[float, float]:
        return (box.x + (block.width if box is block.head else box.width), box.title_y)

    def _forward(self, start: tuple[float, float], end: tuple[float, float], one: int, other: int) -> str:
        path = f"M{_xy(*start)}"
        at = start
        for column in range(one + 1, other):
            part = (end[1] - at[1]) / (other - column + 1)
            left, right = self._borders(column)
            y = self._gap(column, at[1] + part)
            path += _curve(at, (left, y)) + f"L{_xy(right, y)}"
            at = (right, y)
        return path + _curve(at, end)

    def _back(self, start: tuple[float, float], end: tuple[float, float], one: int, other: int) -> str:
        left, _ = self._borders(one)
        path = f"M{_xy(*start)}L{_xy(left, start[1])}"
        at = (left, start[1])
        for column in range(one - 1, other - 1, -1):
            left, right = self._borders(column)
            y = self._gap(column, at[1] + (end[1] - at[1]) / (column - other + 2))
            path += _curve(at, (right, y)) + f"L{_xy(left, y)}"
            at = (left, y)
        bend = min(40.0, self.made.gutters[other] * 0.7)
        return f"{path}C{_xy(at[0] - bend, at[1])} {_xy(at[0] - bend, end[1])} {_xy(*end)}"

    def _borders(self, column: int) -> tuple[float, float]:
        blocks = self.made.columns[column]
        return blocks[0].x, max(block.x + block.width for block in blocks)

    def _gap(self, column: int, wanted: float) -> float:
        """The height at which a path crosses a column: the next lane of the gap nearest to `wanted`."""
        gap = min(self._gaps[column], key=lambda y: abs(y - wanted))
        used = self._lanes[column, gap]
        self._lanes[column, gap] += 1
        lane = used % LANES
        offset = (lane + 1) // 2 * (1 if lane % 2 else -1) * (BLOCK_GAP - 8) / LANES
        return gap + offset


def _arc(start: tuple[float, float], end: tuple[float, float], reach: float) -> str:
    """A curve to the left and back."""
    out = min(start[0], end[0]) - reach
    return f"M{_xy(*start)}C{_xy(out, start[1])} {_xy(out, end[1])} {_xy(*end)}"


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve that is horizontal at both ends."""
    bend = (end[0] - start[0]) / 2
    return f"C{_xy(start[0] + bend, start[1])} {_xy(end[0] - bend, end[1])} {_xy(*end)}"


def _xy(x: float, y: float) -> str:
    return f"{_number(x)},{_number(y)}"


def _number(value: float) -> str:
    """To a tenth of a pixel, without a zero after the point."""
    return f"{value:.1f}".removesuffix(".0")
