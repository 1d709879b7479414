"""How long random worlds are played, and from which seed.

NETPROBE_FUZZ_SECONDS: start no world after that many seconds; without it, play a few fixed ones.
NETPROBE_FUZZ_SEED: the first world's seed; the next has the next number.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from netprobe.kube import connect
from netprobe.model.verdict import Verdict
from tests.property.arena import Tally, Terms, play
from tests.property.strategies import PORTS

UNKNOWN_AT_MOST = 0.01
"""Of all cells: a prober that cannot tell is no difference, but a test that compares nothing is none."""


ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Budget:
    """`seconds` None: `worlds` of them, however long they take."""

    seconds: float | None
    first: int
    worlds: int

    @classmethod
    def given(cls, worlds: int) -> Budget:
        seconds = os.environ.get("NETPROBE_FUZZ_SECONDS")
        seed = os.environ.get("NETPROBE_FUZZ_SEED")
        first = int(seed) if seed else secrets.randbelow(10**6) if seconds else 1
        return cls(float(seconds) if seconds else None, first, worlds)

    def seeds(self, clock: Callable[[], float] = time.monotonic) -> Iterator[int]:
        began, seed = clock(), self.first
        while seed < self.first + self.worlds if self.seconds is None else clock() - began < self.seconds:
            yield seed
            seed += 1


def at_length(terms: Terms) -> Terms:
    """The same, and for a short run less of it: a denied flow costs the time that it is waited for."""
    if os.environ.get("NETPROBE_FUZZ_SECONDS"):
        return replace(terms, rounds=ROUNDS)
    return replace(terms, rounds=2, ports=PORTS[:2])


async def fuzz(kubeconfig: str, terms: Terms, *, worlds: int) -> Tally:
    """Play worlds on one cluster, one after another: so many, unless the environment says otherwise."""
    terms = at_length(terms)
    tally = Tally()
    budget = Budget.given(worlds)
    sys.stdout.write(f"worlds from seed {budget.first}\n")
    async with connect(kubeconfig) as cluster:
        for seed in budget.seeds():
            await play(cluster, seed, terms, tally)
    sys.stdout.write(f"{tally}; unknown: {tally.unknown.most_common(5)}\n")
    return tally


def enough(tally: Tally) -> None:
    """Something was compared, both ways, and little remained open."""
    assert tally.cells[Verdict.ALLOW], tally
    assert tally.cells[Verdict.DENY], tally
    assert tally.cells[Verdict.UNKNOWN] <= UNKNOWN_AT_MOST * tally.cells.total(), tally.unknown
