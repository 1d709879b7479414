"""metadata.managedFields: who owns which field, kept up to date with every write of a client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from netprobe.lab.api import fields
from netprobe.lab.api.fields import Fields
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.schema import definition_of
from netprobe.model.objects import Object


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns by one kind of operation ("Apply" or "Update")."""

    manager: str
    operation: str
    api_version: str
    fields: Fields
    subresource: str = ""
    time: str = ""

    @property
    def who(self) -> tuple[str, str, str, str]:
        return (self.manager, self.operation, self.api_version, self.subresource)

    def dump(self) -> Object:
        subresource = {"subresource": self.subresource} if self.subresource else {}
        return {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.dump(self.fields),
            **subresource,
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entries(obj: Object) -> list[Entry]:
    """Those of an object."""
    return [
        Entry(
            entry.get("manager", ""),
            entry.get("operation", "Update"),
            entry.get("apiVersion", ""),
            frozenset(fields.load(entry.get("fieldsV1") or {})),
            entry.get("subresource", ""),
            entry.get("time", ""),
        )
        for entry in obj["metadata"].get("managedFields") or ()
        if entry
    ]


def store(obj: Object, owned: Iterable[Entry]) -> None:
    """Write the entries that own something into an object."""
    dumped = [entry.dump() for entry in owned if entry.fields]
    if dumped:
        obj["metadata"]["managedFields"] = dumped
    else:
        obj["metadata"].pop("managedFields", None)


def created(resource: Resource, obj: Object, manager: str) -> None:
    """Record a creation: all that was stored, defaults included."""
    owned = frozenset(fields.values(obj, definition_of(resource.group, resource.kind)))
    store(obj, [Entry(manager, "Update", resource.api_version, owned, time=_now())])


def updated(resource: Resource, obj: Object, old: Object, manager: str, subresource: str) -> None:
    """Record an update: what it changed is the manager's, and what it removed is nobody's."""
    definition = definition_of(resource.group, resource.kind)
    status = subresource == "status"
    before = fields.values(old, definition, status=status)
    after = fields.values(obj, definition, status=status)
    changed = frozenset(p for p, value in after.items() if p not in before or before[p] != value)
    removed = frozenset(before.keys() - after.keys())
    given: Any = obj["metadata"].get("managedFields")
    if given is None and "managedFields" in old["metadata"]:
        obj["metadata"]["managedFields"] = old["metadata"]["managedFields"]
    if not changed and not removed:
        return
    mine = Entry(manager, "Update", resource.api_version, changed, subresource, _now())
    kept = []
    for entry in entries(obj):
        if entry.who == mine.who:
            mine = replace(mine, fields=(entry.fields - removed) | changed)
        else:
            kept.append(replace(entry, fields=entry.fields - removed - changed))
    store(obj, [*kept, mine])
