"""Validation of `metadata`: apimachinery, pkg/api/validation/objectmeta.go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

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
_OWNER_FIELDS = frozenset(("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"))
_MANAGED_FIELDS = frozenset(
    ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource")
)
_ANNOTATIONS_LIMIT = 256 << 10
_GENERATED_FROM = 58  # as much of generateName as is kept; five characters follow
_STANDARD_FINALIZERS = {"orphan", "foregroundDeletion", "kubernetes"}

NameRule = Callable[[str], Sequence[str]]


def validate_metadata(
    decoder: Decoder, value: Any, name_rule: NameRule = names.dns_subdomain, path: str = "metadata"
) -> Mapping[str, Any]:
    """Collect in `decoder` what the server refuses; returns the mapping.

    A missing namespace is no error: the request's path supplies it.
    """
    metadata = decoder.mapping(value, path, FIELDS)
    _names(decoder, metadata, name_rule, path)
    decoder.integer(metadata, "generation", path, 64)  # whatever it is, the server sets it
    check_labels(decoder, metadata, "labels", path)
    _annotations(decoder, metadata, path)
    if metadata.get("ownerReferences"):
        _owners(decoder, metadata, path)
    if metadata.get("finalizers"):
        _finalizers(decoder, metadata, path)
    if metadata.get("managedFields"):
        _managed(decoder, metadata, path)
    decoder.integer(metadata, "deletionGracePeriodSeconds", path, 64)
    for key in ("selfLink", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"):
        decoder.string(metadata, key, path)
    return metadata


def check_labels(decoder: Decoder, parent: Mapping[str, Any], key: str, path: str) -> dict[str, str]:
    """Labels, or matchLabels: keys and values. The server names the map; `at` names the label."""
    labels = decoder.string_map(parent, key, path)
    where = f"{path}.{key}"
    for name, value in labels.items():
        for message in names.label_key(name):
            decoder.errors.append(fields.invalid(where, name, message, f"{where}.{name}"))
        for message in names.label_value(value):
            decoder.errors.append(fields.invalid(where, value, message, f"{where}.{name}"))
    return labels


def _names(decoder: Decoder, metadata: Mapping[str, Any], name_rule: NameRule, path: str) -> None:
    errors = decoder.errors
    prefix = decoder.string(metadata, "generateName", path) or ""
    # a generated name goes on after the prefix, so a dash at its end is harmless
    masked = prefix[:-2] + "a" if len(prefix) > 1 and prefix.endswith("-") else prefix
    if prefix:
        errors += [fields.invalid(f"{path}.generateName", prefix, text) for text in name_rule(masked)]
    name = decoder.string(metadata, "name", path)
    if name:
        errors += [fields.invalid(f"{path}.name", name, text) for text in name_rule(name)]
    elif prefix:
        generated = f"{prefix[:_GENERATED_FROM]}00000"
        errors += [fields.invalid(f"{path}.name", generated, text) for text in name_rule(generated)]
    elif metadata.get("name") in (None, ""):
        errors.append(fields.required(f"{path}.name", "name or generateName is required"))
    namespace = decoder.string(metadata, "namespace", path)
    if namespace:
        errors += [fields.invalid(f"{path}.namespace", namespace, t) for t in names.dns_label(namespace)]


def _annotations(decoder: Decoder, metadata: Mapping[str, Any], path: str) -> None:
    annotations = decoder.string_map(metadata, "annotations", path)
    where = f"{path}.annotations"
    for name in annotations:
        for message in names.label_key(name.lower()):
            decoder.errors.append(fields.invalid(where, name, message, f"{where}.{name}"))
    size = sum(len(name.encode()) + len(value.encode()) for name, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        decoder.errors.append(fields.too_long(where, _ANNOTATIONS_LIMIT))


def _owners(decoder: Decoder, metadata: Mapping[str, Any], path: str) -> None:
    """The server names the list and not the item; `at` is the item. It drops what is there twice."""
    controller = ""
    where = f"{path}.ownerReferences"
    seen: list[Any] = []
    for item, at in decoder.items(metadata, "ownerReferences", path):
        if item in seen:
            continue
        seen.append(item)
        owner = decoder.mapping(item, at, _OWNER_FIELDS)
        version = decoder.string(owner, "apiVersion", at) or ""
        found = []
        if not version.rpartition("/")[2]:
            found.append(fields.invalid(f"{where}.apiVersion", version, "version must not be empty", at))
        found += [
            fields.invalid(f"{where}.{key}", "", f"{key} must not be empty", at)
            for key in ("kind", "name", "uid")
            if not decoder.string(owner, key, at)
        ]
        if version == "v1" and owner.get("kind") == "Event":
            found.append(
                fields.invalid(where, owner, "/v1, Kind=Event is disallowed from being an owner", at)
            )
        decoder.errors += found
        decoder.boolean(owner, "blockOwnerDeletion", at)
        if decoder.boolean(owner, "controller", at):
            current = f"{owner.get('kind')}/{owner.get('name')}"
            if controller:
                detail = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {current}'
                )
                decoder.errors.append(fields.invalid(where, metadata["ownerReferences"], detail, at))
            controller = controller or current


def _finalizers(decoder: Decoder, metadata: Mapping[str, Any], path: str) -> None:
    finalizers = decoder.strings(metadata, "finalizers", path)
    where = f"{path}.finalizers"
    for finalizer, at in finalizers:
        decoder.errors += [fields.invalid(where, finalizer, text, at) for text in names.label_key(finalizer)]
    given = [finalizer for finalizer, _ in finalizers]
    if {"orphan", "foregroundDeletion"} <= set(given):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        decoder.errors.append(fields.invalid(where, given, detail))
    for finalizer, at in finalizers:
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            decoder.errors.append(fields.invalid(at, finalizer, detail))


def _managed(decoder: Decoder, metadata: Mapping[str, Any], path: str) -> None:
    for item, where in decoder.items(metadata, "managedFields", path):
        entry = decoder.mapping(item, where, _MANAGED_FIELDS)
        operation = decoder.string(entry, "operation", where) or ""
        if operation not in {"Apply", "Update"}:
            detail = "must be `Apply` or `Update`"
            decoder.errors.append(fields.invalid(f"{where}.operation", operation, detail))
        kind = decoder.string(entry, "fieldsType", where)
        if kind and kind != "FieldsV1":
            decoder.errors.append(fields.invalid(f"{where}.fieldsType", kind, "must be `FieldsV1`"))
