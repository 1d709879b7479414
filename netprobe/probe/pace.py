"""How a run spends its time: every deadline and bound of the prober, in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds where a name ends in `_s`.

    `wait_s`: how long one try waits for an answer. Whole seconds for BusyBox nc (rounded up); fractions where
        the pod has GNU timeout, as in the lab.
    `workers`: targets tried at once in one pod. `execs`, `execs_per_node`: execs at once.
    `stagger_s`: the two rounds that have to agree begin this far apart, so that their time-outs overlap.
    `settle_s`: until when cells may move. `retries`: how often a failed exec, or a baseline that did not
        connect, is tried again.
    `canary_s`: until when a canary must have turned. `pause_s`: between two tries of a canary, hence the
        resolution of the convergence time.
    """

    wait_s: float = 1.0
    workers: int = 48
    execs: int = 24
    execs_per_node: int = 12
    stagger_s: float = 0.3
    settle_s: float = 60.0
    retries: int = 3
    retry_s: float = 0.3
    start_s: float = 20.0
    canary_s: float = 8.0
    pause_s: float = 0.05

    def exec_s(self, targets: int) -> float:
        """The deadline of one exec: all its targets timing out, name lookups included, and as much again."""
        turns = math.ceil(targets / self.workers)
        return self.start_s + 2 * turns * (math.ceil(self.wait_s) + 1)
