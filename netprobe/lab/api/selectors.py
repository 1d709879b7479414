"""Label and field selectors: those of a query string, and the LabelSelector inside a stored object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netprobe.lab.api.status import bad_request
from netprobe.model.labels import Operator, Requirement, Selector
from netprobe.model.objects import ReadOnlyObject
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import read_selector

Test = Callable[[ReadOnlyObject], bool]

_SET = re.compile(r"\s*([^\s!=,()<>]+)\s+(in|notin)\s*\(([^()]*)\)\s*")
_PAIR = re.compile(r"\s*([^\s!=,()<>]+)\s*(==|!=|=)\s*([^\s!=,()<>]*)\s*")
_KEY = re.compile(r"\s*(!?)\s*([^\s!=,()<>]+)\s*")
_FIELD = re.compile(r"([^=!]+)(==|!=|=)(.*)")
_EVENT_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS = {
    *("metadata.name", "metadata.namespace", "status.phase", "status.podIP", "reason", "type"),
    *("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName"),
    *("spec.hostNetwork", "spec.unschedulable", "reportingComponent"),
    *(f"involvedObject.{name}" for name in _EVENT_FIELDS),
}
_FALSE = {"spec.hostNetwork", "spec.unschedulable"}  # what they are if they are not set


def selector_of(workload: ReadOnlyObject) -> Selector | None:
    """The selector of a stored object; None selects nothing."""
    selector = workload["spec"].get("selector")
    return None if selector is None else read_selector(Decoder(strict=False), selector, "spec.selector")


def render(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as kubectl prints it; "<none>" if it is empty."""
    read = read_selector(Decoder(strict=False), selector, "")
    return str(read) if read != Selector() else "<none>"


def parse_labels(text: str) -> Test:
    """A labelSelector parameter: "a=b,c!=d,e in (f,g),h notin (i),j,!k"."""
    requirements = tuple(_requirement(part, text) for part in _terms(text))
    selector = Selector(requirements=requirements)
    return lambda obj: selector.matches(obj["metadata"].get("labels") or {})


def _terms(text: str) -> Iterator[str]:
    """The parts between commas that are not inside parentheses."""
    start, inside = 0, False
    for at, char in enumerate(text):
        if char in "()":
            inside = char == "("
        elif char == "," and not inside:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _requirement(part: str, whole: str) -> Requirement:
    if found := _SET.fullmatch(part):
        values = tuple(value.strip() for value in found[3].split(","))
        return Requirement(found[1], Operator.IN if found[2] == "in" else Operator.NOT_IN, values)
    if found := _PAIR.fullmatch(part):
        return Requirement(found[1], Operator.NOT_IN if found[2] == "!=" else Operator.IN, (found[3],))
    if found := _KEY.fullmatch(part):
        return Requirement(found[2], Operator.DOES_NOT_EXIST if found[1] else Operator.EXISTS)
    raise bad_request(f'unable to parse requirement: found {part!r} in "{whole}"')


def parse_fields(text: str) -> Test:
    """A fieldSelector parameter: the terms "a=b", "a==b", "a!=b", all of which must hold."""
    terms: list[tuple[str, bool, str]] = []
    for part in filter(None, text.split(",")):
        found = _FIELD.fullmatch(part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if found[1] not in _FIELDS:
            raise bad_request(f"field label not supported: {found[1]}")
        terms.append((found[1], found[2] != "!=", found[3]))
    return lambda obj: all((_field(obj, path) == value) is equal for path, equal, value in terms)


def _field(obj: Any, path: str) -> str:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if obj is None:
        return "false" if path in _FALSE else ""
    return str(obj).lower() if isinstance(obj, bool) else str(obj)
