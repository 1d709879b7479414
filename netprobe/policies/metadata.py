"""Metadata and label selectors of API objects: read, checked and written.

The rules for metadata are those of apimachinery, pkg/api/validation/objectmeta.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netprobe.model.labels import Operator, Requirement, Selector
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder

FIELDS = frozenset(
    (
        "name",
        "generateName",
        "namespace",
        "selfLink",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "ownerReferences",
        "finalizers",
        "managedFields",
    )
)
_ANNOTATIONS_LIMIT = 256 << 10
"""Bytes of all annotations together."""
_GENERATED_FROM = 58
"""Characters of generateName that the server keeps; five characters follow."""

NameRule = Callable[[str], Sequence[str]]


def validate_metadata(
    decoder: Decoder, value: Any, name_rule: NameRule = names.dns_subdomain
) -> Mapping[str, Any]:
    """Collect in `decoder` what the server refuses; returns the mapping.

    A missing namespace is not an error: the request's path supplies it. Owners, finalizers and managed fields
    do not affect a policy and are not checked.
    """
    metadata = decoder.mapping(value, "metadata", FIELDS)
    read_names(decoder, metadata, name_rule)
    check_labels(decoder, metadata, "labels", "metadata")
    _check_annotations(decoder, metadata)
    return metadata


def name_of(metadata: Mapping[str, Any]) -> str:
    """The name of an object; for one that only has a `generateName`, a name as the server may make it."""
    return metadata.get("name") or f"{metadata.get('generateName', '')}00000"


def check_labels(decoder: Decoder, parent: Mapping[str, Any], key: str, path: str) -> dict[str, str]:
    """Labels or matchLabels, checked. `path` of an error is that of the mapping, `at` that of the label."""
    labels = decoder.string_map(parent, key, path)
    where = f"{path}.{key}"
    for name, value in labels.items():
        for message in names.label_key(name):
            decoder.errors.append(fields.invalid(where, name, message, f"{where}.{name}"))
        for message in names.label_value(value):
            decoder.errors.append(fields.invalid(where, value, message, f"{where}.{name}"))
    return labels


def read_names(decoder: Decoder, metadata: Mapping[str, Any], name_rule: NameRule) -> tuple[str, str, str]:
    """Name, generateName and namespace, "" if absent; what the server refuses is collected in `decoder`."""
    errors = decoder.errors
    prefix = decoder.string(metadata, "generateName", "metadata") or ""
    # more characters follow a prefix, so it may end with a dash
    masked = prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
    if prefix:
        errors += [fields.invalid("metadata.generateName", prefix, text) for text in name_rule(masked)]
    name = decoder.string(metadata, "name", "metadata")
    if name:
        errors += [fields.invalid("metadata.name", name, text) for text in name_rule(name)]
    elif prefix:
        generated = f"{prefix[:_GENERATED_FROM]}00000"
        errors += [fields.invalid("metadata.name", generated, text) for text in name_rule(generated)]
    elif metadata.get("name") in (None, ""):
        errors.append(fields.required("metadata.name", "name or generateName is required"))
    namespace = decoder.string(metadata, "namespace", "metadata") or ""
    if namespace:
        errors += [fields.invalid("metadata.namespace", namespace, t) for t in names.dns_label(namespace)]
    return name or "", prefix, namespace


def _check_annotations(decoder: Decoder, metadata: Mapping[str, Any]) -> None:
    annotations = decoder.string_map(metadata, "annotations", "metadata")
    where = "metadata.annotations"
    for name in annotations:
        for message in names.label_key(name.lower()):
            decoder.errors.append(fields.invalid(where, name, message, f"{where}.{name}"))
    size = sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        decoder.errors.append(fields.too_long(where, _ANNOTATIONS_LIMIT))


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
