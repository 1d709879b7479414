"""Small texts of table cells: ages, ports, joined lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


def at(obj: Any, path: str, missing: Any = None) -> Any:
    """The value at a path of names, as in "status.podIP"."""
    for step in path.split("."):
        if not isinstance(obj, Mapping) or step not in obj:
            return missing
        obj = obj[step]
    return obj


def since(timestamp: str | None, now: datetime) -> str:
    """The time since a timestamp of the API, as in "5d3h"."""
    if not timestamp:
        return UNKNOWN
    return duration((now - moment(timestamp)).total_seconds())


def moment(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp).astimezone(UTC)


def duration(seconds: float) -> str:
    """Two units at most, fewer as it gets longer (apimachinery's duration.HumanDuration)."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    for below, unit, finer, fine_below in _DURATIONS:
        if whole < below:
            size, name = unit
            rest = whole % size // finer[0] if whole < fine_below else 0
            return f"{whole // size}{name}{rest}{finer[1]}" if rest else f"{whole // size}{name}"
    return f"{whole // _YEAR}y"


_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
_DURATIONS = (  # below this many seconds: the unit, the finer unit, and below what the finer one is shown
    (2 * _MINUTE, (1, "s"), (1, ""), 0),
    (3 * _HOUR, (_MINUTE, "m"), (1, "s"), 10 * _MINUTE),
    (2 * _DAY, (_HOUR, "h"), (_MINUTE, "m"), 8 * _HOUR),
    (2 * _YEAR, (_DAY, "d"), (_HOUR, "h"), 8 * _DAY),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d"), 8 * _YEAR),
)


def joined(items: Iterable[Any], missing: str = NONE) -> str:
    return ",".join(str(item) for item in items) or missing


def labels(pairs: Mapping[str, str] | None) -> str:
    return joined(f"{key}={value}" for key, value in sorted((pairs or {}).items()))


def containers(spec: Mapping[str, Any]) -> str:
    return joined((c["name"] for c in spec.get("containers", ())), "")


def images(spec: Mapping[str, Any]) -> str:
    return joined((c.get("image", "") for c in spec.get("containers", ())), "")
