"""The cells of a pod: what its containers and conditions come to in a word."""

from __future__ import annotations

from datetime import datetime

from netprobe.lab.api.table.text import NONE, at
from netprobe.model.objects import Object


def ready(pod: Object) -> str:
    statuses = at(pod, "status.containerStatuses", ())
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(at(pod, 'spec.containers', ()))}"


def status(pod: Object) -> str:
    """The reason of a container that waits or ended, of the pod, or its phase; Terminating last."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    word = str(at(pod, "status.reason") or at(pod, "status.phase", "Unknown"))
    if at(pod, "status.reason"):
        return word
    for container in reversed(at(pod, "status.containerStatuses", ())):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if reason := state.get(kind, {}).get("reason"):
                word = str(reason)
    return word


def restarts(pod: Object, _now: datetime) -> str:
    return str(sum(s.get("restartCount", 0) for s in at(pod, "status.containerStatuses", ())))


def gates(pod: Object) -> str:
    wanted = [gate["conditionType"] for gate in at(pod, "spec.readinessGates", ())]
    if not wanted:
        return NONE
    conditions = {c["type"]: c["status"] for c in at(pod, "status.conditions", ())}
    return f"{sum(conditions.get(kind) == 'True' for kind in wanted)}/{len(wanted)}"
