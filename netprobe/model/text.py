"""How lists are written in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def listed(items: Iterable[object], most: int = 3) -> str:
    """The first `most` items and how many there are besides: "a", "a and b", "a, b and 3 more".

    Exactly one item too many is written out, since "and 1 more" is no shorter. Empty: "".
    """
    texts = [str(item) for item in items]
    if len(texts) > most + 1:
        return f"{', '.join(texts[:most])} and {len(texts) - most:,} more"
    if len(texts) < 2:
        return "".join(texts)
    return f"{', '.join(texts[:-1])} and {texts[-1]}"
