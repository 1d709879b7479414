"""The daemon's side of programs in pods: their streams, their status, and how they are killed.

A pod's sandbox, in which they run, is made at its first exec and removed with the pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import struct
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import LabError
from netprobe.lab.fabric import sandbox
from netprobe.lab.fabric.addresses import dns
from netprobe.lab.fabric.spawner import Spawner
from netprobe.model.flow import Address, PodRef

_ROUNDS = 20  # a process may fork while the session is listed; its limit of processes ends that race
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441  # on all architectures but alpha, mips, powerpc and sparc
_LOST = 137  # the status of a process that vanished with its waiting parent: killed
_ABANDONED: set[asyncio.Task[LabProcess]] = set()


@dataclass(frozen=True, slots=True)
class Stdio:
    """The two sides of a process' standard streams; None for a stream that it does not have."""

    theirs: tuple[int, int, int]
    stdin: int | None
    stdout: int
    stderr: int | None
    terminal: int | None = None

    @classmethod
    def pipes(cls, *, stdin: bool) -> Stdio:
        if stdin:
            their_in, our_in = os.pipe2(os.O_CLOEXEC)
        else:
            their_in, our_in = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), None
        our_out, their_out = os.pipe2(os.O_CLOEXEC)
        our_err, their_err = os.pipe2(os.O_CLOEXEC)
        return cls((their_in, their_out, their_err), our_in, our_out, our_err)

    @classmethod
    def pty(cls, first: int, *, stdin: bool) -> Stdio:
        """A terminal in the pod whose first process is `first`, so that it has a name there (see `tty`)."""
        master = os.open(f"/proc/{first}/root/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        ours = os.dup(master) if stdin else None
        return cls((slave, slave, slave), ours, os.dup(master), None, master)

    def close_theirs(self) -> None:
        for fd in set(self.theirs):
            os.close(fd)


class LabProcess:
    """Implements `state.Process`. Made by `LabProcess.attach`."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    def __init__(self, pid: int, status: asyncio.Future[int], terminal: int | None) -> None:
        self._pid = pid
        self._status = status
        self._terminal = terminal
        self._outputs: list[asyncio.BaseTransport] = []
        status.add_done_callback(lambda _: self._close_terminal())

    @classmethod
    async def attach(cls, stdio: Stdio, answer: int) -> LabProcess:
        """Take over our side of the streams. OSError if the spawner could not start the program."""
        replies, _ = await open_reader(answer)
        line = (await replies.readline()).decode()
        if not line[:-1].isdigit():
            for fd in (stdio.stdin, stdio.stdout, stdio.stderr, stdio.terminal):
                if fd is not None:
                    os.close(fd)
            raise OSError(line.strip("!\n") or "the lab's spawner is gone")
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        process = cls(int(line), status, stdio.terminal)
        process._watching = asyncio.ensure_future(process._watch(replies))
        process.stdin = None if stdio.stdin is None else await _writer(stdio.stdin)
        process.stdout, out = await open_reader(stdio.stdout)
        process._outputs.append(out)
        process.stderr = None
        if stdio.stderr is not None:
            process.stderr, err = await open_reader(stdio.stderr)
            process._outputs.append(err)
        return process

    _watching: asyncio.Future[None]

    async def _watch(self, replies: asyncio.StreamReader) -> None:
        line = (await replies.readline()).strip()
        if not self._status.done():
            self._status.set_result(int(line) if line.isdigit() else _LOST)

    async def wait(self) -> int:
        return await asyncio.shield(self._status)

    def on_exit(self, call: Callable[[int], None]) -> None:
        self._status.add_done_callback(lambda status: call(status.result()))

    def kill(self) -> None:
        """Kill the program and all processes of its session. Output that has not been read is lost.

        A program that daemonises outlives its exec, as in a container, and ends with the pod.
        """
        if self._pid and not self._status.done():
            for _ in range(_ROUNDS):
                living = _session(self._pid)
                if not living:
                    break
                for pid in living:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        for output in self._outputs:
            output.close()
        if self.stdin is not None:
            self.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        if self._terminal is not None and not self._status.done():
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _close_terminal(self) -> None:
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


def _session(leader: int) -> list[int]:
    """The living processes of a session; an exec's program is the leader of one."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                state, _, _, session, *_ = (path / "stat").read_text().rpartition(")")[2].split()
                if session == str(leader) and state not in {"Z", "X"}:
                    found.append(int(path.name))
    return found


class _EndsWithTerminal(asyncio.StreamReaderProtocol):
    """A terminal reads as EIO once its last process has ended; that is its end of file."""

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(None if isinstance(exc, OSError) else exc)


async def open_reader(fd: int) -> tuple[asyncio.StreamReader, asyncio.BaseTransport]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: _EndsWithTerminal(reader), os.fdopen(fd, "rb", 0)
    )
    return reader, transport


async def _writer(fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop), os.fdopen(fd, "wb", 0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


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
