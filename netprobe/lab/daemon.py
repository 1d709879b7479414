"""The process of a lab: `python -m netprobe.lab.daemon`, started by `launch`, spoken to over the API.

Its life: read the options, make the folder, open the API's socket in the machine's own network, go into
namespaces (fabric/world.py), bring the network and the API up, say so on the ready pipe, and stay until
SIGTERM, or, for an ephemeral lab, until the pipe that its parent holds open reaches its end, which it
does however the parent ends.

Modules are imported late on purpose: PID 1 is forked from here and should stay small.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from netprobe.errors import LabError, NetprobeError
from netprobe.lab.fabric import world
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.home import PROCESS, Home
from netprobe.lab.options import LabOptions

Say = Callable[[str], None]


def _say_on(fd: int) -> Say:
    """A function that writes one line to whoever waits for the lab; that nobody waits is no error."""

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(fd, " ".join(text.split()).encode() + b"\n")

    return say


def main(argv: Sequence[str] | None = None) -> int:
    """Start a lab; return once its first process runs. What becomes of it is said on the ready pipe."""
    parser = argparse.ArgumentParser(prog="python -m netprobe.lab.daemon")
    parser.add_argument("--options", required=True, type=LabOptions.from_json)
    parser.add_argument("--ready-fd", required=True, type=int)
    parser.add_argument("--hold-fd", type=int, help="end when this pipe reaches its end")
    arguments = parser.parse_args(argv)
    options: LabOptions = arguments.options
    for fd in filter(None, (arguments.ready_fd, arguments.hold_fd)):
        os.set_inheritable(fd, False)
    say = _say_on(arguments.ready_fd)
    os.umask(0o077)
    home = Home.named(options.name)
    try:
        world.require_tools()
        home.create(options, os.getpid())
    except NetprobeError as error:
        say(str(error))
        return error.exit_status
    try:
        _log_to(home.log)
        os.chdir("/")  # the user's folder can be unmounted while the lab runs
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        run = _daemon(options, home, listening, say, arguments.hold_fd)
        pid, proceed = world.enter(run, say)
        home.claim(pid)
    except (LabError, OSError) as error:
        home.remove()
        say(str(error))
        return LabError.exit_status
    say(f"{PROCESS}{pid}")
    proceed()
    return 0


def _log_to(path: Path) -> None:
    """Standard input from nowhere, output and errors into the log."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, fd in ((0, null), (1, log), (2, log)):
        os.dup2(fd, target)
    os.close(log)
    os.close(null)


def _daemon(
    options: LabOptions, home: Home, listening: socket.socket, say: Say, hold: int | None
) -> Callable[[Spawner], int]:
    """What PID 2 does."""

    def run(spawner: Spawner) -> int:
        _hasten()
        import asyncio

        from netprobe.lab import service

        status = asyncio.run(service.serve(spawner, options, home, listening=listening, say=say, hold=hold))
        home.remove()
        return status

    return run


def _hasten() -> None:
    """What makes the imports below cheaper: a fifth of the lab's start went into these two.

    Objects that live as long as the process need no collector while they are made (service.py turns it on
    again), and aiohttp reads the machine's certificates on import, for calls that a lab never makes.
    """
    gc.disable()
    os.environ["SSL_CERT_FILE"] = os.environ["SSL_CERT_DIR"] = os.devnull


if __name__ == "__main__":
    sys.exit(main())
