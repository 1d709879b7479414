"""Events: what the lab did with an object, as `kubectl describe` and `kubectl get events` show it."""

from __future__ import annotations

import time

from netprobe.lab.api.operations import Operations, lab_itself, now
from netprobe.lab.api.resources import EVENTS
from netprobe.lab.api.status import ApiError
from netprobe.model.objects import Object

_KEPT = 2000  # a real server forgets them after an hour


def record(
    operations: Operations, about: Object, reason: str, message: str, *, component: str, warning: bool = False
) -> None:
    """Store an event about an object; if its namespace is being deleted, none is stored."""
    metadata = about["metadata"]
    at = now()
    event: Object = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}"},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": component},
        "reportingComponent": component,
        "reportingInstance": "",
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
        "eventTime": None,
    }
    try:
        operations.create(EVENTS, metadata.get("namespace", "default"), event, lab_itself())
    except ApiError:
        return
    if operations.store.count(EVENTS) > _KEPT:
        operations.store.remove(EVENTS, operations.store.key(operations.store.oldest(EVENTS).object))
