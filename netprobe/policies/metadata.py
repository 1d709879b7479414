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
