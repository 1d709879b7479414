"""Faults on demand, set by annotation, to test a prober and what its users see.

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

An annotation that cannot be read has no effect.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.resources import NAMESPACES
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import ObjectKey, Store
from netprobe.model.objects import Object

EXEC = "netprobe.dev/fault-exec"
API = "netprobe.dev/fault-api"
RESTART = "netprobe.dev/fault-restart"


def of_exec(pod: Object) -> tuple[str, float]:
    """The fault of a pod's execs ("" for none) and its seconds."""
    name, _, number = _annotation(pod, EXEC).partition("=")
    return name, _positive(number)


def restart_after(pod: Object) -> float:
    """Seconds after which a pod restarts; 0 for never."""
    return _positive(_annotation(pod, RESTART))


class ApiFaults:
    """Counts the requests of each namespace that has faults."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requests: Counter[str] = Counter()

    async def strike(self, target: RequestTarget) -> None:
        """Raise, or never return, if it is this request's turn."""
        name, number = self._fault(target)
        if name not in {"429", "500", "hang"} or number < 1:
            return
        self._requests[target.namespace] += 1
        if self._requests[target.namespace] % int(number):
            return
        if name == "429":
            text = "the server has received too many requests and has asked us to try again later"
            raise ApiError(429, "TooManyRequests", text, retry_after_s=1)
        if name == "500":
            raise ApiError(500, "InternalError", "Internal error occurred: a fault on demand")
        await asyncio.get_running_loop().create_future()

    def watch_ends_after(self, target: RequestTarget) -> float:
        """Seconds; 0 if a watch may take its time."""
        name, number = self._fault(target)
        return number if name == "watch" else 0.0

    def _fault(self, target: RequestTarget) -> tuple[str, float]:
        stored = self._store.get(NAMESPACES, ObjectKey("", target.namespace)) if target.namespace else None
        name, _, number = _annotation(stored.object, API).partition("/") if stored else ("", "", "")
        return name, _positive(number)


def _annotation(obj: Object, name: str) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(name, ""))


def _positive(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0
