"""The patches of RFC 6902 (JSON patch) and RFC 7386 (merge patch), and the way to the two of Kubernetes."""

from __future__ import annotations

import copy
from typing import Any

from netprobe.lab.api import server_side
from netprobe.lab.api.decode import parse
from netprobe.lab.api.lifecycle import Deletion  # noqa: F401
from netprobe.lab.api.operations import Operations, Subresource, Writer
from netprobe.lab.api.requests import Target
from netprobe.lab.api.schema import definition_of
from netprobe.lab.api.status import ApiError, Cause, bad_request, conflict
from netprobe.lab.api.strategic import strategic_merge
from netprobe.model.objects import Object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def apply(
    operations: Operations,
    target: Target,
    kind: str,
    data: bytes,
    writer: Writer,
    *,
    subresource: Subresource = "",
) -> tuple[Object, bool]:
    """Patch an object; also whether it was created (server-side apply of one that was not there)."""
    if kind == APPLY_PATCH:
        change = parse(data, kind, writer.doubled)
        return server_side.apply(operations, target, change, writer, subresource)
    raw = changed(operations, target, kind, data, writer)
    stored = operations.update(
        target.resource, target.namespace, target.name, raw, writer, subresource=subresource
    )
    return stored, False


def changed(operations: Operations, target: Target, kind: str, data: bytes, writer: Writer) -> Any:
    """The stored object with a patch that says what changes; nothing is stored."""
    if kind not in {JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH}:
        accepted = f"{JSON_PATCH}, {MERGE_PATCH}, {STRATEGIC_MERGE_PATCH}, {APPLY_PATCH}"
        text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        raise ApiError(415, "UnsupportedMediaType", text)
    resource = target.resource
    change = parse(data, kind, writer.doubled)
    old = operations.get(resource, target.namespace, target.name).object
    if kind == JSON_PATCH:
        raw = json_patch(old, change)
    elif not isinstance(change, dict):
        raise bad_request("the patch is not an object")
    elif kind == MERGE_PATCH:
        raw = merge(old, change)
    else:
        raw = strategic_merge(old, change, definition_of(resource.group, resource.kind))
    given = raw["metadata"].get("resourceVersion")
    if given and given != old["metadata"]["resourceVersion"]:
        raise conflict(resource, target.name)
    return raw


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


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; ApiError 422 where a step cannot be done, 400 where the patch is none."""
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
        )
    result = copy.deepcopy(target)
    for step in operations:
        try:
            result = _step(result, step)
        except (KeyError, IndexError, ValueError, TypeError) as e:
            raise _impossible(f"{step.get('op', '')} operation does not apply: {e}") from e
    return result


def _impossible(why: str) -> ApiError:
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, causes=[Cause("", why, "UnexpectedServerResponse")])


def _step(doc: Any, step: dict[str, Any]) -> Any:
    path = _pointer(step["path"])
    match step["op"]:
        case "add":
            return _add(doc, path, step["value"])
        case "remove":
            return _remove(doc, path)
        case "replace":
            _get(doc, path)
            return step["value"] if not path else _add(_remove(doc, path), path, step["value"])
        case "move":
            source = _pointer(step["from"])
            value = _get(doc, source)
            return _add(_remove(doc, source), path, value)
        case "copy":
            return _add(doc, path, copy.deepcopy(_get(doc, _pointer(step["from"]))))
        case "test":
            if _get(doc, path) != step["value"]:
                raise ValueError(f"testing value {step['path']} failed: test failed")
            return doc
        case other:
            raise ValueError(f"unexpected kind: {other}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError(f"path {text!r} does not begin with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _get(doc: Any, path: list[str]) -> Any:
    for step in path:
        doc = doc[_index(step, len(doc) - 1)] if isinstance(doc, list) else doc[step]
    return doc


def _index(text: str, last: int) -> int:
    number = int(text)
    if not 0 <= number <= last:
        raise IndexError(f"Unable to access invalid index: {text}: invalid index referenced")
    return number


def _add(doc: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent = _get(doc, path[:-1])
    if isinstance(parent, list):
        at = len(parent) if path[-1] == "-" else _index(path[-1], len(parent))
        parent.insert(at, value)
    elif isinstance(parent, dict):
        parent[path[-1]] = value
    else:
        raise TypeError(f"{path[-1]!r} has no parent to be added to")
    return doc


def _remove(doc: Any, path: list[str]) -> Any:
    parent = _get(doc, path[:-1])
    if isinstance(parent, list):
        del parent[_index(path[-1], len(parent) - 1)]
    else:
        del parent[path[-1]]
    return doc
