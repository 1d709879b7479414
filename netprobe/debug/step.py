"""One part of the path, as a line with the data behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from netprobe.debug.records import Try


class StepStatus(Enum):
    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the path; `evidence` is plain data."""

    name: str
    status: StepStatus
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


def counted(count: int, what: str) -> str:
    """ "1 pod", "2 pods"."""
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def data_of(tried: Try) -> dict[str, Any]:
    """A try as plain data; `policies` is what they say about it."""
    return {
        "from": tried.sender.value,
        "aim": tried.aim.value,
        "node": tried.node,
        "to": tried.to,
        "to_node": tried.to_node,
        "host": tried.host,
        "port": tried.port,
        "protocol": tried.protocol.value,
        "family": tried.family,
        "policies": tried.expected.value,
        "outcomes": [outcome.value for outcome in tried.outcomes],
        "latency_ms": tried.latency_ms,
    }
