"""Connections that are made inside a pod, by its own loopback."""

from __future__ import annotations

import asyncio
import socket

from netprobe.lab.fabric import kernel

_PLACES = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


async def connect(network: int, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a port in the network namespace, IPv4 first; OSError of the last try."""
    loop = asyncio.get_running_loop()
    failure = OSError("no address family")
    for family, host in _PLACES:
        with kernel.inside(network):
            made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await loop.sock_connect(made, (host, port))
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return await asyncio.open_connection(sock=made)
    raise failure
