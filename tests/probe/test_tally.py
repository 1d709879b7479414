"""What is said while tries are under way."""

from __future__ import annotations

import pytest

from netprobe.probe.tally import Tally


def test_activities_are_told_and_counts_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("netprobe.probe.tally.time.monotonic", lambda: clock[0])
    told: list[str] = []
    one = Tally(told.append)
    one.say("probing")
    one.asked(1_200)
    one.answered()
    assert told == ["probing"], "nothing was slow yet"
    clock[0] = 1.0
    one.answered()
    one.answered()
    assert told == ["probing", "probing: 2 of 1,200 tries"]
    one.say("probing")
    one.asked(3)
    clock[0] = 2.0
    one.answered()
    assert told[2:] == ["probing", "probing: 1 of 3 tries"], "every activity counts anew"
