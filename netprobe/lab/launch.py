"""Labs as the rest of netprobe sees them: start, stop, list."""

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
_STOP_S = 60.0  # links go one by one, some hundredths of a second each


class Health(Enum):
    RUNNING = "running"
    STARTING = "starting"


@dataclass(slots=True)
class Lab:
    """A lab that lives. `pid` is its first process; with it everything of the lab ends.

    An ephemeral lab also ends when it is left as a context manager.
    """

    name: str
    kubeconfig: Path
    pid: int
    options: LabOptions
    health: Health = Health.RUNNING
    _hold: int | None = field(default=None, repr=False)

    def stop(self) -> None:
        """End the lab, and return when everything of it is gone; one that has ended already is no error."""
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
    """Start a lab and wait until its API answers. LabError with the reason where it cannot.

    A lab stays until `stop`, under its name. An ephemeral one gets a name of its own, which begins with
    "run-", and ends by itself when this process ends, SIGKILL included: a pipe between them reaches its end.
    Blocks for about a second; in a coroutine call it by `asyncio.to_thread`.
    """
    if not ephemeral:
        return _start(options, None, None)
    named = replace(options, name=f"run-{os.getpid()}-{secrets.token_hex(3)}")
    theirs, ours = os.pipe2(os.O_CLOEXEC)
    try:
        return _start(named, theirs, ours)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)


def _start(options: LabOptions, hold: int | None, held: int | None) -> Lab:
    ready, theirs = os.pipe2(os.O_CLOEXEC)
    # -P: a module of that name in the user's folder is not ours; PYTHONPATH: ours is where this one is.
    command = [sys.executable, "-P", "-m", "netprobe.lab.daemon", "--options", options.to_json()]
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    command += ["--ready-fd", str(theirs)]
    passed = [theirs]
    if hold is not None:
        command += ["--hold-fd", str(hold)]
        passed.append(hold)
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
        os.close(theirs)
    pid = None
    with os.fdopen(ready, "rb", 0) as answers, daemon:
        try:
            for line in _lines(answers):
                if line.startswith(PROCESS):
                    pid = int(line.removeprefix(PROCESS))
                elif line == READY and pid is not None:
                    home = Home.named(options.name)
                    return Lab(options.name, home.kubeconfig, pid, options, _hold=held)
                else:
                    raise LabError(line)  # noqa: TRY301 (what was begun is ended below)
            raise LabError(_last_words(daemon))  # noqa: TRY301
        except BaseException:
            daemon.kill()
            if pid is not None:
                _end(pid)
                Home.named(options.name).remove()
            raise


def _lines(answers: IO[bytes]) -> Iterator[str]:
    """What the daemon says, line by line, until its pipe ends. LabError where it takes too long."""
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
    complaint = daemon.stderr.read().decode(errors="replace").strip() if daemon.stderr else ""
    reason = complaint.splitlines()[-1] if complaint else "no reason given"
    return f"the lab ended before it was ready: {reason}"


def stop(name: str) -> None:
    """End a lab and return when everything of it is gone. UsageError where there is none of that name."""
    home = Home.named(LabOptions(name).name)
    identity = home.identity()
    if identity is not None and identity.alive():
        _end(identity.pid)
    elif not home.path.exists():
        raise UsageError(f"there is no lab named {name}")
    home.remove()  # where the daemon was killed: the kernel has cleared all but the folder


def _end(pid: int) -> None:
    """Ask a process to end, and kill it where it does not."""
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
    raise LabError(f"the lab's process {pid} does not end")


def list_labs() -> list[Lab]:
    """The labs of this user that live, by name. What killed ones left behind is removed."""
    labs = []
    for home in Home.all():
        options, identity = home.options(), home.identity()
        if options is None or identity is None or not identity.alive():
            home.remove()
            continue
        health = Health.RUNNING if home.kubeconfig.exists() else Health.STARTING
        labs.append(Lab(home.name, home.kubeconfig, identity.pid, options, health))
    return labs
