"""Waiting for pods: watched, never polled, and given up as soon as their status says that it is hopeless."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Final, Self

from netprobe.errors import ClusterError, WorkbenchError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe.api import ClusterAPI
from netprobe.probe.run_objects import RUN

HOPELESS: Final = frozenset(
    {
        "ImagePullBackOff",  # follows ErrImagePull, which may be a passing trouble of the registry
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
"""A readiness gate that nothing ever turns true: keeps shadow pods out of Services."""


class Readiness:
    """Follows the pods of a run while its context is open."""

    def __init__(self, cluster: ClusterAPI, run: str) -> None:
        self._cluster = cluster
        self._run = run
        self._pods: dict[PodRef, Object] = {}
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._waited_for: Sequence[PodRef] = ()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"pods of run {self._run}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def nodes(self, refs: Sequence[PodRef]) -> tuple[str, ...]:
        """The nodes that the pods were put on, sorted, once each pod has one."""
        pods = await self._until(refs, lambda pod: bool(pod["spec"].get("nodeName")))
        return tuple(sorted({pod["spec"]["nodeName"] for pod in pods.values()}))

    async def ready(self, refs: Sequence[PodRef]) -> Mapping[PodRef, Object]:
        """The pods, once each is ready and has an address; WorkbenchError where one never will be."""
        return await self._until(refs, is_ready)

    async def explain(self) -> str:
        """What the status and the events of the pods that are missing say; "" where nothing is missing."""
        missing = [ref for ref in self._waited_for if not is_ready(self._pods.get(ref) or {})]
        sentences = []
        for ref in missing[:3]:
            pod = self._pods.get(ref)
            status = complaint(pod) if pod else "it does not exist"
            sentences.append(f"{ref}: {'; '.join(filter(None, [status, await self._events(ref, status)]))}")
        if len(missing) > 3:
            sentences.append(f"and {len(missing) - 3} more")
        return " | ".join(sentences)

    async def _until(self, refs: Sequence[PodRef], fine: Callable[[Object], bool]) -> Mapping[PodRef, Object]:
        self._waited_for = refs
        async with self._changed:
            while True:
                pods = {ref: self._pods[ref] for ref in refs if ref in self._pods}
                for ref, pod in pods.items():
                    if hopeless(pod):
                        status = complaint(pod)
                        said = "; ".join(filter(None, [status, await self._events(ref, status)]))
                        raise WorkbenchError(f"pod {ref} cannot become ready: {said}")
                if len(pods) == len(refs) and all(map(fine, pods.values())):
                    return pods
                if self._task is not None and self._task.done():
                    self._task.result()  # the watch failed for good: says why
                await self._changed.wait()

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
        """The warnings about a pod that its status does not say already; "" where they cannot be read."""
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
    """The last three of (reason, message), newest last, without what the status says in other words.

    That a pull secret is missing comes first: it is why, and all that follows is what.
    """
    told = dict.fromkeys(f"{reason}: {message}" for reason, message in events if not _said(message, status))
    secrets = [text for text in told if text.startswith("FailedToRetrieveImagePullSecret")]
    others = [text for text in told if text not in secrets]
    return "; ".join([*secrets[-1:], *others[-3:]])[:600]


def _said(message: str, status: str) -> bool:
    return (
        message.removeprefix("Error: ") in status
        or (message.startswith("Failed to pull image") and "failed to pull" in status)
        or (message.startswith("Back-off restarting") and "CrashLoopBackOff" in status)
    )


def is_ready(pod: Object) -> bool:
    """Whether probes can be run in it. A pod behind our own gate never is Ready; its containers are."""
    status = pod.get("status") or {}
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    wanted = "ContainersReady" if {"conditionType": GATE} in gates else "Ready"
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    return conditions.get(wanted) == "True" and bool(status.get("podIP"))


def hopeless(pod: Object) -> bool:
    status = pod.get("status") or {}
    if status.get("phase") in {"Failed", "Succeeded"}:
        return True
    return any(reason in HOPELESS for reason, _ in _waiting(status))


def complaint(pod: Object) -> str:
    """What the status of a pod says about why it is not ready, in a few words."""
    status = pod.get("status") or {}
    parts = [f"{reason}: {message}" if message else reason for reason, message in _waiting(status)]
    parts += _last_words(status)
    if status.get("reason") or status.get("message"):
        parts.append(": ".join(filter(None, [status.get("reason"), status.get("message")])))
    parts += [
        f"{c['type']} is {c['status']}: {c['message']}"
        for c in status.get("conditions") or ()
        if c.get("status") != "True" and c.get("message") and c["type"] == "PodScheduled"
    ]
    return "; ".join(parts) or f"phase {status.get('phase', 'unknown')}"


def _last_words(status: Object) -> list[str]:
    """What containers said when they failed."""
    ends = [(c.get("lastState") or {}).get("terminated") for c in status.get("containerStatuses") or ()]
    return [" ".join(str(end["message"]).split())[:300] for end in ends if end and end.get("message")]


def _waiting(status: Object) -> list[tuple[str, str]]:
    states = [c.get("state") or {} for c in status.get("containerStatuses") or ()]
    waits = [state["waiting"] for state in states if "waiting" in state]
    return [(str(w.get("reason") or "waiting"), str(w.get("message") or "")) for w in waits]
