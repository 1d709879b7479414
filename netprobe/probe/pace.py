"""How a run probes: one of three presets for the kind of cluster, and the deadlines of the run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Method:
    """How targets are tried, and how hard pods and nodes are driven. Use a preset: CLUSTER, LAB or LAB_BULK.

    `second_try`: a TCP try without an answer is joined by a second one after this part of `wait_s`, because
        a connection request that a full backlog drops is sent again only after a second, when nc has given
        up. None: no second try.
    `resend`: send a datagram again that is not answered. `latencies`: measure them.
    `bulk`: a pod tries as many targets as its window holds and then answers them together, which takes
        fewer processes.
    `window`: targets tried at once in one pod. `pods_per_node`: pods probed at once.
    `starts_per_node`, `start_hold_s`: see session.Starts.
    `kept_sessions`: with no more stations than this, each keeps its exec for the whole run (an exec costs
        50 ms of processor time); with more, each has one exec a round.
    `round_gap`: the two rounds that have to agree begin this part of `wait_s` apart: their time-outs overlap.
    """

    second_try: float | None = 0.35
    resend: bool = True
    latencies: bool = True
    bulk: bool = False
    window: int = 48
    pods_per_node: int = 12
    starts_per_node: int = 16
    start_hold_s: float = 0.1
    kept_sessions: int = 64
    round_gap: float = 0.3


CLUSTER: Final = Method()
"""Any cluster, with the run's own pods or next to those of others."""

LAB: Final = replace(CLUSTER, second_try=None, resend=False, round_gap=0.1)
"""One machine: packets take microseconds and no backlog overflows, so nothing needs a second try."""

LAB_BULK: Final = replace(LAB, latencies=False, bulk=True, window=64, pods_per_node=24, kept_sessions=500)
"""A lab and many flows: starting the clock would take as long as probing, and the nodes are one machine."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The method and the deadlines of a run. Names that end in `_s` are in seconds.

    `wait_s`: how long one try waits for an answer. Whole seconds for BusyBox nc (rounded up); fractions if
        the pod has GNU timeout, as in the lab.
    `start_s`: how long a command may take to start. `canary_s`: until when a canary must have seen a change.
    `settle_s`: until when cells may move. `retry_s`: pause before what failed is tried again.
    `listener_s`: how long a TCP listener that was seen to live is trusted; its pod does not try it again
        until then.
    `many`: more flows than this are probed in bulk on a lab, and their second round follows the first and
        leaves out flows that connected `late_s` or more after the change (settle.py says why).
    """

    wait_s: float = 1.0
    start_s: float = 20.0
    canary_s: float = 8.0
    settle_s: float = 60.0
    retry_s: float = 0.3
    listener_s: float = 0.0
    many: int = 2_000
    late_s: float = 5.0
    method: Method = CLUSTER

    def on_lab(self, flows: int = 0) -> Pace:
        """The same deadlines with the method for that many flows on a lab."""
        return replace(self, method=LAB_BULK if flows > self.many else LAB)

    def shared(self, fixtures: int) -> Pace:
        """For one of several fixtures that are probed side by side on the same nodes, in kept sessions.

        Listeners live as long as their fixture. Where answers are slow, fewer tries are started: hundreds at
        once would each take longer than they wait.
        """
        starts = max(16 // fixtures, 2)
        method = replace(
            self.method, kept_sessions=1_000, starts_per_node=starts, start_hold_s=0.5, latencies=False
        )
        return replace(self, listener_s=30.0, method=method)

    @property
    def second_try_s(self) -> float | None:
        return None if self.method.second_try is None else self.method.second_try * self.wait_s

    @property
    def slow_s(self) -> float:
        """An answer to a datagram that takes longer shows that its listener is too busy for all of them."""
        return self.wait_s / 2

    @property
    def round_gap_s(self) -> float:
        return self.method.round_gap * self.wait_s

    @property
    def quiet_s(self) -> float:
        """How long a command may be silent while targets wait: it starts, and two tries time out."""
        return self.start_s + 2 * (math.ceil(self.wait_s) + 1)


RETRIES: Final = 3
"""How often a failed exec, or a baseline that did not connect, is tried again."""
