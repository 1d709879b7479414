"""What a prober is doing, in words, with a count while tries are under way."""

from __future__ import annotations

import time
from collections.abc import Callable

_PAUSE_S = 0.2  # between two counts: telling takes longer than counting


class Tally:
    """Tells `told` of each new activity, and while it lasts how many of its tries were answered."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._what = ""
        self._asked = self._answered = 0
        self._last = 0.0

    def say(self, what: str) -> None:
        """Begin another activity."""
        self._what = what
        self._asked = self._answered = 0
        self._last = time.monotonic()
        self._told(what)

    def asked(self, count: int) -> None:
        self._asked += count

    def answered(self) -> None:
        self._answered += 1
        if time.monotonic() - self._last > _PAUSE_S:
            self._last = time.monotonic()
            self._told(f"{self._what}: {self._answered:,} of {self._asked:,} tries")
