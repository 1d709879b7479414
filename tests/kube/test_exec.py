"""The frames of an exec, message by message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netprobe.kube.exec import ExecSession
from netprobe.probe.api import Finished


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


def read(*messages: bytes) -> tuple[list[str], Finished | None]:
    session = ExecSession()
    lines = [line for message in messages for line in session.feed(message)]
    return lines + session.close(), session.finished


def test_lines_and_a_success() -> None:
    assert read(b"\x01one\ntwo\n", SUCCESS) == (["one", "two"], Finished(0))


def test_a_line_that_is_cut_by_a_frame() -> None:
    assert read(b"\x01on", b"\x01e\ntw", b"\x01o\n", SUCCESS)[0] == ["one", "two"]


def test_a_character_that_is_cut_by_a_frame() -> None:
    text = "zürich\n".encode()
    for cut in range(1, len(text)):
        assert read(b"\x01" + text[:cut], b"\x01" + text[cut:], SUCCESS)[0] == ["zürich"]


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert read(b"\x01a\xffb\n", SUCCESS)[0] == ["a\ufffdb"]


def test_a_last_line_without_an_end_counts_where_the_command_has_ended() -> None:
    assert read(b"\x01one\ntwo", SUCCESS) == (["one", "two"], Finished(0))


def test_a_last_line_of_a_lost_connection_is_not_given() -> None:
    lines, finished = read(b"\x01one\n12 0 100")
    assert lines == ["one"], "half a line could read as another answer"
    assert finished == Finished(None, "the connection was lost")


def test_streams_that_alternate_stay_apart() -> None:
    session = ExecSession()
    assert session.feed(b"\x01on") == []
    assert session.feed(b"\x02oops\n") == []
    assert session.feed(b"\x01e\n") == ["one"]
    assert session.stderr == "oops\n"


@pytest.mark.parametrize(
    ("frame", "finished"),
    [
        pytest.param(SUCCESS, Finished(0), id="success"),
        pytest.param(EXIT_7, Finished(7, "command terminated with non-zero exit code"), id="a status"),
        pytest.param(
            status({"status": "Failure", "message": "container not found"}),
            Finished(None, "container not found"),
            id="a failure without causes",
        ),
        pytest.param(
            status({"status": "Failure", "reason": "InternalError", "details": {"causes": None}}),
            Finished(None, "InternalError"),
            id="causes that are null",
        ),
        pytest.param(
            status({"status": "Failure", "message": "x", "details": {"causes": [{"message": "7"}]}}),
            Finished(None, "x"),
            id="a cause that is no exit status",
        ),
        pytest.param(
            status({"status": "Failure", "message": "x", "details": BAD_CODE}),
            Finished(None, "x"),
            id="an exit status that is no number",
        ),
        pytest.param(status(b"[1]"), Finished(None, "unreadable status: b'[1]'"), id="no object"),
        pytest.param(b'\x03{"sta', Finished(None, 'cut status: {"sta'), id="cut"),
        pytest.param(b"\x03command died", Finished(None, "cut status: command died"), id="plain text"),
    ],
)  # fmt: skip
def test_the_error_channel(frame: bytes, finished: Finished) -> None:
    assert read(b"\x01one\n", frame) == (["one"], finished)


def test_a_status_that_comes_in_two_frames() -> None:
    assert read(EXIT_7[:30], b"\x03" + EXIT_7[30:])[1] == Finished(
        7, "command terminated with non-zero exit code"
    )


@pytest.mark.parametrize(
    "message", [b"", b"\x01", b"\x02", b"\x04{}", b"\xff\x00", b"\x09what"],
    ids=["empty", "no output", "no error", "resize", "v5 close", "an unknown channel"],
)  # fmt: skip
def test_messages_that_say_nothing(message: bytes) -> None:
    assert read(message, b"\x01one\n", SUCCESS) == (["one"], Finished(0))


def test_standard_error_is_bounded() -> None:
    session = ExecSession()
    for _ in range(100):
        session.feed(b"\x02" + b"x" * 1000)
    assert len(session.stderr) == 8192


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    session = ExecSession()
    for _ in range(100):
        session.feed(b"\x01" + b"x" * 10_000)
    assert len(session._partial) <= 65536
