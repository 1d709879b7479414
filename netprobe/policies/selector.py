"""Label selectors of the API (metav1.LabelSelector): reading, validating and writing them."""

from __future__ import annotations

from typing import Any

from netprobe.model.labels import Operator, Requirement, Selector
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels

_SELECTOR = frozenset(("matchLabels", "matchExpressions"))
_REQUIREMENT = frozenset(("key", "operator", "values"))


def read_selector(decoder: Decoder, value: Any, path: str) -> Selector:
    """The selector at `path`; null and {} select everything. Errors are collected in `decoder`."""
    selector = decoder.mapping(value, path, _SELECTOR)
    labels = check_labels(decoder, selector, "matchLabels", path)
    found = (
        _requirement(decoder, item, where)
        for item, where in decoder.items(selector, "matchExpressions", path)
    )
    return Selector.of(labels, *(requirement for requirement in found if requirement is not None))


def _requirement(decoder: Decoder, value: Any, path: str) -> Requirement | None:
    requirement = decoder.mapping(value, path, _REQUIREMENT)
    errors = decoder.errors
    name = decoder.string(requirement, "operator", path) or ""
    values = decoder.strings(requirement, "values", path)
    operator = None
    match name:
        case "In" | "NotIn":
            operator = Operator(name)
            if not values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(fields.required(f"{path}.values", detail))
        case "Exists" | "DoesNotExist":
            operator = Operator(name)
            if values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(fields.forbidden(f"{path}.values", detail))
        case _:
            errors.append(fields.invalid(f"{path}.operator", name, "not a valid selector operator"))
    key = decoder.string(requirement, "key", path) or ""
    errors += [fields.invalid(f"{path}.key", key, text) for text in names.label_key(key)]
    for text, where in values:
        errors += [fields.invalid(where, text, message) for message in names.label_value(text)]
    return Requirement(key, operator, tuple(text for text, _ in values)) if operator else None


def dump_selector(selector: Selector) -> dict[str, Any]:
    """The selector as the API writes it."""
    result: dict[str, Any] = {}
    if selector.match_labels:
        result["matchLabels"] = dict(selector.match_labels)
    if selector.requirements:
        result["matchExpressions"] = [
            {"key": item.key, "operator": item.operator.value}
            | ({"values": list(item.values)} if item.values else {})
            for item in selector.requirements
        ]
    return result
