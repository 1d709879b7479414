"""Kinds that are another one under another name: events.k8s.io has the core group's events, with other words
for their fields (pkg/apis/events/v1/conversion.go). They are stored once; the store shows them in both forms.
"""

from __future__ import annotations

from netprobe.lab.api.resources import NEW_EVENTS, Resource
from netprobe.model.objects import Object

_RENAMED: dict[Resource, dict[str, str]] = {
    NEW_EVENTS: {
        "involvedObject": "regarding",
        "message": "note",
        "reportingComponent": "reportingController",
        "source": "deprecatedSource",
        "firstTimestamp": "deprecatedFirstTimestamp",
        "lastTimestamp": "deprecatedLastTimestamp",
        "count": "deprecatedCount",
    }
}
_BACK = {view: {new: old for old, new in names.items()} for view, names in _RENAMED.items()}


def seen(view: Resource, obj: Object) -> Object:
    """A stored object as an object of `view`."""
    return _turned(obj, _RENAMED[view], view)


def stored(view: Resource, obj: Object) -> Object:
    """An object of `view` as it is stored."""
    return _turned(obj, _BACK[view], view.view_of or view)


def _turned(obj: Object, names: dict[str, str], to: Resource) -> Object:
    renamed = {names.get(key, key): value for key, value in obj.items()}
    return {**renamed, "apiVersion": to.api_version, "kind": to.kind}
