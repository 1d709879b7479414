"""Names, labels and annotations: what may be written where (apimachinery's pkg/util/validation)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.resources import NAMESPACES, SERVICES, Resource
from netprobe.lab.api.status import Cause

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_DNS_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"

LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
DNS_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    f"validation is '{_DNS_1035}')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{_QUALIFIED}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
    f"for validation is '{_VALUE}')"
)


def label_problems(name: str) -> Iterator[str]:
    """RFC 1123 label."""
    yield from _problems(name, _LABEL, 63, LABEL_TEXT)


def subdomain_problems(name: str) -> Iterator[str]:
    """RFC 1123 subdomain."""
    yield from _problems(name, _SUBDOMAIN, 253, SUBDOMAIN_TEXT)


def _problems(text: str, pattern: str, longest: int, sentence: str) -> Iterator[str]:
    if len(text) > longest:
        yield f"must be no more than {longest} characters"
    if not re.fullmatch(pattern, text):
        yield sentence


def qualified_problems(key: str) -> Iterator[str]:
    """A label or annotation key: [prefix/]name."""
    prefix, slash, name = key.rpartition("/")
    if slash:
        if not prefix:
            yield "prefix part must be non-empty"
        else:
            yield from (f"prefix part {problem}" for problem in subdomain_problems(prefix))
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 characters"
    if not re.fullmatch(_QUALIFIED, name):
        yield _QUALIFIED_TEXT


def label_value_problems(value: str) -> Iterator[str]:
    yield from _problems(value, _VALUE, 63, _VALUE_TEXT)


def check_labels(labels: Mapping[str, str], path: str) -> Iterator[Cause]:
    for key, value in labels.items():
        yield from (invalid(path, key, problem) for problem in qualified_problems(key))
        yield from (invalid(path, value, problem) for problem in label_value_problems(value))


def invalid(path: str, value: Any, problem: str) -> Cause:
    return Cause(path, f"Invalid value: {quoted(value)}: {problem}")


def required(path: str, problem: str = "") -> Cause:
    return Cause(path, f"Required value: {problem}" if problem else "Required value", "FieldValueRequired")


def unsupported(path: str, value: Any, supported: tuple[str, ...]) -> Cause:
    listed = ", ".join(f'"{item}"' for item in supported)
    text = f"Unsupported value: {quoted(value)}: supported values: {listed}"
    return Cause(path, text, "FieldValueNotSupported")


def quoted(value: Any) -> str:
    """A value as Go's validation prints it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{quoted(k)}:{quoted(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(quoted, value)) + "]"
    return str(value)


def check_metadata(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[Cause]:
    """The parts of an object's metadata that a client writes."""
    name = metadata["name"]
    if resource.group == "rbac.authorization.k8s.io":
        if "/" in name or "%" in name:
            yield invalid("metadata.name", name, "may not contain '/' or '%'")
    elif resource is SERVICES:
        for problem in _problems(name, _DNS_1035, 63, DNS_1035_TEXT):
            yield invalid("metadata.name", name, problem)
    else:
        check = label_problems if resource is NAMESPACES else subdomain_problems
        yield from (invalid("metadata.name", name, problem) for problem in check(name))
    yield from check_labels(metadata.get("labels") or {}, "metadata.labels")
    yield from _check_annotations(metadata)
    yield from _check_owners(metadata)


def _check_annotations(metadata: Mapping[str, Any]) -> Iterator[Cause]:
    annotations = metadata.get("annotations") or {}
    for key in annotations:
        yield from (
            invalid("metadata.annotations", key, problem) for problem in qualified_problems(key.lower())
        )
    if sum(len(k) + len(v) for k, v in annotations.items()) > 256 * 1024:
        text = "Too long: may not be more than 262144 bytes"
        yield Cause("metadata.annotations", text, "FieldValueTooLong")
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if "/" not in finalizer and finalizer not in {"orphan", "foregroundDeletion", "kubernetes"}:
            path = f"metadata.finalizers[{index}]"
            yield invalid(
                path, finalizer, "name is neither a standard finalizer name nor is it fully qualified"
            )


def _check_owners(metadata: Mapping[str, Any]) -> Iterator[Cause]:
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                path = f"metadata.ownerReferences[{index}].{field}"
                yield invalid(path, "", "must not be empty")
    owners = metadata.get("ownerReferences") or ()
    if sum(owner.get("controller") is True for owner in owners) > 1:
        yield invalid(
            "metadata.ownerReferences", list(owners), "Only one reference can have Controller set to true"
        )


def check_selector(selector: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """A LabelSelector (apimachinery's pkg/apis/meta/v1/validation)."""
    yield from check_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        place = f"{path}.matchExpressions[{index}]"
        operator, values = term.get("operator"), term.get("values") or ()
        if operator in {"In", "NotIn"}:
            if not values:
                yield required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in {"Exists", "DoesNotExist"}:
            if values:
                text = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield Cause(f"{place}.values", text, "FieldValueForbidden")
        else:
            yield invalid(f"{place}.operator", operator or "", "not a valid selector operator")
        yield from (
            invalid(f"{place}.key", term.get("key", ""), problem)
            for problem in qualified_problems(term.get("key", ""))
        )
        for at, value in enumerate(values):
            yield from (
                invalid(f"{place}.values[{at}]", value, problem) for problem in label_value_problems(value)
            )
