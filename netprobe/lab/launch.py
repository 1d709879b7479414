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
        """End the lab and return when nothing of it is left; a lab that has already ended is not an error."""
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
    return (begin(options) if ephemeral else _begin(options, stdin=subprocess.DEVNULL)).wait()


def begin(options: LabOptions) -> Starting:
    """Start an ephemeral lab and return at once: the caller can do something else while it starts.

    It gets its own name, which begins with "run-", and ends by itself when this process ends, even by
    SIGKILL: its standard input is a pipe from here.
    """
    named = replace(options, name=f"run-{os.getpid()}-{secrets.token_hex(3)}")
    return _begin(named, "--ephemeral", stdin=subprocess.PIPE)


def _begin(options: LabOptions, *flags: str, stdin: int) -> Starting:
    # -P ignores modules of the same name in the user's folder; PYTHONPATH leads to this very package.
    command = [sys.executable, "-P", "-m", "netprobe.lab.daemon", "--options", options.to_json(), *flags]
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))
    daemon = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": path},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,  # Ctrl-C is for the run, which then ends the lab in good order
    )
    return Starting(options, daemon)


class Starting:
    """A lab that is starting. Call `wait` once, or `cancel`."""

    def __init__(self, options: LabOptions, daemon: subprocess.Popen[bytes]) -> None:
        self.options = options
        self._daemon = daemon
        self._waited = False

    def wait(self) -> Lab:
        """The lab, once its API answers; LabError with the reason if it cannot start. Blocks."""
        self._waited = True
        pid = None
        with self._daemon as daemon:  # whose pipes are closed in the end
            try:
                for line in _lines(daemon):
                    if line.startswith(PROCESS):
                        pid = int(line.removeprefix(PROCESS))
                    elif line == READY and pid is not None:
                        hold = None if daemon.stdin is None else os.dup(daemon.stdin.fileno())
                        home = Home.named(self.options.name)
                        return Lab(home.name, home.kubeconfig, pid, self.options, _hold=hold)
                    else:
                        raise LabError(line)  # noqa: TRY301 (what was started is ended below)
                raise LabError(_last_words(daemon))  # noqa: TRY301
            except BaseException:
                daemon.kill()
                if pid is not None:
                    _end(pid)
                    Home.named(self.options.name).remove()
                raise

    def cancel(self) -> None:
        """Give up an ephemeral lab that nobody has waited for: it ends by itself. Otherwise do nothing."""
        if not self._waited:
            self._waited = True
            with self._daemon:
                pass


def _lines(daemon: subprocess.Popen[bytes]) -> Iterator[str]:
    """The daemon's messages, line by line, until its pipe ends. LabError if it takes too long."""
    answers, deadline = daemon.stdout, time.monotonic() + _START_S
    assert answers is not None  # noqa: S101 (for the type checker)
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
    """End a lab and return when nothing of it is left. UsageError if none has that name."""
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
