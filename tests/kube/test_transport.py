"""How fast requests are sent."""

from __future__ import annotations

from netprobe.kube.transport import RateLimit


def test_a_burst_and_then_a_rate() -> None:
    limit = RateLimit(10, 3)
    assert [round(limit.reserve(0), 3) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]
