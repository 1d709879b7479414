"""The main loop of the lab's daemon: the network and the API, from start to end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

from netprobe.errors import LabError
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.home import READY, Home
from netprobe.lab.options import LabOptions

log = logging.getLogger("netprobe.lab")


async def serve(
    spawner: Spawner,
    options: LabOptions,
    home: Home,
    *,
    listening: socket.socket,
    say: Callable[[str], None],
    hold: int | None,
) -> int:
    """Start everything, report that with `say`, run until a signal, stop everything; the exit status.

    `hold`: a pipe; when it is closed the lab ends, as after SIGTERM.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_file_limit()
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    if hold is not None:
        loop.add_reader(hold, lambda: _note_end(loop, hold, ending))
    async with AsyncExitStack() as down:
        try:
            from netprobe.lab.api import serve as serve_api
            from netprobe.lab.api.bootstrap import install_dns

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
