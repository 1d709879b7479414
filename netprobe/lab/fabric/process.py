"""A program that the spawner has started: its streams, its status, and how it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_ROUNDS = 20  # a process may fork while the session is listed; its limit of processes ends that race
_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441  # on all architectures but alpha, mips, powerpc and sparc
_LOST = 137  # the status of a process that vanished with its waiting parent: killed


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
