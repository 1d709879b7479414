"""The schedules of CronJobs: five fields, or one of the names that Kubernetes knows, in some time zone.

cronsim reads the fields and counts the times; what it takes beyond Kubernetes' own reader (robfig/cron's
standard parser) is refused first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|m|s)")
_SECONDS = {"h": 3600, "m": 60, "s": 1}
_PLAIN = re.compile(r"[0-9*,/?-]+")
_WITH_NAMES = re.compile(r"(?:[0-9*,/?-]|(?<![A-Za-z])[A-Za-z]{3}(?![A-Za-z]))+")
_FORMS = (_PLAIN, _PLAIN, _PLAIN, _WITH_NAMES, _WITH_NAMES)


class ScheduleError(ValueError):
    """A schedule or a time zone that cannot be read; the text says why."""


class Schedule:
    """The times of a schedule; ScheduleError where there is none."""

    def __init__(self, text: str, zone: str = "") -> None:
        self._zone = _zone(zone)
        self._every: timedelta | None = None
        if text.startswith(_EVERY):
            self._every = _duration(text.removeprefix(_EVERY))
            return
        self._fields = _fields(text)
        try:
            CronSim(self._fields, datetime.now(UTC))
        except CronSimError as error:
            raise ScheduleError(str(error)) from error

    def newest(self, after: datetime, until: datetime) -> datetime | None:
        """The last time that is after one moment, and not after another."""
        if self._every is not None:
            times = (until - after.replace(microsecond=0)) // self._every
            return after.replace(microsecond=0) + times * self._every if times > 0 else None
        end = (until + timedelta(seconds=1)).astimezone(self._zone)
        found = next(CronSim(self._fields, end, reverse=True), None)
        return found if found is not None and found > after else None

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The times after a moment, in order; in the schedule's own zone. None at all where it has none."""
        if self._every is None:
            yield from CronSim(self._fields, moment.astimezone(self._zone))
            return
        while True:
            moment = moment.replace(microsecond=0) + self._every
            yield moment


def _zone(name: str) -> ZoneInfo:
    if name == "Local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        raise ScheduleError(text)
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def _duration(text: str) -> timedelta:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ScheduleError(f'failed to parse duration {_EVERY}{text}: time: invalid duration "{text}"')
    return timedelta(seconds=max(1, int(sum(float(number) * _SECONDS[unit] for number, unit in parts))))


def _fields(text: str) -> str:
    """The five fields as cronsim reads them."""
    if text.startswith("@"):
        if text not in _NAMED:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        return _NAMED[text]
    fields = text.split()
    if len(fields) != 5:
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    for field, form in zip(fields, _FORMS, strict=True):
        if not form.fullmatch(field):
            raise ScheduleError(f"failed to parse {field}")
    for number in re.findall(r"(?<!/)\b\d+", fields[4]):
        if int(number) > 6:
            raise ScheduleError(f"end of range ({number}) above maximum (6): {fields[4]}")
    return " ".join(fields).replace("?", "*")
