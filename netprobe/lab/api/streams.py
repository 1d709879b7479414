"""The messages of an exec's websocket: the protocols v4.channel.k8s.io and v5.channel.k8s.io.

A frame is one message whose first byte names the channel: 0 stdin, 1 stdout, 2 stderr, 3 the status at the
end, 4 the terminal's size as JSON. In v5 the byte 255 followed by a channel's byte closes that channel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
PROTOCOLS = (V5, V4)

LARGEST_MESSAGE = 4 << 20
"""Bytes of one message from a client; kubectl sends 32 KiB."""

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


@dataclass(frozen=True, slots=True)
class StdinData:
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """Standard input ends."""


@dataclass(frozen=True, slots=True)
class Size:
    columns: int
    rows: int


Frame: TypeAlias = StdinData | Closed | Size | None


def read(message: bytes, protocol: str) -> Frame:
    """A frame from the client; None for one that a server ignores."""
    if not message:
        return None
    channel, data = message[0], message[1:]
    if channel == STDIN:
        return StdinData(data) if data else None
    if channel == CLOSE and protocol == V5 and data == bytes([STDIN]):
        return Closed()
    return size(data) if channel == RESIZE else None


def size(data: bytes) -> Size | None:
    """The terminal's size from JSON; None if it cannot be read."""
    try:
        values = json.loads(data)
        return Size(int(values["Width"]), int(values["Height"]))
    except (ValueError, KeyError, TypeError):
        return None


def frame(channel: int, data: bytes) -> bytes:
    return bytes([channel]) + data


def exited(code: int) -> dict[str, Any]:
    """The Status at the end of a command, with its exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    text = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def not_run(why: str) -> dict[str, Any]:
    """The Status of a command that could not be started."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {why}",
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }
