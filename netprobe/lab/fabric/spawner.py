"""The namespaces of a lab, the two processes that keep them alive, and how one starts the programs in pods.

Theory of operation
-------------------

`enter` unshares user (without root), network, mount and PID namespaces and forks. The child is PID 1 of
the lab: it mounts a fresh /proc, forks the daemon (PID 2), builds the pods' root, and becomes the spawner.
Nothing else refers to the namespaces: no file in /run/netns, no process outside. When PID 1 ends, for
whatever reason, the kernel ends the rest, and with it the namespaces, links, rules and sockets.
What was opened before `enter`, such as the API's listening socket, belongs to the machine's own network
namespace.

The spawner has one thread, few modules, and no state but its children. The daemon sends it requests over a
socket. A request is one byte for its kind and some descriptors: a memory file with the arguments as JSON, a
pipe for the answer, then whatever else the kind needs. The spawner forks at once and the child does the work,
so a slow or failing request delays no other, and forking a small process is cheap, however much memory the
daemon uses.

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
import errno
import json
import os
import select
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel, sandbox

_POD, _EXEC = b"p", b"x"
_MAX_FDS = 8
_ALL = kernel.NEWNET | kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC


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


# Entering


def require_tools() -> None:
    """LabError that names every program that the lab needs and this machine lacks."""
    packages = {"nft": "nftables", "nc": "netcat-openbsd", "sleep": "coreutils"}
    missing = [name for name in packages if not shutil.which(name, path=sandbox.PATH)]
    if missing:
        names = " and ".join(f"`{name}` (Debian package {packages[name]})" for name in missing)
        raise LabError(f"the lab needs {names}, not found in {sandbox.PATH}")


def enter(inside: Callable[[Spawner], int], failed: Callable[[str], None]) -> tuple[int, Callable[[], None]]:
    """Fork PID 1 of a new lab; it starts the daemon, which runs `inside` and ends with its status.

    It returns in the caller's process only: the PID as the caller sees it, and a function that lets the lab
    proceed, so that the caller can record the PID first. LabError if namespaces cannot be made; `failed`
    reports later failures, in PID 1.
    """
    _unshare()
    wait, go = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(go)
            if os.read(wait, 1):
                status = _first_process(inside)
        except (LabError, OSError) as error:
            failed(str(error))
        except BaseException:  # noqa: BLE001 (there is no caller to handle it)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(wait)

    def proceed() -> None:
        os.write(go, b".")
        os.close(go)

    return pid, proceed


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if forbidden := _forbidden():
        raise LabError(forbidden)  # even as root, since each pod's programs run in one
    try:
        kernel.unshare(_ALL if uid == 0 else _ALL | kernel.NEWUSER)
    except OSError as error:
        raise LabError(_what_is_missing(error)) from error
    if uid != 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _forbidden() -> str | None:
    """The reason why this machine forbids user namespaces, if it does."""
    names = ["user/max_user_namespaces"]
    if os.geteuid() != 0:
        names.append("kernel/unprivileged_userns_clone")  # Debian's own, in older kernels
    for name in names:
        setting = Path("/proc/sys", name)
        if setting.exists() and setting.read_text().strip() == "0":
            return f"the lab needs user namespaces, which this machine forbids: {setting} is 0"
    return None


def _what_is_missing(error: OSError) -> str:
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        return (
            "the lab needs user namespaces, which AppArmor forbids to ordinary users here "
            "(kernel.apparmor_restrict_unprivileged_userns); run it as root or allow them"
        )
    if error.errno == errno.ENOSPC:
        return "the lab needs namespaces, and this machine's limit for them is reached (/proc/sys/user)"
    return f"the lab needs network, mount and process namespaces, and may not make them: {error.strerror}"


def _first_process(inside: Callable[[Spawner], int]) -> int:
    """PID 1: the daemon's parent, and the spawner."""
    os.setsid()
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    try:
        kernel.mount("proc", "/proc", "proc", flags)
    except OSError as error:
        raise LabError(
            f"the lab needs to mount a /proc of its own and may not ({error.strerror}); in a container this "
            "takes an unmasked /proc (docker run --security-opt systempaths=unconfined)"
        ) from error
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    daemon = os.fork()
    if daemon == 0:
        status = 1
        try:
            ours.close()
            status = inside(Spawner(theirs))
        except BaseException:  # noqa: BLE001 (any error ends the lab, and the log has it)
            traceback.print_exc()
        finally:
            os._exit(status)
    theirs.close()
    kernel.unshare(kernel.NEWNS)  # of our own from here on; the daemon keeps the machine's files
    sandbox.build_root("/tmp")  # noqa: S108 (hidden by the new root, in this mount namespace only)
    return serve(ours, daemon)
