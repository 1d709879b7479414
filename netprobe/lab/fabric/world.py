"""The namespaces of a lab, and the two processes that keep them alive.

Theory of operation
-------------------

`enter` unshares user (without root), network, mount and PID namespaces and forks. The child is PID 1 of
the lab: it mounts a fresh /proc, forks the daemon (PID 2), builds the pods' root, and becomes the spawner
(spawner.py). Nothing else refers to the namespaces: no file in /run/netns, no process outside. When PID 1
ends, for whatever reason, the kernel ends the rest, and with it the namespaces, links, rules and sockets.
What was opened before `enter`, such as the API's listening socket, belongs to the machine's own network
namespace.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
import traceback
from collections.abc import Callable
from pathlib import Path

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel, sandbox, spawner

_ALL = kernel.NEWNET | kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC


def require_tools() -> None:
    """LabError that names every program that the lab needs and this machine lacks."""
    packages = {"nft": "nftables", "nc": "netcat-openbsd", "sleep": "coreutils"}
    missing = [name for name in packages if not shutil.which(name, path=sandbox.PATH)]
    if missing:
        names = " and ".join(f"`{name}` (Debian package {packages[name]})" for name in missing)
        raise LabError(f"the lab needs {names}, not found in {sandbox.PATH}")


def enter(
    inside: Callable[[spawner.Spawner], int], failed: Callable[[str], None]
) -> tuple[int, Callable[[], None]]:
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


def _first_process(inside: Callable[[spawner.Spawner], int]) -> int:
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
            status = inside(spawner.Spawner(theirs))
        except BaseException:  # noqa: BLE001 (any error ends the lab, and the log has it)
            traceback.print_exc()
        finally:
            os._exit(status)
    theirs.close()
    kernel.unshare(kernel.NEWNS)  # of our own from here on; the daemon keeps the machine's files
    sandbox.build_root("/tmp")  # noqa: S108 (hidden by the new root, in this mount namespace only)
    return spawner.serve(ours, daemon)
