"""A clock that a test sets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SetClock:
    """Stands at `moment` until it is moved."""

    def __init__(self, moment: str = "2026-03-01T12:00:00+00:00") -> None:
        self.moment = datetime.fromisoformat(moment).astimezone(UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, **time: float) -> None:
        """Let some time go by: `minutes=5`, as timedelta counts it."""
        self.moment += timedelta(**time)
