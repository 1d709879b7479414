"""The plugin Priority: a pod has the number of its class (plugin/pkg/admission/priority).

Nothing is scheduled by it here; quotas by class, and pods that name a class that is not there, depend on it.
"""

from __future__ import annotations

from typing import Any

from netprobe.lab.api.resources import PRIORITY_CLASSES
from netprobe.lab.api.store import Key, Store
from netprobe.model.objects import Object

SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The classes that every cluster has."""


def complete(pod: dict[str, Any], store: Store) -> str:
    """Give a new pod its priority, of the default class where it names none; why it has none, or ""."""
    spec = pod["spec"]
    name = spec.get("priorityClassName", "")
    chosen: Object | None = None
    if name:
        stored = store.get(PRIORITY_CLASSES, Key("", name))
        if stored is None:
            return f"no PriorityClass with name {name} was found"
        chosen = stored.object
    else:
        classes = [stored.object for stored in store.items(PRIORITY_CLASSES)]
        defaults = [one for one in classes if one.get("globalDefault")]
        chosen = min(defaults, key=lambda one: int(one.get("value", 0)), default=None)
        if chosen is not None:
            spec["priorityClassName"] = chosen["metadata"]["name"]
    spec["priority"] = chosen.get("value", 0) if chosen is not None else 0
    policy = chosen.get("preemptionPolicy") if chosen is not None else None
    spec["preemptionPolicy"] = policy or "PreemptLowerPriority"
    return ""


def default_class(obj: dict[str, Any]) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")
