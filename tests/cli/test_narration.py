"""What a log is told while a command goes on."""

from __future__ import annotations

import io
import threading

import pytest

from netprobe.cli.progress import LONGEST_S, PAUSE_S, Log, logged, shown


def test_a_line_where_something_else_is_done_or_the_same_for_long() -> None:
    now = 0.0
    log = Log(lambda: now)
    assert log.line() is None, "nothing is known yet"
    told = []
    for second, doing in (
        (10, "starting"),
        (20, "starting"),
        (30, "probing"),
        (40, "probing"),
        (90, "probing"),
    ):
        now, log.doing = float(second), doing
        told.append(log.line())
    assert told == ["10 s: starting", None, "30 s: probing", None, "90 s: probing"]
    assert 40 - 30 < LONGEST_S <= 90 - 30


def test_it_is_said_while_the_work_holds_still(monkeypatch: pytest.MonkeyPatch) -> None:
    said = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if "probing" in text:
                said.set()
            return super().write(text)

    monkeypatch.setattr("sys.stderr", stream := Stream())
    with logged(Log(lambda: 12.4), pause_s=0.001) as narrate:
        narrate("probing: 3 of 9 tries")
        assert said.wait(60)
    assert stream.getvalue().splitlines()[0] == "netprobe: 12 s: probing: 3 of 9 tries"
    assert not [thread for thread in threading.enumerate() if thread.name == "narration"]


def test_a_command_that_is_over_soon_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    monkeypatch.setattr("netprobe.cli.progress.PAUSE_S", 3600.0)
    assert PAUSE_S >= 5
    with shown() as narrate:
        narrate("starting")
    assert stream.getvalue() == ""
