"""What an outcome means: the one table from outcome, listener and path to a verdict.

A flow that connected is allowed, whatever else is known. Anything else is denied only if two controls
hold: the listener is proven (another pod, or the pod itself, reached that port in the same round) and the
path is proven (the flow connected before the policies were applied, or a policy-free pair on the same nodes
does). Everything else is UNKNOWN with the reason, never "blocked".
"""

from __future__ import annotations

from typing import Final, TypeAlias

from netprobe.model.observation import Control, Outcome
from netprobe.model.verdict import Verdict

ALLOW, DENY, UNKNOWN = Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN

PATH = "path: never seen to connect, policies or not; a broken network looks the same"
LISTENER = "listener: nothing has shown that the port is served; a dead listener looks the same"
BUSY = "listener: too busy to answer every datagram; one that it missed looks the same"
ROUTE = "route: the source has no route to the destination, and never had one in this run"
REJECTED = "rejected: answered with a refusal, although the port is served"
DNS = "dns: the name did not resolve, which says nothing about the policy"
EXEC = "exec: the probe itself failed"
SKIPPED = "skipped: not tried"

Judgement: TypeAlias = tuple[Verdict, str | None]


def _always(verdict: Verdict, reason: str | None) -> tuple[Judgement, ...]:
    return ((verdict, reason),) * 4


_REFUSED: Final = (UNKNOWN, LISTENER), (UNKNOWN, PATH), (UNKNOWN, LISTENER), (DENY, REJECTED)

# Which of listener and path are proven:
#   neither            listener           path                 both
VERDICTS: Final[dict[Outcome, tuple[Judgement, ...]]] = {
    # Source: "Reading a probe" in docs/semantics.md.
    Outcome.CONNECTED: _always(ALLOW, None),
    Outcome.TIMED_OUT: ((UNKNOWN, PATH), (UNKNOWN, PATH), (UNKNOWN, LISTENER), (DENY, None)),
    Outcome.REFUSED: _REFUSED,
    Outcome.HOST_UNREACHABLE: _REFUSED,
    Outcome.NETWORK_UNREACHABLE: ((UNKNOWN, ROUTE), (UNKNOWN, ROUTE), (UNKNOWN, LISTENER), (DENY, REJECTED)),
    Outcome.NO_SUCH_NAME: _always(UNKNOWN, DNS),
    Outcome.EXEC_FAILED: _always(UNKNOWN, EXEC),
    Outcome.SKIPPED: _always(UNKNOWN, SKIPPED),
}


def judge(outcome: Outcome, control: Control) -> Judgement:
    """The verdict on an outcome, and the reason if one is needed."""
    return VERDICTS[outcome][(control.listener is not None) + 2 * (control.path is not None)]
