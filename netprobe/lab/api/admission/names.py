"""Names, labels and selectors: what may be written where (apimachinery's pkg/util/validation)."""

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

_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    f"'{_LABEL}')"
)
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    f"'{_SUBDOMAIN}')"
)
_DNS_1035_TEXT = (
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
    """What keeps a text from being an RFC 1123 label."""
    yield from _problems(name, _LABEL, 63, _LABEL_TEXT)


def _problems(text: str, pattern: str, longest: int, sentence: str) -> Iterator[str]:
    if len(text) > longest:
        yield f"must be no more than {longest} characters"
    if not re.fullmatch(pattern, text):
        yield sentence


def qualified_problems(key: str) -> Iterator[str]:
    """What keeps a text from being a label key: [prefix/]name."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        yield "prefix part must be non-empty"
    elif slash:
        problems = _problems(prefix, _SUBDOMAIN, 253, _SUBDOMAIN_TEXT)
        yield from (f"prefix part {problem}" for problem in problems)
    if not name:
        yield "name part must be non-empty"
    elif len(name) > 63:
        yield "name part must be no more than 63 characters"
    if not re.fullmatch(_QUALIFIED, name):
        yield _QUALIFIED_TEXT


def check_labels(labels: Mapping[str, str], path: str) -> Iterator[Cause]:
    for key, value in labels.items():
        yield from (invalid(path, key, problem) for problem in qualified_problems(key))
        problems = _problems(value, _VALUE, 63, _VALUE_TEXT)
        yield from (invalid(path, value, problem) for problem in problems)


def invalid(path: str, value: Any, problem: str) -> Cause:
    return Cause(path, f"Invalid value: {quoted(value)}: {problem}")


def required(path: str, problem: str = "") -> Cause:
    return Cause(path, f"Required value: {problem}" if problem else "Required value", "FieldValueRequired")


def duplicate(path: str, value: str) -> Cause:
    return Cause(path, f'Duplicate value: "{value}"', "FieldValueDuplicate")


def unsupported(path: str, value: Any, supported: tuple[str, ...]) -> Cause:
    listed = ", ".join(f'"{item}"' for item in supported)
    text = f"Unsupported value: {quoted(value)}: supported values: {listed}"
    return Cause(path, text, "FieldValueNotSupported")


def quoted(value: Any) -> str:
    """A value as Go's validation prints it."""
    match value:
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case bool():
            return str(value).lower()
        case Mapping():
            return "{" + ",".join(f"{quoted(k)}:{quoted(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(quoted, value)) + "]"
    return str(value)


def check_metadata(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[Cause]:
    """The name, the labels, and the owners, which the garbage collector follows by uid."""
    name = metadata["name"]
    if resource.group == "rbac.authorization.k8s.io":
        problems = iter(["may not contain '/' or '%'"] if set(name) & set("/%") else [])
    elif resource is SERVICES:
        problems = _problems(name, _DNS_1035, 63, _DNS_1035_TEXT)
    elif resource is NAMESPACES:
        problems = label_problems(name)
    else:
        problems = _problems(name, _SUBDOMAIN, 253, _SUBDOMAIN_TEXT)
    yield from (invalid("metadata.name", name, problem) for problem in problems)
    yield from check_labels(metadata.get("labels") or {}, "metadata.labels")
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                yield invalid(f"metadata.ownerReferences[{index}].{field}", "", "must not be empty")


def check_selector(selector: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """A LabelSelector (apimachinery's pkg/apis/meta/v1/validation)."""
    yield from check_labels(selector.get("matchLabels") or {}, f"{path}.matchLabels")
    for index, term in enumerate(selector.get("matchExpressions") or ()):
        place = f"{path}.matchExpressions[{index}]"
        operator, values = term.get("operator"), term.get("values") or ()
        if operator not in {"In", "NotIn", "Exists", "DoesNotExist"}:
            yield invalid(f"{place}.operator", operator or "", "not a valid selector operator")
        if operator in {"In", "NotIn"} and not values:
            yield required(f"{place}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        if operator in {"Exists", "DoesNotExist"} and values:
            text = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield Cause(f"{place}.values", text, "FieldValueForbidden")
        key = term.get("key", "")
        yield from (invalid(f"{place}.key", key, problem) for problem in qualified_problems(key))
