"""Waiting for pods: watched, not polled, and given up as soon as their status says that they cannot start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Final, Self

from netprobe.errors import ClusterError, WorkbenchError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe.api import ClusterAPI
from netprobe.probe.run_objects import RUN

CANNOT_START: Final = frozenset(
    {
        "ImagePullBackOff",  # follows ErrImagePull, which may pass
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
        "SysctlForbidden",
    }
)

GATE: Final = "netprobe.dev/never"
"""A readiness gate that never becomes true: keeps shadow pods out of Services."""


class PodReadiness:
    """Follows the pods of a run while its context is open."""

    def __init__(self, cluster: ClusterAPI, run: str) -> None:
        self._cluster = cluster
        self._run = run
        self._pods: dict[PodRef, Object] = {}
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._awaited: Mapping[PodRef, Object] = {}

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"pods of run {self._run}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def until(
        self, made: Mapping[PodRef, Object], fine: Callable[[Object], bool]
    ) -> Mapping[PodRef, Object]:
        """The pods as they are once each is `fine`; WorkbenchError if one cannot start.

        `made`: as they were created; an older pod of the same name does not count.
        """
        self._awaited = made
        async with self._changed:
            while True:
                pods = {ref: pod for ref in made if (pod := self._live(ref)) is not None}
                for ref, pod in pods.items():
                    if cannot_start(pod):
                        raise WorkbenchError(f"pod {ref} cannot become ready: {await self._explain(ref)}")
                if len(pods) == len(made) and all(map(fine, pods.values())):
                    return pods
                if self._task is not None and self._task.done():
                    self._task.result()  # the watch failed for good: raises why
                await self._changed.wait()

    async def explain(self) -> str:
        """What status and events of the pods that are not ready say; "" if all are."""
        missing = [ref for ref in self._awaited if not is_ready(self._live(ref) or {})]
        sentences = [f"{ref}: {await self._explain(ref)}" for ref in missing[:3]]
        if len(missing) > 3:
            sentences.append(f"and {len(missing) - 3} more")
        return " | ".join(sentences)

    def _live(self, ref: PodRef) -> Object | None:
        pod = self._pods.get(ref)
        same = pod is not None and pod["metadata"].get("uid") == self._awaited[ref]["metadata"].get("uid")
        return pod if same else None

    async def _explain(self, ref: PodRef) -> str:
        pod = self._live(ref)
        status = describe(pod) if pod else "it does not exist"
        return "; ".join(filter(None, [status, await self._events(ref, status)]))

    async def _follow(self) -> None:
        try:
            async with aclosing(self._cluster.watch("Pod", None, {RUN: self._run})) as events:
                async for event in events:
                    meta = event.object["metadata"]
                    ref = PodRef(meta["namespace"], meta["name"])
                    async with self._changed:
                        if event.type == "DELETED":
                            self._pods.pop(ref, None)
                        else:
                            self._pods[ref] = event.object
                        self._changed.notify_all()
        finally:
            async with self._changed:
                self._changed.notify_all()

    async def _events(self, ref: PodRef, status: str) -> str:
        """The warnings about a pod that its status does not repeat; "" if they cannot be read."""
        try:
            events = await self._cluster.find("Event", ref.namespace)
        except ClusterError:
            return ""
        return warnings(
            (
                (str(event.get("reason")), str(event.get("message")))
                for event in events
                if (event.get("involvedObject") or {}).get("name") == ref.name
                and event.get("type") == "Warning"
            ),
            status,
        )


def warnings(events: Iterable[tuple[str, str]], status: str) -> str:
    """The last three of (reason, message), newest last, without those that the status repeats.

    A missing pull secret comes first: it is the cause of what follows.
    """
    new = dict.fromkeys(f"{reason}: {message}" for reason, message in events if not _repeats(message, status))
    secrets = [text for text in new if text.startswith("FailedToRetrieveImagePullSecret")]
    others = [text for text in new if text not in secrets]
    return "; ".join([*secrets[-1:], *others[-3:]])[:600]


def _repeats(message: str, status: str) -> bool:
    return (
        message.removeprefix("Error: ") in status
        or (message.startswith("Failed to pull image") and "failed to pull" in status)
        or (message.startswith("Back-off restarting") and "CrashLoopBackOff" in status)
    )


def is_ready(pod: Object) -> bool:
    """Whether probes can be run in it. A pod with GATE is never Ready, but its containers are."""
    status = pod.get("status") or {}
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    wanted = "ContainersReady" if {"conditionType": GATE} in gates else "Ready"
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return conditions.get(wanted) == "True" and bool(status.get("podIP"))


def has_node(pod: Object) -> bool:
    """Whether the scheduler has placed it."""
    return bool(pod["spec"].get("nodeName"))


def runs(pod: Object) -> bool:
    """Whether it has an address and a container that runs, ready or not."""
    status = pod.get("status") or {}
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    return bool(status.get("podIP")) and any("running" in state for state in states)


def cannot_start(pod: Object) -> bool:
    """Whether it will never be ready: it has ended, or a container waits for something that will not come."""
    status = pod.get("status") or {}
    if status.get("phase") in {"Failed", "Succeeded"}:
        return True
    return any(reason in CANNOT_START for reason, _ in _waiting(status))


def describe(pod: Object) -> str:
    """Why a pod is not ready, from its status, in a few words."""
    status = pod.get("status") or {}
    parts = [f"{reason}: {message}" if message else reason for reason, message in _waiting(status)]
    parts += _termination_messages(status)
    if status.get("reason") or status.get("message"):
        parts.append(": ".join(filter(None, [status.get("reason"), status.get("message")])))
    parts += [
        f"{c['type']} is {c['status']}: {c['message']}"
        for c in status.get("conditions") or ()
        if c.get("status") != "True" and c.get("message") and c["type"] == "PodScheduled"
    ]
    return "; ".join(parts) or f"phase {status.get('phase', 'unknown')}"


def _termination_messages(status: Object) -> list[str]:
    """The messages of containers that failed."""
    ends = [(c.get("lastState") or {}).get("terminated") for c in status.get("containerStatuses") or ()]
    return [" ".join(str(end["message"]).split())[:300] for end in ends if end and end.get("message")]


def _waiting(status: Object) -> list[tuple[str, str]]:
    states = [c.get("state") or {} for c in status.get("containerStatuses") or ()]
    waits = [state["waiting"] for state in states if "waiting" in state]
    return [(str(w.get("reason") or "waiting"), str(w.get("message") or "")) for w in waits]
