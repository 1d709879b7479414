"""What a probe saw: the raw fact, and separately the verdict that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from netprobe.model.fastenum import FastEnum
from netprobe.model.verdict import Verdict


class Outcome(FastEnum):
    """The raw fact of one try."""

    CONNECTED = "connected"  # TCP handshake done, or a UDP reply received
    REFUSED = "refused"  # RST or port unreachable
    TIMED_OUT = "timed_out"
    HOST_UNREACHABLE = "host_unreachable"  # "no route to host": also what admin-prohibited looks like
    NETWORK_UNREACHABLE = "network_unreachable"  # no route at the source
    NO_SUCH_NAME = "no_such_name"
    EXEC_FAILED = "exec_failed"  # the tester failed: nothing is known about the flow
    SKIPPED = "skipped"  # not tried: the kernel, the image or the CNI cannot


@dataclass(frozen=True, slots=True)
class Control:
    """What proves a DENY. None: not proven.

    `listener`: "self" (the pod reached itself), "peer" (another pod connected), "readiness" (its own TCP
    probe).
    `path`: "baseline" (connected before the policies were applied), "pair" (a policy-free pair on the
    same nodes).
    """

    listener: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The last outcome of a flow, its verdict, and the evidence for it. `latency_ms` is of the last try."""

    outcome: Outcome
    verdict: Verdict
    control: Control = Control()
    reason: str | None = None
    attempts: int = 1
    latency_ms: float | None = None
    flaky: bool = False
