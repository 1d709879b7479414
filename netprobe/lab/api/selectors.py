"""Label and field selectors: those of a query string, and the LabelSelector inside an object.

The lab does not import the simulator: their agreement is evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netprobe.lab.api.resources import EVENTS, NAMESPACES, NODES, PODS, Resource
from netprobe.lab.api.status import bad_request

Labels = Mapping[str, str]
Test = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^\s*([^\s!=,()<>]+)\s+(in|notin)\s*\(([^()]*)\)\s*$")
_PAIR = re.compile(r"^\s*([^\s!=,()<>]+)\s*(==|!=|=|<|>)\s*([^\s!=,()<>]*)\s*$")
_KEY = re.compile(r"^\s*(!?)\s*([^\s!=,()<>]+)\s*$")


def matches(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Does a LabelSelector match? None matches nothing, {} everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], term.get("values") or ()
        match term["operator"]:
            case "In":
                holds = key in labels and labels[key] in values
            case "NotIn":
                holds = key not in labels or labels[key] not in values
            case "Exists":
                holds = key in labels
            case _:
                holds = key not in labels
        if not holds:
            return False
    return True


def selector_of(workload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The selector of a workload."""
    selector: Mapping[str, Any] | None = workload["spec"].get("selector")
    return selector


def render(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector as kubectl prints it: "a=b,c in (d,e),!f"; "<none>" if it is empty."""
    if not selector:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        key, values = term["key"], ",".join(sorted(term.get("values") or ()))
        match term["operator"]:
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case _:
                parts.append(f"!{key}")
    return ",".join(parts) or "<none>"


def parse_labels(text: str) -> Test:
    """A labelSelector parameter: "a=b,c!=d,e in (f,g),h notin (i),j,!k"."""
    tests = [_label_test(part, text) for part in _terms(text)]

    def test(obj: Mapping[str, Any]) -> bool:
        labels = obj["metadata"].get("labels") or {}
        return all(holds(labels) for holds in tests)

    return test


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


def _label_test(part: str, whole: str) -> Callable[[Labels], bool]:
    if found := _SET.match(part):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda labels: key in labels and labels[key] in values
        return lambda labels: key not in labels or labels[key] not in values
    if found := _PAIR.match(part):
        key, operator, value = found.groups()
        if operator in {"=", "=="}:
            return lambda labels: labels.get(key) == value
        if operator == "!=":
            return lambda labels: labels.get(key) != value
    elif found := _KEY.match(part):
        absent, key = found.groups()
        return lambda labels: (key in labels) is not bool(absent)
    raise bad_request(f'unable to parse requirement: found {part!r} in "{whole}"')


_COMMON = {"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
_MORE: dict[Resource, dict[str, str]] = {
    PODS: {
        path: path
        for path in (
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        )
    },
    NAMESPACES: {"status.phase": "status.phase", "name": "metadata.name"},
    NODES: {"spec.unschedulable": "spec.unschedulable"},
    EVENTS: {
        **{
            f"involvedObject.{field}": f"involvedObject.{field}"
            for field in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
        },
        "reason": "reason",
        "type": "type",
        "source": "source.component",
        "reportingComponent": "reportingComponent",
    },
}
_DEFAULTS = {"spec.hostNetwork": "false", "spec.unschedulable": "false"}


def parse_fields(text: str, resource: Resource) -> Test:
    """A fieldSelector parameter: the terms "a=b", "a==b", "a!=b", all of which must hold."""
    supported = {**_COMMON, **_MORE.get(resource, {})}
    terms: list[tuple[tuple[str, ...], bool, str, str]] = []
    for part in filter(None, text.split(",")):
        found = re.match(r"^([^=!]+)(==|!=|=)(.*)$", part)
        if found is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        field, operator, value = found.groups()
        if field not in supported:
            only = '"metadata.name", "metadata.namespace"'
            unknown = f'"{field}" is not a known field selector: only {only}'
            raise bad_request(f"field label not supported: {field}" if resource in _MORE else unknown)
        terms.append((tuple(supported[field].split(".")), operator != "!=", value, _DEFAULTS.get(field, "")))

    def test(obj: Mapping[str, Any]) -> bool:
        return all((_read(obj, path, missing) == value) is equal for path, equal, value, missing in terms)

    return test


def _read(obj: Any, path: tuple[str, ...], missing: str) -> str:
    for step in path:
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if obj is None:
        return missing
    return str(obj).lower() if isinstance(obj, bool) else str(obj)
