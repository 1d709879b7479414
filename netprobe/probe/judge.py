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
ROUTE = "route: the source has no route to the destination, and never had one in this run"
REJECTED = "rejected: answered with a refusal, although the port is served"
DNS = "dns: the name did not resolve, which says nothing about the policy"
EXEC = "exec: the probe itself failed"
SKIPPED = "skipped: not tried"

VerdictRow: TypeAlias = dict[tuple[bool, bool], tuple[Verdict, str | None]]


def _row(
    *,
    both: tuple[Verdict, str | None],
    listener_only: tuple[Verdict, str | None],
    path_only: tuple[Verdict, str | None],
    neither: tuple[Verdict, str | None],
) -> VerdictRow:
    return {
        (True, True): both,
        (True, False): listener_only,
        (False, True): path_only,
        (False, False): neither,
    }


def _always(verdict: Verdict, reason: str | None) -> VerdictRow:
    answer = verdict, reason
    return _row(both=answer, listener_only=answer, path_only=answer, neither=answer)


_REFUSAL = _row(
    both=(DENY, REJECTED),
    listener_only=(UNKNOWN, PATH),
    path_only=(UNKNOWN, LISTENER),
    neither=(UNKNOWN, LISTENER),
)

VERDICTS: Final[dict[Outcome, VerdictRow]] = {
    # Exhaustive over (listener proven, path proven). Source: "Reading a probe" in docs/semantics.md.
    Outcome.CONNECTED: _always(ALLOW, None),
    Outcome.TIMED_OUT: _row(
        both=(DENY, None),
        listener_only=(UNKNOWN, PATH),
        path_only=(UNKNOWN, LISTENER),
        neither=(UNKNOWN, PATH),
    ),
    Outcome.REFUSED: _REFUSAL,
    Outcome.HOST_UNREACHABLE: _REFUSAL,
    Outcome.NETWORK_UNREACHABLE: _row(
        both=(DENY, REJECTED),
        listener_only=(UNKNOWN, ROUTE),
        path_only=(UNKNOWN, LISTENER),
        neither=(UNKNOWN, ROUTE),
    ),
    Outcome.NO_SUCH_NAME: _always(UNKNOWN, DNS),
    Outcome.EXEC_FAILED: _always(UNKNOWN, EXEC),
    Outcome.SKIPPED: _always(UNKNOWN, SKIPPED),
}


def judge(outcome: Outcome, control: Control) -> tuple[Verdict, str | None]:
    """The verdict on an outcome, and the reason if one is needed."""
    return VERDICTS[outcome][control.listener is not None, control.path is not None]
