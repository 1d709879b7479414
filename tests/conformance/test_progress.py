"""What a pipeline's log is told of a run: how many, what failed, and how long it takes still."""

from __future__ import annotations

from netprobe.cli.progress import Tally
from tests.conformance.samples import FAILED, FLAKY, PASSED, SKIPPED


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_has_count_failures_and_the_time_left() -> None:
    clock = Clock()
    tally = Tally(400, clock)
    clock.now += 60  # until the fixtures stand
    tally.begin()
    clock.now += 10
    for result in (PASSED, SKIPPED, PASSED, PASSED):
        tally.add(result)
    assert tally.line() == "4 of 400 cases, none failed, about 16 min left"
    for result in (FAILED, FAILED, FLAKY):
        tally.add(result)
    assert tally.line() == "7 of 400 cases, 2 failed, 1 flaky, about 9 min left"
    assert tally.last == FLAKY.case.name
