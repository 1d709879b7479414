"""Strategic merge patch: a merge patch that joins lists by key where the type says so."""

from __future__ import annotations

import copy
from typing import Any

from netprobe.lab.api.schema import Definition, Field, Type
from netprobe.lab.api.status import bad_request

_DIRECTIVE = "$patch"
_RETAIN = "$retainKeys"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge(target: Any, patch: dict[str, Any], definition: Definition | None) -> dict[str, Any]:
    """The patched object; `definition` None where the fields are not known (a plain merge then)."""
    if patch.get(_DIRECTIVE) == "replace":
        return copy.deepcopy({k: v for k, v in patch.items() if k != _DIRECTIVE})
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    result = dict(target) if isinstance(target, dict) else {}
    if isinstance(retained := patch.get(_RETAIN), list):
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key in {_DIRECTIVE, _RETAIN} or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            result[name] = [item for item in result.get(name) or [] if item not in value]
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


def _inner(field: Field | None) -> Definition | None:
    if field is None:
        return None
    type_: Type = field.type.item if field.type.item is not None else field.type
    return type_.definition


def _merge_list(old: list[Any], new: list[Any], field: Field, order: list[Any] | None) -> list[Any]:
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in new):
        return [item for item in copy.deepcopy(new) if item.get(_DIRECTIVE) != "replace"]
    if not field.merge_key:  # scalars: a union
        result = [*old, *(item for item in new if item not in old)]
        return _ordered(result, order, lambda item: item)
    key = field.merge_key
    result = list(old)
    for item in new:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next((i for i, other in enumerate(result) if other.get(key) == item[key]), None)
        if item.get(_DIRECTIVE) == "delete":
            result = [other for other in result if other.get(key) != item[key]]
        elif at is None:
            result.append(strategic_merge({}, item, _inner(field)))
        else:
            result[at] = strategic_merge(result[at], item, _inner(field))
    return _ordered(result, [item.get(key) for item in order] if order else None, lambda item: item.get(key))


def _ordered(items: list[Any], order: list[Any] | None, key: Any) -> list[Any]:
    """Items that the patch orders stand in that order; the others keep their places behind."""
    if not order:
        return items
    place = {value: index for index, value in enumerate(order)}
    return sorted(items, key=lambda item: place.get(key(item), len(order)))
