"""Where a pod's programs run: they cannot write to the machine or see the processes of others.

Theory of operation
-------------------

Three layers, each made once:

1. The lab's root (`build_root`, by the spawner): a small read-only tmpfs with the machine's programs and
   libraries bound into it read-only, a minimal /dev, the few files of /etc that resolving and dynamic
   linking read, and nothing else: no homes, no /var, no /run.
2. A pod's sandbox (`create`, at its first exec): PID, mount, UTS and IPC namespaces over the pod's network
   namespace, with its own /tmp, /etc/hosts, /etc/hostname, /etc/resolv.conf, /dev/pts and /proc; last a user
   namespace in which only the uid and gid 65534 exist and which can have no user namespaces inside. Its first
   process keeps the namespaces alive and sleeps. It ignores SIGCHLD, which makes the kernel reap the orphans
   that it inherits.
3. An exec (`enter`, `become`): one setns into all of these at once, then uid 65534, no capabilities (an
   execve as an ordinary user drops those of the user namespace), no_new_privs, its own session keyring,
   and limits. /agnhost needs no
   execve: it is a function of this process (agnhost.py).

Each pod has a user namespace for two reasons. It works without root, where there is no second uid (the lab's
own user appears as 65534, and that user's files are not visible). And RLIMIT_NPROC then counts the processes
of one pod, so that a fork bomb only fills its own pod.

/proc is mounted read-only, since without root the lab's user would own /proc/sys/net.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import termios
from pathlib import Path
from typing import NoReturn

from netprobe.lab import agnhost
from netprobe.lab.fabric import kernel

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY = 65534

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ETC = ("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "protocols", "localtime")
_FILES = {
    "passwd": f"root:x:0:0:root:/:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}:nobody:/tmp:/bin/sh\n",
    "group": f"root:x:0:\nnogroup:x:{NOBODY}:\n",
    # Only a few, since every nc reads all of them twice.
    "services": "ssh 22/tcp\nsmtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\n"
    "mysql 3306/tcp\npostgresql 5432/tcp\namqp 5672/tcp\nredis 6379/tcp\nhttp-alt 8080/tcp\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
}
_POD_FILES = ("hosts", "hostname", "resolv.conf")
_NAMESPACES = kernel.NEWNS | kernel.NEWUTS | kernel.NEWIPC | kernel.NEWPID
_LIMITS = {
    resource.RLIMIT_NPROC: 2048,  # a probe tries its targets in parallel: some hundreds of processes
    resource.RLIMIT_NOFILE: 4096,
    resource.RLIMIT_FSIZE: 16 << 20,  # of memory files too
    resource.RLIMIT_AS: 2 << 30,
    resource.RLIMIT_MEMLOCK: 64 << 10,
    resource.RLIMIT_CORE: 0,
}
_SHARED_MEMORY = {"shmall": 4096, "shmmni": 64, "msgmni": 64}  # of a pod; pages of 4 KiB, segments, queues
_AGNHOST = "/agnhost"
_FIRST_TO_GO = 900  # oom_score_adj: if memory runs out, execs are killed before programs of the machine


def build_root(at: str) -> None:
    """Make the lab's root at a folder, and move into it; for a process with its own mount namespace."""
    os.umask(0o022)  # pods run as another user and must be able to read it
    program = Path(agnhost.__file__).read_text()  # before the mount, which may hide it
    kernel.mount("tmpfs", at, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
    root = Path(at)
    for name in _PROGRAMS:
        _bring(Path("/", name), root / name)
    for name in ("etc", "dev", "dev/pts", "proc", "tmp", "pod"):
        (root / name).mkdir()
    for name in _ETC:
        _bring(Path("/etc", name), root / "etc" / name)
    for name, text in _FILES.items():
        (root / "etc" / name).write_text(text)
    (root / "agnhost").write_text(f"#!/usr/bin/env python3\n{program}")
    (root / "agnhost").chmod(0o755)
    for name in _POD_FILES:
        (root / "etc" / name).symlink_to(f"/pod/{name}")
    for name in ("usr/local",):  # users keep their own files there, and no program that pods need
        if (root / name).is_dir():
            kernel.mount("tmpfs", str(root / name), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4k")
    for name in _DEVICES:
        _bring(Path("/dev", name), root / "dev" / name)
    for name, number in {"fd": "", "stdin": "0", "stdout": "1", "stderr": "2"}.items():
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    (root / "dev/ptmx").symlink_to("pts/ptmx")
    kernel.set_read_only(at)
    kernel.mount("/proc", str(root / "proc"), flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.pivot_root(at)


def _bring(source: Path, target: Path) -> None:
    """Make a file, folder or link of the machine visible at `target`."""
    if source.is_symlink() and not source.is_absolute():
        return
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.exists():
        if source.is_dir():
            target.mkdir()
        else:
            target.touch()
        kernel.mount(str(source), str(target), flags=kernel.MS_BIND | kernel.MS_REC)


def create(network: int, *, hostname: str, files: dict[str, str]) -> str:
    """Make a pod's sandbox; the PID of its first process. For a process forked by the spawner."""
    kernel.setns(network, kernel.NEWNET)
    ready, report = os.pipe2(os.O_CLOEXEC)
    wait, go = os.pipe2(os.O_CLOEXEC)
    kernel.unshare(kernel.NEWPID)
    child = os.fork()
    if child == 0:
        try:
            _hold(hostname, files, report, wait)
        except OSError as error:
            os.write(report, f"!{error}".encode())
        finally:
            os._exit(1)
    os.close(report)
    report_text = os.read(ready, 4096)
    if report_text == b"mapped?":
        Path(f"/proc/{child}/uid_map").write_text(f"{NOBODY} {_parent_id()} 1")
        Path(f"/proc/{child}/setgroups").write_text("deny")
        Path(f"/proc/{child}/gid_map").write_text(f"{NOBODY} {_parent_id()} 1")
        _forbid_user_namespaces(child)
        os.write(go, b".")
        report_text = os.read(ready, 4096)
    return report_text.decode() or str(child)


def _forbid_user_namespaces(pod: int) -> None:
    """In a pod's user namespace; its own processes cannot, since their /proc is read-only."""
    inside = os.pidfd_open(pod)
    child = os.fork()
    if child == 0:
        try:
            kernel.setns(inside, kernel.NEWUSER)
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
        except OSError:
            os._exit(1)
        os._exit(0)
    os.close(inside)
    if os.waitpid(child, 0)[1]:
        raise OSError("user namespaces inside the pod cannot be forbidden")


def _parent_id() -> int:
    """The uid outside that is 65534 inside: 65534 too, or the lab's only uid."""
    ranges = Path("/proc/self/uid_map").read_text().split()
    return NOBODY if int(ranges[2]) > NOBODY else 0


def _hold(hostname: str, files: dict[str, str], report: int, wait: int) -> NoReturn:
    """The first process of a pod: set up its namespaces, then sleep."""
    kernel.unshare(kernel.NEWNS | kernel.NEWUTS | kernel.NEWIPC)
    os.umask(0o022)
    socket.sethostname(hostname)
    small = kernel.MS_NOSUID | kernel.MS_NODEV
    kernel.mount("tmpfs", "/tmp", "tmpfs", small, "mode=1777,size=16m,nr_inodes=4k")  # noqa: S108 (the pod's)
    kernel.mount("tmpfs", "/pod", "tmpfs", small, "mode=755,size=64k")
    for name, text in files.items():
        Path("/pod", name).write_text(text)
    kernel.set_read_only("/pod")
    terminals = kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("devpts", "/dev/pts", "devpts", terminals, "newinstance,ptmxmode=0666,mode=0620")
    hidden = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", "/proc", "proc", hidden)
    for name, value in _SHARED_MEMORY.items():
        with contextlib.suppress(OSError):  # older kernels reserve it for root
            Path("/proc/sys/kernel", name).write_text(str(value))
    kernel.set_read_only("/proc")
    kernel.unshare(kernel.NEWUSER)
    kernel.leave_keyring()
    os.write(report, b"mapped?")
    os.read(wait, 1)
    _drop_identity()
    _restore_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.chdir("/")
    os.execve("/usr/bin/sleep", ["pause", "infinity"], {})  # noqa: S606


_NOT_IN_PATH = "executable file not found in $PATH"  # runc's wording


def enter(pod: int) -> None:
    """Join all namespaces of a pod by the pidfd of its first process; for PIDs this holds for children."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_FIRST_TO_GO))
    with contextlib.suppress(
        PermissionError
    ):  # without root the kernel refuses, and there is no group to drop
        os.setgroups([])
    kernel.setns(pod, _NAMESPACES | kernel.NEWUSER | kernel.NEWNET)


def become(*, argv: list[str], environment: dict[str, str], tty: bool) -> NoReturn:
    """Turn this process, which has entered a pod, into the program; OSError with the reason if it cannot."""
    os.setsid()
    if tty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for limit, wanted in _LIMITS.items():
        _, hard = resource.getrlimit(limit)
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(limit, (value, value))
    _drop_identity()
    kernel.forbid_new_privileges()
    kernel.leave_keyring()
    _restore_signals()
    os.umask(0o022)
    os.chdir("/")
    if argv[0] == _AGNHOST:
        os.closerange(3, _LIMITS[resource.RLIMIT_NOFILE])
        os._exit(agnhost.main(argv[1:]))
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606
    except (FileNotFoundError, NotADirectoryError) as error:
        program = argv[0]
        where = f"stat {program}: no such file or directory" if "/" in program else _NOT_IN_PATH
        raise OSError(f'exec: "{program}": {where}') from error
    except OSError as error:
        raise OSError(f'exec: "{argv[0]}": {(error.strerror or str(error)).lower()}') from error


def _drop_identity() -> None:
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _restore_signals() -> None:
    """Undo what Python sets for itself, since programs would inherit it."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
