"""The patches that the API takes: RFC 6902, RFC 7386, strategic merge, and server-side apply.

Server-side apply creates the object or merges into it. The lab keeps no field managers: nothing conflicts,
and what an earlier apply set stays until something removes it.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from netprobe.lab.api.bodies import parse
from netprobe.lab.api.operations import Operations, Subresource, Writer
from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.schema import Definition, Field, definition_of
from netprobe.lab.api.status import ApiError, bad_request
from netprobe.lab.api.store import ObjectKey
from netprobe.model.objects import Object
from netprobe.policies.fields import FieldError

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
_MOST_STEPS = 10_000  # of a JSON patch, as on a real server
_MOST_COPIED = 3 << 20  # bytes that the copies of a JSON patch may add, as on a real server
_MEDIA_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)


def apply(
    operations: Operations,
    target: RequestTarget,
    media_type: str,
    data: bytes,
    writer: Writer,
    *,
    subresource: Subresource = "",
) -> tuple[Object, bool]:
    """Patch an object; also whether it was created, which only server-side apply does."""
    resource, namespace, name = target.resource, target.namespace, target.name
    if media_type == APPLY_PATCH and operations.store.get(resource, ObjectKey(namespace, name)) is None:
        config = _as_object(parse(data, media_type, writer.doubled))
        config["metadata"] = {**(config.get("metadata") or {}), "name": name}
        return operations.create(resource, namespace, config, writer), True
    raw = changed(operations, target, media_type, data, writer)
    return operations.update(resource, namespace, name, raw, writer, subresource=subresource), False


def changed(
    operations: Operations, target: RequestTarget, media_type: str, data: bytes, writer: Writer
) -> Object:
    """The stored object with the patch applied; nothing is stored."""
    if media_type not in _MEDIA_TYPES:
        text = "the body of the request was in an unknown format - accepted media types include: "
        raise ApiError(415, "UnsupportedMediaType", text + ", ".join(_MEDIA_TYPES))
    resource = target.resource
    change = parse(data, media_type, writer.doubled)
    old = operations.get(resource, target.namespace, target.name).object
    raw: Object
    if media_type == JSON_PATCH:
        raw = json_patch(old, change)
    elif media_type == MERGE_PATCH:
        raw = merge(old, _as_object(change))
    else:
        raw = strategic_merge(old, _as_object(change), definition_of(resource))
    if not isinstance(raw, dict) or not isinstance(raw.get("metadata"), dict):
        raise bad_request("the patch leaves no object with metadata")
    return raw


def _too_large(text: str) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", text)


def _as_object(change: Any) -> Object:
    if not isinstance(change, dict):
        raise bad_request("the patch is not an object")
    return change


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects are merged, everything else is replaced."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(target: Object, steps: Any) -> Any:
    """RFC 6902; ApiError 422 if a step does not apply, 413 for too many, 400 if these are not steps."""
    import jsonpatch  # only `kubectl patch --type=json` needs it
    from jsonpointer import JsonPointerException, resolve_pointer

    if not isinstance(steps, list):
        text = "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        raise bad_request(text)
    if len(steps) > _MOST_STEPS:
        raise _too_large(f"the patch has {len(steps)} operations, the limit is {_MOST_STEPS}")
    result, copied = copy.deepcopy(target), 0
    for step in steps:
        try:
            if isinstance(step, dict) and step.get("op") == "copy":  # each may double the object
                copied += len(json.dumps(resolve_pointer(result, step["from"])))
            result = jsonpatch.JsonPatch([step]).apply(result, in_place=True)
        except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, LookupError, ValueError) as e:
            text = "the server rejected our request due to an error in our request"
            cause = FieldError("", str(e), "UnexpectedServerResponse")
            raise ApiError(422, "Invalid", text, causes=[cause]) from e
        if copied > _MOST_COPIED:
            raise _too_large(f"the patch copies more than {_MOST_COPIED} bytes")
    return result


_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(target: Any, patch: Object, definition: Definition | None) -> Object:
    """A merge patch that joins lists by key if the type says so.

    Directives: `$patch: replace` and `$patch: delete` in an object or a list item, `$retainKeys: [KEY, ...]`
    in an object, `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD` next to a list.
    Without a definition, lists are replaced.
    """
    if patch.get(_DIRECTIVE) == "replace":
        return copy.deepcopy({k: v for k, v in patch.items() if k != _DIRECTIVE})
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if isinstance(retained := patch.get(_RETAIN_KEYS), list):
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key in {_DIRECTIVE, _RETAIN_KEYS} or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_FROM):
            name, gone = key.removeprefix(_DELETE_FROM), _scalars(value)
            result[name] = [item for item in result.get(name) or [] if item not in gone]
            continue
        field = definition.fields.get(key) if definition is not None else None
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = strategic_merge(result.get(key), value, _inner(field))
        elif isinstance(value, list) and field is not None and field.merge_key is not None:
            result[key] = _merge_list(result.get(key) or [], value, field, patch.get(_ORDER + key))
        else:
            result[key] = copy.deepcopy(value)
    return result


def _scalars(items: Any) -> set[Any]:
    """The items of a list of scalars; ApiError 400 for anything else."""
    if not isinstance(items, list) or any(isinstance(item, (list, dict)) for item in items):
        raise bad_request("the patch has something else where a list of scalars is expected")
    return set(items)


def _inner(field: Field | None) -> Definition | None:
    """The definition of a field's struct, or of its items."""
    if field is None:
        return None
    return (field.type.item or field.type).definition


def _merge_list(old: list[Any], new: list[Any], field: Field, order: list[Any] | None) -> list[Any]:
    """`old` joined with `new` by the field's merge key; items named in `order` come first, in that order."""
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in new):
        return [item for item in copy.deepcopy(new) if item.get(_DIRECTIVE) != "replace"]
    if not field.merge_key:  # scalars: the union
        added = _scalars(new) - _scalars(old)
        return _ordered(
            [*old, *(item for item in dict.fromkeys(new) if item in added)], order, lambda item: item
        )
    key = field.merge_key
    result = list(old)
    places: dict[Any, list[int]] = {}  # a key may be there twice, as a port of two protocols is
    for place, item in enumerate(old):
        places.setdefault(item.get(key), []).append(place)
    deleted: set[int] = set()
    for item in new:
        if not isinstance(item, dict) or isinstance(item.get(key, {}), (list, dict)):
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        if item.get(_DIRECTIVE) == "delete":
            deleted.update(places.pop(item[key], ()))
        elif found := places.get(item[key]):
            result[found[0]] = strategic_merge(result[found[0]], item, _inner(field))
        else:
            places[item[key]] = [len(result)]
            result.append(strategic_merge({}, item, _inner(field)))
    result = [item for place, item in enumerate(result) if place not in deleted]
    names = [item.get(key) for item in _structs(order)] if order else None
    return _ordered(result, names, lambda item: item.get(key))


def _structs(items: Any) -> list[Object]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad_request("the patch has something else where a list of objects is expected")
    return items


def _ordered(items: list[Any], order: list[Any] | None, key: Any) -> list[Any]:
    if not order:
        return items
    place = {value: index for index, value in enumerate(order)}
    return sorted(items, key=lambda item: place.get(key(item), len(order)))
