"""How a run spends its time: every deadline and bound of the prober, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

MANY: Final = 2_000
"""More flows than that are probed with fewer processes and connections each, so that it takes less time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds where a name ends in `_s`.

    `wait_s`: how long one try waits for an answer. Whole seconds for BusyBox nc (rounded up); fractions where
        the pod has GNU timeout, as in the lab.
    `window`: targets tried at once in one pod. `execs`, `execs_per_node`: pods probed at once.
    `starts_per_node`: tries that are being started at once in all pods of a node; `start_hold_s`: the longest
        time that an unanswered one counts among them (Starts says why).
    `sessions`: with no more stations than this, each keeps its exec for the whole run (an exec costs 50 ms
        of processor time); with more, each has one exec a round.
    `hedge`: a TCP try without an answer is joined by a second one after this part of `wait_s`. A connection
        request that a full backlog drops is sent again after a second only, when nc has given up. None: no
        second try.
    `stagger`: the two rounds that have to agree begin this part of `wait_s` apart: their time-outs overlap.
    `abreast`: no more flows than that have these two rounds side by side; with more, the second comes after
        the first, without the flows that connected `late_s` or more after the change (settle.py says why).
    `settle_s`: until when cells may move. `retries`: how often a failed exec, or a baseline that did not
        connect, is tried again.
    `proof_s`: for how long a TCP listener that was seen to live is taken to live on; until then its pod does
        not try it again. `timed`: whether latencies are wanted; `repeated`: whether a datagram that is not
        answered is sent again. `bulk`: a pod tries as many targets as its window holds and then answers them
        together, which takes fewer processes.
    `canary_s`: until when a canary must have turned. `pause_s`: between two tries of a canary, hence the
        resolution of the convergence time.
    """

    wait_s: float = 1.0
    hedge: float | None = 0.35
    window: int = 48
    execs: int = 24
    execs_per_node: int = 12
    starts_per_node: int = 16
    start_hold_s: float = 0.1
    sessions: int = 64
    stagger: float = 0.3
    abreast: int = MANY
    late_s: float = 5.0
    settle_s: float = 60.0
    retries: int = 3
    retry_s: float = 0.3
    start_s: float = 20.0
    proof_s: float = 0.0
    timed: bool = True
    repeated: bool = True
    bulk: bool = False
    canary_s: float = 8.0
    pause_s: float = 0.05

    @property
    def hedge_s(self) -> float | None:
        return None if self.hedge is None else self.hedge * self.wait_s

    @property
    def stagger_s(self) -> float:
        return self.stagger * self.wait_s

    def within_a_machine(self, flows: int = 0) -> Pace:
        """For a lab: packets take microseconds and no backlog overflows, so what overlaps may be closer.

        A second try would cost processor time where there is nothing to lose; the second round is one. And
        there the clock is a program: with many flows, starting it takes as long as probing them. So many
        are tried in bulk, from as many pods of a node as of all (its nodes are one machine), in sessions that
        are kept, since two processors are what all of it waits for.
        """
        near = replace(self, hedge=None, repeated=False, stagger=0.1, pause_s=0.03)
        if flows <= MANY:
            return near
        return replace(near, timed=False, bulk=True, window=64, execs_per_node=self.execs, sessions=500)

    @property
    def quiet_s(self) -> float:
        """How long a command may be silent while targets wait: it starts, and two tries time out."""
        return self.start_s + 2 * (math.ceil(self.wait_s) + 1)
