"""What time it is: schedules and tokens ask a clock, which tests set."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time, in UTC."""

    def now(self) -> datetime: ...


class WallClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(UTC)
