"""The daemon's side of sandboxes: made at a pod's first exec, removed with the pod."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Sequence

from netprobe.errors import LabError
from netprobe.lab.fabric import sandbox
from netprobe.lab.fabric.addresses import dns
from netprobe.lab.fabric.process import LabProcess, Stdio, open_reader
from netprobe.lab.fabric.spawner import Spawner
from netprobe.model.flow import Address, PodRef

_ABANDONED: set[asyncio.Task[LabProcess]] = set()


class Sandbox:
    """The sandbox of one pod."""

    def __init__(self, spawner: Spawner, ref: PodRef, network: int, addresses: Sequence[Address]) -> None:
        self._spawner = spawner
        self._ref = ref
        self._network = network
        self._files = _files(ref, addresses)
        self._first: int | None = None  # the pidfd of the process that keeps the namespaces alive
        self._pid = 0
        self._making = asyncio.Lock()

    async def exec(self, argv: Sequence[str], *, stdin: bool, tty: bool) -> LabProcess:
        """Start a program. LabError or OSError if the sandbox cannot be made or the program not started.

        If the caller is cancelled meanwhile, it is killed as soon as it runs.
        """
        task = asyncio.ensure_future(self._start(argv, stdin=stdin, tty=tty))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            _ABANDONED.add(task)  # the event loop itself does not keep tasks alive
            task.add_done_callback(_kill)
            raise

    async def _start(self, argv: Sequence[str], *, stdin: bool, tty: bool) -> LabProcess:
        first = await self._ready()
        environment = {"PATH": sandbox.PATH, "HOME": "/tmp", "HOSTNAME": self._ref.name}  # noqa: S108 (the pod's)
        if tty:
            environment["TERM"] = "xterm"
        arguments = {"argv": list(argv), "environment": environment, "tty": tty}
        stdio = Stdio.pty(self._pid, stdin=stdin) if tty else Stdio.pipes(stdin=stdin)
        for fd in stdio.theirs:  # so that it can open /dev/stderr
            with contextlib.suppress(OSError):  # without root the pod's user owns the pipes already
                os.fchown(fd, sandbox.NOBODY, sandbox.NOBODY)
        try:
            answer = self._spawner.exec(first, arguments, stdio.theirs)
        finally:
            stdio.close_theirs()
        return await LabProcess.attach(stdio, answer)

    async def _ready(self) -> int:
        """The pidfd of the first process, which is started at the first exec, and again if it was killed."""
        async with self._making:
            if self._first is not None and _has_ended(self._first):
                self._forget()
            if self._first is None:
                self._pid = await self._make()
                self._first = os.pidfd_open(self._pid)
            return self._first

    async def _make(self) -> int:
        answer = self._spawner.pod({"hostname": self._ref.name[:63], "files": self._files}, self._network)
        replies, _ = await open_reader(answer)
        text = (await replies.read()).decode()
        if not text.isdigit():
            reason = text.strip("!") or "the spawner is gone"
            raise LabError(f"a sandbox for {self._ref} cannot be made: {reason}")
        return int(text)

    async def close(self) -> None:
        """Kill all processes of the pod, and return when they are gone."""
        async with self._making:
            if self._first is None:
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            await _readable(self._first)
            self._forget()

    def _forget(self) -> None:
        if self._first is not None:
            os.close(self._first)
            self._first = None


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _kill(task: asyncio.Task[LabProcess]) -> None:
    _ABANDONED.discard(task)
    if not task.cancelled() and task.exception() is None:
        task.result().kill()


async def _readable(fd: int) -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def _files(ref: PodRef, addresses: Sequence[Address]) -> dict[str, str]:
    hosts = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    hosts += [f"{address}\t{ref.name}" for address in addresses]
    resolver = [f"nameserver {dns(version)}" for version in dict.fromkeys(a.version for a in addresses)]
    resolver += [
        f"search {ref.namespace}.svc.cluster.local svc.cluster.local cluster.local",
        "options ndots:5",
    ]
    return {
        "hosts": "\n".join(hosts) + "\n",
        "hostname": f"{ref.name}\n",
        "resolv.conf": "\n".join(resolver) + "\n",
    }
