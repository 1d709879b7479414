"""Faults on demand, by annotation; none by default. They test a prober, and show what its users see.

On a pod, `netprobe.dev/fault-listener`:

    dead            the pod is ready, and nothing listens on its ports
    late=SECONDS    it listens only that long after it has become ready
    loopback        it listens on its loopback addresses only
    ipv4, ipv6      it listens on its addresses of that family only

On a pod, `netprobe.dev/fault-exec`:

    breaks          the connection is cut at the command's first output
    hangs           the command starts, and no output and no status ever comes
    loses-status    all output comes, the exit status does not
    late=SECONDS    the command starts that much later

On a pod, `netprobe.dev/fault-restart: SECONDS`: that long after its start, it restarts once, with another
address.

On a namespace, `netprobe.dev/fault-api`, for requests on what is in it:

    429/N  500/N    each Nth request gets this status (1: every request)
    hang/N          each Nth request is never answered
    watch/SECONDS   a watch is cut after that time

On a policy, `netprobe.dev/fault-missed`:

    policy          the policy is accepted and not enforced
    node=NAME       it is not enforced on that node
    ingress=N       its ingress rule number N (from 0) is not enforced; egress=N in the same way

On a node, `netprobe.dev/fault-agent`:

    stopped         its rules stay as they are, whatever policies and pods come and go
    late=SECONDS    each change of its rules takes effect that much later

On a node, `netprobe.dev/fault-path: NAME`: packets from its pods to the pods of that node are lost.

An annotation that cannot be read has no effect.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from netprobe.model.labels import Labels

EXEC = "netprobe.dev/fault-exec"
RESTART = "netprobe.dev/fault-restart"
API = "netprobe.dev/fault-api"
LISTENER = "netprobe.dev/fault-listener"
MISSED = "netprobe.dev/fault-missed"
AGENT = "netprobe.dev/fault-agent"
PATH = "netprobe.dev/fault-path"


@dataclass(frozen=True, slots=True)
class Listening:
    """How a pod listens: seconds after its start (None: never), and over which families."""

    after_s: float | None = 0.0
    versions: frozenset[int] = frozenset({4, 6})
    loopback: bool = False


def listening(annotations: Labels) -> Listening:
    match annotations.get(LISTENER, ""):
        case "dead":
            return Listening(None)
        case "loopback":
            return Listening(loopback=True)
        case "ipv4":
            return Listening(versions=frozenset({4}))
        case "ipv6":
            return Listening(versions=frozenset({6}))
        case text:
            return Listening(_late(text))


def agent_delay(annotations: Labels) -> float:
    """Seconds that a node's rules are behind; infinity if they never change again."""
    text = annotations.get(AGENT, "")
    return math.inf if text == "stopped" else _late(text)


def lost_towards(annotations: Labels) -> str | None:
    """The node that packets of this one never reach."""
    return annotations.get(PATH) or None


def is_missed(annotations: Labels) -> bool:
    """Whether the policy is enforced nowhere."""
    return _missed(annotations) == ("policy", "")


def missed_on(annotations: Labels) -> str | None:
    """The node on which the policy is not enforced."""
    what, where = _missed(annotations)
    return where if what == "node" else None


def is_missed_rule(annotations: Labels, direction: str, index: int) -> bool:
    """Whether one rule of the policy is not enforced."""
    return _missed(annotations) == (direction, str(index))


def _missed(annotations: Labels) -> tuple[str, str]:
    what, _, where = str(annotations.get(MISSED, "")).partition("=")
    return what, where


def of_exec(annotations: Labels) -> tuple[str, float]:
    """The fault of a pod's execs ("" for none) and its seconds."""
    name, _, number = annotations.get(EXEC, "").partition("=")
    return name, _positive(number)


def restart_after(annotations: Labels) -> float:
    """Seconds after which a pod restarts; 0 for never."""
    return _positive(annotations.get(RESTART, ""))


def of_api(annotations: Labels) -> tuple[str, float]:
    """The fault of requests in a namespace ("" for none) and its number."""
    name, _, number = annotations.get(API, "").partition("/")
    return name, _positive(number)


def _late(text: str) -> float:
    name, _, number = text.partition("=")
    return _positive(number) if name == "late" else 0.0


def _positive(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
