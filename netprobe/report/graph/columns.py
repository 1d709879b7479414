"""Which items of a picture share a column, from their heights and the links between them alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

Links = Mapping[int, Mapping[int, int]]
"""The weights of the links from one item to others."""

COLUMN = 330  # the width of a column with the space next to it, about
SCREEN = 1.7  # width to height of a screen
LOW_ENOUGH = 900  # the height of a column that needs no scrolling, about


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
