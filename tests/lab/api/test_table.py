"""Ages and the words of a pod's state, as kubectl prints them."""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.table import duration, pod_status

MINUTE, HOUR, DAY = 60, 3600, 86400

AGES = [
    (-5, "0s"),
    (0, "0s"),
    (119, "119s"),
    (2 * MINUTE + 5, "2m"),
    (179 * MINUTE, "2h"),
    (47 * HOUR, "47h"),
    (2 * DAY + 3 * HOUR, "2d"),
    (9 * 365 * DAY, "9y"),
]


def test_ages() -> None:
    for seconds, text in AGES:
        assert duration(seconds) == text


def pod(phase: str = "Running", *, leaving: bool = False, **status: Any) -> dict[str, Any]:
    marks = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if leaving else {}
    containers = [{"name": "c"}]
    return {"metadata": marks, "spec": {"containers": containers}, "status": {"phase": phase, **status}}


WAITING = [{"ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}]
STATES = [
    (pod("Pending"), "Pending"),
    (pod("Pending", containerStatuses=WAITING), "ContainerCreating"),
    (pod(containerStatuses=[{"ready": True, "state": {"running": {}}}]), "Running"),
    (pod("Failed", reason="DeadlineExceeded"), "DeadlineExceeded"),
    (pod(leaving=True), "Terminating"),
]


def test_the_status_column_of_a_pod() -> None:
    for obj, word in STATES:
        assert pod_status(obj) == word
