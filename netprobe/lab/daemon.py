"""The process of a lab: `python -m netprobe.lab.daemon`, started by `launch`.

It reads the options, creates the lab's folder, opens the API's socket in the machine's own network, enters
new namespaces (fabric/spawner.py), starts the network and the API, reports that on standard output, and runs
until SIGTERM. An ephemeral lab also ends when its standard input is closed, however its parent ends.

Modules are imported late on purpose: PID 1 is forked from here and should stay small.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netprobe.errors import LabError, NetprobeError
from netprobe.lab.fabric import kernel, spawner
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.home import PROCESS, READY, Home
from netprobe.lab.options import LabOptions

if TYPE_CHECKING:
    import asyncio

Say = Callable[[str], None]
log = logging.getLogger("netprobe.lab")


def _say_on(fd: int) -> Say:
    """A function that writes one line to the process that waits for the lab, if it still waits."""

    def say(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(fd, " ".join(text.split()).encode() + b"\n")

    return say


def main(argv: Sequence[str] | None = None) -> int:
    """Start a lab; return once its first process runs. Results go to standard output."""
    parser = argparse.ArgumentParser(prog="python -m netprobe.lab.daemon")
    parser.add_argument("--options", required=True, type=LabOptions.from_json)
    parser.add_argument("--ephemeral", action="store_true", help="end when standard input is closed")
    arguments = parser.parse_args(argv)
    options: LabOptions = arguments.options
    say = _say_on(os.dup(1))  # the log takes the place of these later
    hold = os.dup(0) if arguments.ephemeral else None
    os.umask(0o077)
    kernel.leave_keyring()
    home = Home.named(options.name)
    try:
        spawner.require_tools()
        home.create(options, os.getpid())
    except NetprobeError as error:
        say(str(error))
        return error.exit_status
    try:
        _log_to(home.log)
        os.chdir("/")  # the user's folder can be unmounted while the lab runs
        listening = socket.create_server(("127.0.0.1", 0), backlog=512)

        def run(spawner: Spawner) -> int:
            _speed_up_imports()
            import asyncio

            serving = _serve(spawner, options, home, listening=listening, say=say, hold=hold)
            status = asyncio.run(serving)
            home.remove()
            return status

        pid, proceed = spawner.enter(run, say)
        home.claim(pid)
    except (LabError, OSError) as error:
        home.remove()
        say(str(error))
        return LabError.exit_status
    say(f"{PROCESS}{pid}")
    proceed()
    return 0


def _log_to(path: Path) -> None:
    """Read standard input from /dev/null; write output and errors to the log."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, fd in ((0, null), (1, log), (2, log)):
        os.dup2(fd, target)
    os.close(log)
    os.close(null)


async def _serve(
    spawner: Spawner, options: LabOptions, home: Home, *, listening: socket.socket, say: Say, hold: int | None
) -> int:
    """What PID 2 does: start everything, report that, run until a signal, stop everything; the exit status.

    `hold`: a pipe; when it is closed the lab ends, as after SIGTERM.
    """
    import asyncio

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_file_limit()
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if hold is not None:
        loop.add_reader(hold, lambda: _note_end(loop, hold, ending))
    async with contextlib.AsyncExitStack() as down:
        try:
            from netprobe.lab.api.bootstrap import install_dns
            from netprobe.lab.api.server import serve as serve_api
            from netprobe.lab.fabric.network import LabNetwork

            network = await LabNetwork.open(spawner, options)
            down.push_async_callback(network.close)
            server = await serve_api(listening, network, options.name, home.path)
            down.push_async_callback(server.close)
            install_dns(server.store)
        except LabError as error:
            say(str(error))
            return LabError.exit_status
        except Exception as error:
            say(f"the lab did not start: {type(error).__name__}: {error}")
            raise
        log.info("lab %s is ready", options.name)
        say(READY)
        gc.freeze()  # everything imported and created so far stays
        gc.enable()
        await ending.wait()
        log.info("lab %s ends", options.name)
    return 0


def _note_end(loop: asyncio.AbstractEventLoop, hold: int, ending: asyncio.Event) -> None:
    if not os.read(hold, 4096):
        loop.remove_reader(hold)
        ending.set()


def _raise_file_limit() -> None:
    """A pod takes a handful of descriptors: its namespace, its listeners, its connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _speed_up_imports() -> None:
    """Two settings that save a fifth of the lab's start.

    Imported objects live as long as the process, so the garbage collector can wait (`_serve` turns it on
    again). aiohttp reads the machine's certificates on import, for client calls that a lab never makes.
    """
    gc.disable()
    os.environ["SSL_CERT_FILE"] = os.environ["SSL_CERT_DIR"] = os.devnull


if __name__ == "__main__":
    sys.exit(main())
