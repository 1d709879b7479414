"""What a long command prints."""

from __future__ import annotations

import io
import threading

import pytest

from netprobe.cli.progress import LONGEST_S, PAUSE_S, Log, logged, shown


def test_a_new_activity_or_a_long_one_is_a_line() -> None:
    now = 0.0
    log = Log(lambda: now)
    assert log.line() is None, "nothing is known yet"
    lines = []
    for second, doing in (
        (10, "starting"),
        (20, "starting"),
        (30, "probing"),
        (40, "probing"),
        (90, "probing"),
    ):
        now, log.doing = float(second), doing
        lines.append(log.line())
    assert lines == ["10 s: starting", None, "30 s: probing", None, "90 s: probing"]
    assert 40 - 30 < LONGEST_S <= 90 - 30


def test_a_line_is_printed_while_the_work_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = threading.Event()

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            if "probing" in text:
                printed.set()
            return super().write(text)

    monkeypatch.setattr("sys.stderr", stream := Stream())
    before = set(threading.enumerate())
    with logged(Log(lambda: 12.4), pause_s=0.001) as progress:
        (thread,) = (one for one in set(threading.enumerate()) - before if one.name == "progress")
        progress("probing: 3 of 9 tries")
        assert printed.wait(300)
    assert stream.getvalue().splitlines()[0] == "netprobe: 12 s: probing: 3 of 9 tries"
    assert not thread.is_alive()


def test_a_command_that_is_over_soon_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", stream := io.StringIO())
    monkeypatch.setattr("netprobe.cli.progress.PAUSE_S", 3600.0)
    assert PAUSE_S >= 5
    with shown() as progress:
        progress("starting")
    assert stream.getvalue() == ""
