"""Starts the lab's processes from a small process, which was forked before the daemon grew.

Theory of operation
-------------------

PID 1 of the lab is the spawner: one thread, few modules, no state but its children. The daemon (PID 2)
sends it requests over a socket. A request is one byte for its kind and some descriptors: a memory file
with the arguments as JSON, a pipe for the answer, then whatever else the kind needs. The spawner forks at
once and the child does the work, so a slow or failing request delays no other, and forking a small process
is cheap, however much memory the daemon uses.

    pod    the sandbox of a pod: namespaces, mounts, and a first process that holds them (sandbox.py)
    exec   an unprivileged program in such a sandbox

For `exec` the child forks once more and waits: only a new process can join a PID namespace, and
its exit status must be collected. The answer is two lines, the PID as the lab sees it and the status as a
shell reports it (128+n for signal n), or one line that begins with ! and gives the reason of a failure.

The spawner ends when the daemon ends, and with PID 1 the kernel ends every process of the lab,
including those in the PID namespaces of pods. That is why `kill -9` of either leaves nothing.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from netprobe.lab.fabric import sandbox

_POD, _EXEC = b"p", b"x"
_MAX_FDS = 8


# The daemon's side


class Spawner:
    """The daemon's end. Each call returns at once with a descriptor, from which the answer is read."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    def exec(self, pod: int, arguments: Mapping[str, Any], stdio: Sequence[int]) -> int:
        """Start a program in a pod, given by the pidfd of its first process; the answer is PID and status."""
        return self._request(_EXEC, arguments, [pod, *stdio])

    def pod(self, arguments: Mapping[str, Any], network: int) -> int:
        """Make a pod's sandbox; the answer is the PID of its first process, or a reason that begins with !"""
        return self._request(_POD, arguments, [network])

    def _request(self, kind: bytes, arguments: Mapping[str, Any], fds: Sequence[int]) -> int:
        payload = os.memfd_create("request", os.MFD_CLOEXEC)
        answer, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            with os.fdopen(os.dup(payload), "wb") as file:
                file.write(json.dumps(arguments).encode())
            socket.send_fds(self._control, [kind], [payload, theirs, *fds])
        except OSError:
            os.close(answer)
            raise
        finally:
            os.close(payload)
            os.close(theirs)
        return answer


# The side of PID 1


def serve(control: socket.socket, daemon: int) -> int:
    """Answer requests until the daemon ends; its status."""
    woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(daemon, signal.SIGTERM))
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            status = _reap(daemon)
            if status is not None:
                return status
        if control.fileno() in ready:
            kind, fds = _receive(control)
            if not kind:
                poll.unregister(control)  # the daemon is about to end
            else:
                _fork(kind, fds)
            for fd in fds:
                os.close(fd)


def _fork(kind: bytes, fds: list[int]) -> None:
    """Let a child answer; if the machine cannot fork, that is the answer."""
    try:
        child = os.fork()
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(fds[1], f"!{error}\n".encode())
    else:
        if child == 0:
            _answer(kind, fds)


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """One request. socket.recv_fds would not do: all programs would inherit its descriptors."""
    numbers = array.array("i")
    kind, ancillary, _, _ = control.recvmsg(
        1, socket.CMSG_LEN(_MAX_FDS * numbers.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for _, _, data in ancillary:
        numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return kind, list(numbers)


def _reap(daemon: int) -> int | None:
    """Collect the children that have ended; the daemon's status if it is one of them."""
    ended = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                break
            if pid == daemon:
                ended = os.waitstatus_to_exitcode(status)
    return ended


def _answer(kind: bytes, fds: list[int]) -> NoReturn:
    """What the forked child does with a request."""
    payload, answer, namespace, *stdio = fds
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(payload, "rb") as file:
            file.seek(0)
            arguments = json.load(file)
        if kind == _POD:
            os.write(answer, sandbox.create(namespace, **arguments).encode())
        else:
            _start_and_wait(namespace, arguments, stdio, answer)
        status = 0
    except (OSError, ValueError, TypeError) as error:
        with contextlib.suppress(OSError):
            os.write(answer, f"!{error}\n".encode())
    finally:
        os._exit(status)


def _start_and_wait(pod: int, arguments: dict[str, Any], stdio: list[int], answer: int) -> None:
    sandbox.enter(pod)
    failed, report = os.pipe2(os.O_CLOEXEC)  # a program that starts closes its end and reports nothing
    child = os.fork()
    if child == 0:
        try:
            for target, fd in enumerate(stdio):
                os.dup2(fd, target)
            sandbox.become(**arguments)
        except OSError as error:
            os.write(report, str(error).encode())
        finally:
            os._exit(126)
    for fd in (*stdio, report):
        os.close(fd)
    if problem := os.read(failed, 4096):
        raise OSError(problem.decode())
    os.write(answer, f"{child}\n".encode())
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(answer, f"{ended if ended >= 0 else 128 - ended}\n".encode())
