"""The frames of an exec, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netprobe.kube.exec import ExecSession
from netprobe.probe.api import ExecResult


def status(body: Any) -> bytes:
    return b"\x03" + (body if isinstance(body, bytes) else json.dumps(body).encode())


BAD_CODE = {"causes": [{"reason": "ExitCode", "message": "no"}]}
SUCCESS = status({"metadata": {}, "status": "Success"})
EXIT_7 = status(
    {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
    }
)
FINISHED_7 = ExecResult(7, "command terminated with non-zero exit code")


def read(*messages: bytes) -> tuple[list[str], ExecResult | None]:
    session = ExecSession()
    lines = [line for message in messages for line in session.feed(message)]
    return lines + session.close(), session.finished


CONNECTION_LOST = ExecResult(None, "the connection was lost")


SESSIONS: dict[str, tuple[list[bytes], list[str], ExecResult]] = {
    "lines and a success": ([b"\x01one\ntwo\n", SUCCESS], ["one", "two"], ExecResult(0)),
    "a line in three frames": ([b"\x01on", b"\x01e\ntw", b"\x01o\n", SUCCESS], ["one", "two"], ExecResult(0)),
    "not UTF-8: replaced": ([b"\x01a\xffb\n", SUCCESS], ["a\ufffdb"], ExecResult(0)),
    "a last line without an end, command ended": ([b"\x01one\ntwo", SUCCESS], ["one", "two"], ExecResult(0)),
    "lost: half a line could read as another answer": ([b"\x01one\n12 0 100"], ["one"], CONNECTION_LOST),
    "a status in two frames": ([EXIT_7[:30], b"\x03" + EXIT_7[30:]], [], FINISHED_7),
}


@pytest.mark.parametrize(("messages", "lines", "finished"), SESSIONS.values(), ids=SESSIONS)
def test_a_session(messages: list[bytes], lines: list[str], finished: ExecResult) -> None:
    assert read(*messages) == (lines, finished)


def test_a_character_that_is_cut_by_a_frame() -> None:
    text = "zürich\n".encode()
    for cut in range(1, len(text)):
        assert read(b"\x01" + text[:cut], b"\x01" + text[cut:], SUCCESS)[0] == ["zürich"]


def failure(**fields: Any) -> bytes:
    return status({"status": "Failure", **fields})


ENDS = {
    "success": (SUCCESS, ExecResult(0)),
    "a status": (EXIT_7, FINISHED_7),
    "a failure without causes": (failure(message="no container"), ExecResult(None, "no container")),
    "causes that are null": (
        failure(reason="InternalError", details={"causes": None}),
        ExecResult(None, "InternalError"),
    ),
    "a cause that is no exit status": (
        failure(message="x", details={"causes": [{"message": "7"}]}),
        ExecResult(None, "x"),
    ),
    "an exit status that is no number": (failure(message="x", details=BAD_CODE), ExecResult(None, "x")),
    "no object": (status(b"[1]"), ExecResult(None, "unreadable status: b'[1]'")),
    "cut": (b'\x03{"sta', ExecResult(None, 'cut status: {"sta')),
    "plain text": (b"\x03command died", ExecResult(None, "cut status: command died")),
}


@pytest.mark.parametrize(("frame", "finished"), ENDS.values(), ids=ENDS)
def test_the_error_channel(frame: bytes, finished: ExecResult) -> None:
    assert read(b"\x01one\n", frame) == (["one"], finished)


def test_messages_that_say_nothing() -> None:
    """Empty ones, a resize, v5's close, and channels that are not known."""
    for message in (b"", b"\x01", b"\x02", b"\x04{}", b"\xff\x00", b"\x09what"):
        assert read(message, b"\x01one\n", SUCCESS) == (["one"], ExecResult(0)), message


def fed(message: bytes, times: int) -> ExecSession:
    session = ExecSession()
    for _ in range(times):
        session.feed(message)
    return session


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        pytest.param(b"\x01" + b"x" * 10_000, "it printed a line of more than 64 KiB", id="an endless line"),
        pytest.param(b"\x01" + b"x\n" * 5_000, "it printed more than 4 MiB", id="endless lines"),
        pytest.param(b"\x02" + b"x" * 10_000, "it printed more than 4 MiB", id="endless errors"),
        pytest.param(b"\x03" + b"{" * 10_000, "its status has no end", id="an endless status"),
    ],
)
def test_a_command_that_prints_too_much_is_given_up(message: bytes, reason: str) -> None:
    session = fed(message, 1_000)
    assert session.finished is not None
    assert session.finished.status is None
    assert session.finished.reason.startswith(reason)
    assert session.close() == []
    assert session.feed(b"\x01line\n") == [], "nothing more is taken"
    assert len(session._partial) + len(session._error) + len(session.stderr) < 200_000


def test_who_is_asked_much_may_answer_much() -> None:
    session = ExecSession()
    for _ in range(1_000):
        session.sent(1_000)
        assert len(session.feed(b"\x01" + b"x\n" * 5_000)) == 5_000
    assert session.finished is None
