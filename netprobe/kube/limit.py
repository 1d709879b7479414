"""How fast the API is asked: a bucket of tokens, so that a run does not crowd out other clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class RateLimit:
    """`await limit.turn()` returns at once `burst` times, then `per_s` times a second, in order."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float] | None = None) -> None:
        if per_s <= 0 or burst < 1:
            raise ValueError("a rate limit needs a positive rate and a burst of at least 1")
        self._gap = 1 / per_s
        self._slack = self._gap * (burst - 1)
        self._clock = clock
        self._next = float("-inf")  # when the next token of an empty bucket is due, less the burst

    def reserve(self, now: float) -> float:
        """Take a token; the seconds to wait for it. Generic cell rate algorithm (ITU-T I.371)."""
        due = max(self._next, now)
        self._next = due + self._gap
        return max(0.0, due - self._slack - now)

    async def turn(self) -> None:
        now = (self._clock or asyncio.get_running_loop().time)()
        wait = self.reserve(now)
        if wait > 0:
            await asyncio.sleep(wait)
