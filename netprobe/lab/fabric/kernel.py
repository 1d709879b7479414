"""System calls that Python 3.11 lacks. Each raises OSError that names the call."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

NEWNS = 0x00020000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

_PR_SET_NO_NEW_PRIVS = 38
_MNT_DETACH = 2
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture, as for all newer calls

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    _check(_libc.unshare(flags), f"unshare 0x{flags:x}")


def setns(fd: int, flags: int) -> None:
    """Enter a namespace, or several of a process by its pidfd."""
    _check(_libc.setns(fd, flags), f"setns 0x{flags:x}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    words = [word.encode() or None for word in (source, target, kind)]
    result = _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None)
    _check(result, f"mount {kind or source} at {target}")


def set_read_only(target: str) -> None:
    """Make a tree of mounts read-only and without set-uid programs or devices.

    mount_setattr and not a remount: in a user namespace a remount must repeat flags that it cannot read.
    """
    attributes = _MountAttributes(set=MS_RDONLY | MS_NOSUID)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _check(result, f"mount_setattr {target}")


def pivot_root(new_root: str) -> None:
    """Make `new_root`, a mount point, the root of this mount namespace, and unmount the old one."""
    os.chdir(new_root)
    _check(_libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount of the old root")
    os.chdir("/")


def forbid_new_privileges() -> None:
    """Make set-uid bits and file capabilities have no effect on this process and its children."""
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl no_new_privs")


def leave_keyring() -> None:
    """Give this process and its children a new session keyring, without the keys of whoever started it."""
    if (number := _SYS_KEYCTL.get(os.uname().machine)) is not None:
        _libc.syscall(number, _KEYCTL_JOIN_SESSION_KEYRING, None)  # fails only where there are no keyrings


def current_network() -> int:
    """A new descriptor of the calling thread's network namespace; it keeps the namespace alive."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(network: int) -> Iterator[None]:
    """Put the calling thread into a network namespace; a socket made there stays there.

    There must be no `await` inside: other coroutines of the thread would run in the wrong namespace.
    """
    home = current_network()
    try:
        setns(network, NEWNET)
        try:
            yield
        finally:
            setns(home, NEWNET)
    finally:
        os.close(home)


def new_network() -> int:
    """A new, empty network namespace, as the descriptor that keeps it alive."""
    home = current_network()
    try:
        unshare(NEWNET)
        try:
            return current_network()
        finally:
            setns(home, NEWNET)
    finally:
        os.close(home)


def set_sysctls(network: int, values: Mapping[str, int]) -> None:
    """Set sysctls of a network namespace by their paths below /proc/sys/net, such as "ipv4/ip_forward"."""
    with inside(network):
        for path, value in values.items():
            Path("/proc/sys/net", path).write_text(str(value))
