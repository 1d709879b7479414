"""Start, stop and list labs; what the rest of netprobe uses."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import IO

from netprobe.errors import LabError, UsageError
from netprobe.lab.home import PROCESS, READY, Home
from netprobe.lab.options import LabOptions

_START_S = 60.0  # generous: for a machine under load
_STOP_S = 60.0  # links are removed one by one, some hundredths of a second each


class Health(Enum):
    RUNNING = "running"
    STARTING = "starting"


@dataclass(slots=True)
class Lab:
    """A running lab. `pid` is its first process: when it ends, all of the lab ends.

    A lab also ends when it is left as a context manager.
    """

    name: str
    kubeconfig: Path
    pid: int
    options: LabOptions
    health: Health = Health.RUNNING
    _hold: int | None = field(default=None, repr=False)

    def stop(self) -> None:
        """End the lab and return when nothing of it is left; a lab that has already ended is no error."""
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None
        _end(self.pid)
        Home.named(self.name).remove()

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start(options: LabOptions, *, ephemeral: bool = False) -> Lab:
    """Start a lab and wait until its API answers. LabError with the reason if it cannot start. Blocks.

    A lab stays until `stop`, under its name; an ephemeral one is described at `begin`.
    """
    return begin(options).wait() if ephemeral else _begin(options, None, None).wait()


def begin(options: LabOptions) -> Starting:
    """Start an ephemeral lab and return at once: the caller can do something else while it starts.

    It gets its own name, which begins with "run-", and ends by itself when this process ends, even by
    SIGKILL: the lab holds the other end of a pipe.
    """
    named = replace(options, name=f"run-{os.getpid()}-{secrets.token_hex(3)}")
    theirs, ours = os.pipe2(os.O_CLOEXEC)
    try:
        return _begin(named, theirs, ours)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)


def _begin(options: LabOptions, theirs: int | None, ours: int | None) -> Starting:
    """`theirs` and `ours` are the ends of the pipe that an ephemeral lab depends on."""
    ready, write_ready = os.pipe2(os.O_CLOEXEC)
    # -P ignores modules of the same name in the user's folder; PYTHONPATH leads to this very package.
    command = [sys.executable, "-P", "-m", "netprobe.lab.daemon", "--options", options.to_json()]
    command += ["--ready-fd", str(write_ready)]
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    passed = [write_ready]
    if theirs is not None:
        command += ["--hold-fd", str(theirs)]
        passed.append(theirs)
    try:
        daemon = subprocess.Popen(
            command,
            pass_fds=passed,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the run, which then ends the lab in good order
        )
    except BaseException:
        os.close(ready)
        raise
    finally:
        os.close(write_ready)
    return Starting(options, daemon, ready, ours)


class Starting:
    """A lab that is starting. Call `wait` once, or `cancel`."""

    def __init__(
        self, options: LabOptions, daemon: subprocess.Popen[bytes], ready: int, hold: int | None
    ) -> None:
        self._options = options
        self._daemon = daemon
        self._ready = ready
        self._hold = hold
        self._waited = False

    @property
    def options(self) -> LabOptions:
        return self._options

    def wait(self) -> Lab:
        """The lab, once its API answers; LabError with the reason if it cannot start. Blocks."""
        self._waited = True
        pid = None
        with os.fdopen(self._ready, "rb", 0) as answers, self._daemon:
            try:
                for line in _lines(answers):
                    if line.startswith(PROCESS):
                        pid = int(line.removeprefix(PROCESS))
                    elif line == READY and pid is not None:
                        home = Home.named(self._options.name)
                        return Lab(home.name, home.kubeconfig, pid, self._options, _hold=self._hold)
                    else:
                        raise LabError(line)  # noqa: TRY301 (what was started is ended below)
                raise LabError(_last_words(self._daemon))  # noqa: TRY301
            except BaseException:
                self._end(pid)
                raise

    def cancel(self) -> None:
        """Give up an ephemeral lab that nobody has waited for: it ends by itself. Otherwise do nothing."""
        if self._waited:
            return
        self._waited = True
        os.close(self._ready)
        self._release()
        self._daemon.communicate()

    def _end(self, pid: int | None) -> None:
        self._daemon.kill()
        if pid is not None:
            _end(pid)
            Home.named(self._options.name).remove()
        self._release()

    def _release(self) -> None:
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None


def _lines(answers: IO[bytes]) -> Iterator[str]:
    """The daemon's messages, line by line, until its pipe ends. LabError if it takes too long."""
    deadline = time.monotonic() + _START_S
    while True:
        left = max(0.0, deadline - time.monotonic())
        if not select.select([answers], [], [], left)[0]:
            raise LabError(f"the lab was not ready within {_START_S:.0f} seconds")
        line = answers.readline()
        if not line:
            return
        yield line.decode().strip()


def _last_words(daemon: subprocess.Popen[bytes]) -> str:
    errors = daemon.stderr.read().decode(errors="replace").strip() if daemon.stderr else ""
    reason = errors.splitlines()[-1] if errors else "no reason given"
    return f"the lab ended before it was ready: {reason}"


def stop(name: str) -> None:
    """End a lab and return when nothing of it is left. UsageError if there is none of that name."""
    home = Home.named(LabOptions(name).name)
    identity = home.identity()
    if identity is not None and identity.alive():
        _end(identity.pid)
    elif not home.path.exists():
        raise UsageError(f"there is no lab named {name}")
    home.remove()  # if the daemon was killed, the kernel has removed everything but the folder


def _end(pid: int) -> None:
    """Ask a process to end, and kill it if it does not."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _STOP_S)[0]:
                return
    finally:
        os.close(handle)
    raise LabError(f"process {pid} of the lab does not end")


def list_labs() -> list[Lab]:
    """The running labs of this user, by name. Folders that killed labs left behind are removed."""
    labs = []
    for home in Home.all():
        options, identity = home.options(), home.identity()
        if options is None or identity is None or not identity.alive():
            home.remove()
            continue
        health = Health.RUNNING if home.kubeconfig.exists() else Health.STARTING
        labs.append(Lab(home.name, home.kubeconfig, identity.pid, options, health))
    return labs
