"""Server-side apply: a manager says all that it wants of an object, and owns what it says.

What it said last time and says no more is removed, unless somebody else owns it too. A field that another
manager owns and that would change is a conflict, unless the apply is forced.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from netprobe.lab.api import fields, managed
from netprobe.lab.api.decode import Decoder
from netprobe.lab.api.fields import Fields, Path, key_step
from netprobe.lab.api.managed import Entry
from netprobe.lab.api.operations import Operations, Subresource, Writer, now
from netprobe.lab.api.requests import Target
from netprobe.lab.api.schema import Definition, Field, Type, definition_of
from netprobe.lab.api.status import ApiError, Cause, bad_request, conflict
from netprobe.lab.api.store import Key
from netprobe.model.objects import Object

KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def apply(
    operations: Operations, target: Target, config: Any, writer: Writer, subresource: Subresource
) -> tuple[Object, bool]:
    """Apply a configuration; the result, and whether the object is new."""
    resource = target.resource
    if not isinstance(config, dict):
        raise bad_request("the configuration to apply is not an object")
    if (config.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    raw = {**config, "metadata": {**(config.get("metadata") or {}), "name": target.name}}
    definition = definition_of(resource.group, resource.kind)
    wanted = operations.typed(resource, raw, writer, fill=False)
    status = subresource == "status"
    owned = frozenset(fields.values(wanted, definition, status=status))
    mine = Entry(writer.manager, "Apply", resource.api_version, owned, subresource, now())
    stored = operations.store.get(resource, Key(target.namespace, target.name))
    if stored is None:
        return _create(operations, target, wanted, mine, writer), True
    live = stored.object
    given = wanted["metadata"].get("resourceVersion")
    if given and given != live["metadata"]["resourceVersion"]:
        raise conflict(resource, target.name)
    others = managed.entries(live)
    before = next((entry for entry in others if entry.who == mine.who), None)
    others = [entry for entry in others if entry.who != mine.who]
    merged = _merge_struct(live, wanted, definition)
    if before is not None:
        theirs: Fields = frozenset().union(*(entry.fields for entry in others))
        _remove(merged, before.fields - owned, theirs | owned, definition)
    typed = Decoder(resource.kind, resource.version).struct(merged, definition)
    typed = {"apiVersion": resource.api_version, "kind": resource.kind, **typed}
    force = writer.force or (writer.manager == KUBECTL and _said_before(live, typed, owned, definition))
    others = _settle(others, live, typed, owned, definition, force=force, status=status)
    if writer.manager == KUBECTL and LAST_APPLIED in live["metadata"].get("annotations", {}):
        said = json.dumps(config, separators=(",", ":")) + "\n"
        typed["metadata"]["annotations"] = {**typed["metadata"]["annotations"], LAST_APPLIED: said}
    if before is not None and before.fields == owned:
        mine = before  # nothing new is owned: a repeated apply changes nothing, not even the time
    managed.store(typed, [*others, mine])
    return operations.replace(resource, live, typed, replace(writer, applying=True), subresource), False


def _create(operations: Operations, target: Target, wanted: Object, mine: Entry, writer: Writer) -> Object:
    managed.store(wanted, [mine])
    typed = Decoder(target.resource.kind, target.resource.version).struct(
        wanted, definition_of(target.resource.group, target.resource.kind)
    )
    return operations.create(target.resource, target.namespace, typed, replace(writer, applying=True))


def _said_before(live: Object, merged: Object, owned: Fields, definition: Definition) -> bool:
    """May kubectl take over what stands in its way, all of which its own client-side apply has said?

    The server lets an object go over from client-side to server-side apply so (fieldmanager's
    lastappliedmanager.go): where the annotation says what stands there now, there is no conflict.
    """
    text = live["metadata"].get("annotations", {}).get(LAST_APPLIED)
    try:
        said = fields.values(json.loads(text), definition) if text else {}
    except (ValueError, AttributeError):
        return False
    before, after = fields.values(live, definition), fields.values(merged, definition)
    contested = frozenset().union(*(entry.fields for entry in managed.entries(live)))
    changed = {path for path in owned & contested if before.get(path) != after.get(path)}
    return bool(changed) and all(path in said and said[path] == before.get(path) for path in changed)


def _settle(
    others: list[Entry],
    live: Object,
    merged: Object,
    owned: Fields,
    definition: Definition,
    *,
    force: bool,
    status: bool,
) -> list[Entry]:
    """The others' entries after the apply; ApiError 409 where one of them is in the way."""
    before = fields.values(live, definition, status=status)
    after = fields.values(merged, definition, status=status)
    changed = {path for path in owned if before.get(path) != after.get(path)}
    conflicts = [(entry, path) for entry in others for path in sorted(entry.fields & changed)]
    if conflicts and not force:
        raise _conflict(conflicts)
    gone = before.keys() - after.keys()
    return [replace(entry, fields=entry.fields - changed - gone) for entry in others]


def _conflict(conflicts: list[tuple[Entry, Path]]) -> ApiError:
    causes, lines = [], []
    for entry in dict.fromkeys(entry for entry, _ in conflicts):
        subresource = f' with subresource "{entry.subresource}"' if entry.subresource else ""
        version = f" using {entry.api_version}" if entry.operation == "Update" else ""
        named = f'"{entry.manager}"{subresource}{version}'
        paths = [fields.render(path) for other, path in conflicts if other is entry]
        causes += [Cause(path, f"conflict with {named}", "FieldManagerConflict") for path in paths]
        several = f"conflicts with {named}:\n" + "\n".join(f"- {path}" for path in paths)
        lines.append(f"conflict with {named}: {paths[0]}" if len(paths) == 1 else several)
    count = len(causes)
    plural = "conflict" if count == 1 else "conflicts"
    listed = "\n".join(lines)
    return ApiError(409, "Conflict", f"Apply failed with {count} {plural}: {listed}", causes=causes)


def _merge_struct(live: Any, wanted: dict[str, Any], definition: Definition) -> dict[str, Any]:
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in wanted.items():
        field = definition.fields.get(key)
        result[key] = copy.deepcopy(value) if field is None else _merge_field(result.get(key), value, field)
    return result


def _merge_field(live: Any, wanted: Any, field: Field) -> Any:
    if isinstance(wanted, list) and isinstance(live, list):
        if field.keys and field.type.item is not None:
            return _merge_list(live, wanted, field, field.type.item)
        if field.is_set:
            return [*live, *(item for item in wanted if item not in live)]
    if field.atomic:
        return copy.deepcopy(wanted)
    return _merge(live, wanted, field.type)


def _merge(live: Any, wanted: Any, type_: Type) -> Any:
    definition = type_.definition
    if isinstance(wanted, dict) and isinstance(live, dict):
        if definition is not None and not definition.atomic:
            return _merge_struct(live, wanted, definition)
        if type_.is_map and type_.item is not None:
            item_type = type_.item
            return {**live, **{k: _merge(live.get(k), v, item_type) for k, v in wanted.items()}}
    return copy.deepcopy(wanted)


def _merge_list(live: list[Any], wanted: list[Any], field: Field, item_type: Type) -> list[Any]:
    """Items that are wanted come in the wanted order; the others keep theirs, behind what stood before."""
    known = {key_step(item, field): item for item in live}
    result = {
        key: _merge(known.get(key), item, item_type) for item in wanted for key in [key_step(item, field)]
    }
    return [*result.values(), *(item for key, item in known.items() if key not in result)]


def _remove(obj: Object, gone: Iterable[Path], kept: Fields, definition: Definition) -> None:
    """Take away what stands at some paths, unless a kept path is at it or below it."""
    for path in sorted(gone, key=len, reverse=True):
        if not any(other[: len(path)] == path for other in kept):
            _remove_at(obj, path, Type(definition.name), None)


def _remove_at(value: Any, path: Path, type_: Type, field: Field | None) -> None:
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, dict):
        name = step[2:]
        if name not in value:
            return
        if not rest:
            del value[name]
            return
        inner = type_.definition.fields.get(name) if type_.definition is not None else None
        next_type = inner.type if inner is not None else type_.item or Type("any")
        value[name] = copy.copy(value[name])
        _remove_at(value[name], rest, next_type, inner)
    elif isinstance(value, list) and field is not None and type_.item is not None:
        for index, item in enumerate(value):
            at = key_step(item, field) if field.keys else _set_step(item)
            if at != step:
                continue
            if not rest:
                del value[index]
            else:
                value[index] = copy.copy(item)
                _remove_at(value[index], rest, type_.item, None)
            return


def _set_step(item: Any) -> str:
    return f"v:{json.dumps(item)}"
