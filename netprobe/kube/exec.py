"""The frames of an exec, read without a socket.

The protocol (v4.channel.k8s.io, and v5 which only adds a frame that closes a channel): each binary message
is a channel number and data. 1 is standard output, 2 standard error, 3 the error channel, on which one
`Status` object says how the command ended. A frame border may cut a character, a line, or the Status.
Source: k8s.io/apimachinery/pkg/util/remotecommand, k8s.io/apiserver/pkg/util/wsstream.

The error channel is lost when the connection drops. Without it nobody knows what the command did, so the
status is None, and a script's own last line has to prove that it got to its end.
"""

from __future__ import annotations

import codecs
import json
from typing import Any, Final

from netprobe.probe.api import Finished

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE: Final = 255  # v5: the next byte is the channel that is closed
_KEPT_STDERR: Final = 8192
_LONGEST_LINE: Final = 65536


class ExecSession:
    """One exec, fed with messages; lines of standard output come out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self._stderr = bytearray()
        self._error = bytearray()
        self.finished: Finished | None = None

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "replace")

    def feed(self, message: bytes) -> list[str]:
        """Take one message; the lines of standard output that it completes, without their ends."""
        if not message:
            return []
        channel, data = message[0], message[1:]
        if channel == STDOUT:
            return self._out(data)
        if channel == STDERR:
            self._stderr += data[: max(0, _KEPT_STDERR - len(self._stderr))]
        elif channel == ERROR:
            self._error += data
            self.finished = _finished(bytes(self._error))
        return []

    def close(self) -> list[str]:
        """The connection ended. A last line without an end counts only where the command's end is known."""
        if self.finished is None:
            text = self._error.decode("utf-8", "replace")
            self.finished = Finished(None, f"cut status: {text[:200]}" if text else "the connection was lost")
            return []
        rest = self._partial + self._decoder.decode(b"", final=True)
        self._partial = ""
        return [rest] if rest and self.finished.status is not None else []

    def _out(self, data: bytes) -> list[str]:
        *lines, self._partial = (self._partial + self._decoder.decode(data)).split("\n")
        if len(self._partial) > _LONGEST_LINE:  # not one of ours: do not keep it
            self._partial = ""
        return lines


def _finished(data: bytes) -> Finished | None:
    """Read the Status; None while it is not all there."""
    try:
        status: Any = json.loads(data)
    except ValueError:
        return None
    if not isinstance(status, dict):
        return Finished(None, f"unreadable status: {data[:200]!r}")
    if status.get("status") == "Success":
        return Finished(0)
    message = str(status.get("message") or status.get("reason") or "no message")
    causes = (status.get("details") or {}).get("causes") or []
    codes = [str(c.get("message")) for c in causes if isinstance(c, dict) and c.get("reason") == "ExitCode"]
    if codes and codes[0].isdecimal():
        return Finished(int(codes[0]), message)
    return Finished(None, message)  # the runtime could not start the command, or the pod is gone
