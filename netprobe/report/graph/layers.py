"""Who calls whom as an order: callers first, with few links that point back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence


def ordered(items: Sequence[int], links: Mapping[int, Mapping[int, int]]) -> list[int]:
    """The items so that few links point back, and heavy ones least of all.

    By the rule of Eades, Lin and Smyth (1993): what calls nobody goes last, what nobody calls goes first, and
    where there is neither, first goes who calls most more than it is called. Ties keep the order given.
    """
    left = dict.fromkeys(items)
    calls = dict.fromkeys(items, 0)
    called = dict.fromkeys(items, 0)
    callers: dict[int, dict[int, int]] = defaultdict(dict)
    for one, others in links.items():
        for other, weight in others.items():
            if one in left and other in left and one != other:
                calls[one] += weight
                called[other] += weight
                callers[other][one] = weight
    first: list[int] = []
    last: list[int] = []
    while left:
        sink = next((item for item in reversed(left) if not calls[item] and called[item]), None)
        chosen = (
            sink
            if sink is not None
            else max(left, key=lambda item: (not called[item], calls[item] - called[item]))
        )
        (last if sink is not None else first).append(chosen)
        del left[chosen]
        for other, weight in links.get(chosen, {}).items():
            if other in called:
                called[other] -= weight
        for other, weight in callers.get(chosen, {}).items():
            calls[other] -= weight
    return first + last[::-1]
