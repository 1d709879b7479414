"""A change of objects as data, and a suggestion: a change with its text and its side effects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from netprobe.model.flow import Family, Flow, Protocol
from netprobe.model.policy import Origin, Place
from netprobe.model.verdict import Verdict

Operation: TypeAlias = Mapping[str, Any]
"""One operation of a JSON Patch (RFC 6902), with paths relative to the object."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Change some fields of an object. `name` is "namespace/name", or "name" for cluster-scoped kinds.

    `origin` is where the object was read; None for an object of a live cluster. `group` is the API group that
    serves the object, if it is not that of `kind`.
    """

    kind: str
    name: str
    operations: tuple[Operation, ...]
    origin: Origin | None = None
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """Create an object, or replace the one of that kind and name.

    `beside` is an object in whose file this one may be written; None without such a file.
    """

    object: Mapping[str, Any]
    beside: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object."""

    kind: str
    name: str
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SetLabels:
    """Set labels of a Namespace ("shop"), or of a Pod ("shop/web") and its replicas.

    `patch` does the same in the file that describes the namespace or pod; None without a file.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    patch: Patch | None = field(default=None, compare=False)


ObjectChange: TypeAlias = Patch | Apply | Delete | SetLabels


def pointer(*keys: str | int) -> str:
    """A JSON Pointer (RFC 6901): ("spec", "ingress", 0) is "/spec/ingress/0". "-" is the end of a list."""
    return str(JsonPointer.from_parts(keys).path)


def value_at(value: Any, keys: tuple[str | int, ...]) -> Any:
    """What `keys` lead to; None for nothing."""
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def setting(value: Any, keys: tuple[str | int, ...], new: object) -> Operation:
    """The operation that sets what `keys` lead to, with the mappings above it that are missing or null."""
    for index, key in enumerate(keys):
        inner = value.get(key) if isinstance(value, Mapping) else value[key]
        if inner is None:
            for name in reversed(keys[index + 1 :]):
                new = {name: new}
            return {"op": "add", "path": pointer(*keys[: index + 1]), "value": new}
        value = inner
    return {"op": "replace", "path": pointer(*keys), "value": new}


def patched(value: Any, operations: tuple[Operation, ...]) -> Any:
    """A copy of plain data with the operations applied. ValueError if a path does not exist."""
    try:
        return jsonpatch.apply_patch(value, [dict(operation) for operation in operations])
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise ValueError(str(error)) from error


SUITE = "ConnectivitySuite"


@dataclass(frozen=True, slots=True)
class SuggestedEdit:
    """One thing to change. `path` is inside the object that `target` names."""

    target: str
    path: str
    text: str
    change: ObjectChange
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Flows that change alike, from ends that behave alike to ends that behave alike: "shop/cart +3".

    `port` None: every port that is named nowhere. `resolved`: how many of them become as declared.
    """

    source: str
    destination: str
    port: int | None
    protocol: Protocol
    family: Family | None
    flows: int
    resolved: int = 0

    def __str__(self) -> str:
        port = "other ports" if self.port is None else str(self.port)
        protocol = "" if self.protocol is Protocol.TCP else f"/{self.protocol.value}"
        family = f" IPv{self.family}" if self.family else ""
        return f"{self.source} -> {self.destination} {port}{protocol}{family}"


@dataclass(frozen=True, slots=True)
class SideEffects:
    """What a change opens and closes: the first groups of flows, and the number of all flows.

    `opens_resolved` and `closes_resolved` of these become as declared.
    """

    opens: tuple[SideEffect, ...] = ()
    closes: tuple[SideEffect, ...] = ()
    opens_count: int = 0
    closes_count: int = 0
    opens_resolved: int = 0
    closes_resolved: int = 0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Edits that change the verdict of a flow to `verdict`.

    They have been simulated, and contradict no declared flow. `effects` are on the other
    flows. `resolves`: the flows that become as declared, as ends, port and protocol.
    """

    verdict: Verdict
    edits: tuple[SuggestedEdit, ...]
    effects: SideEffects = SideEffects()
    resolves: tuple[Flow, ...] = ()

    @property
    def aim(self) -> str:
        return "to be allowed" if self.verdict is Verdict.ALLOW else "to be denied"

    @property
    def text(self) -> str:
        return " and ".join(edit.text for edit in self.edits)

    @property
    def changes(self) -> tuple[ObjectChange, ...]:
        return ordered(self.edits)


def ordered(edits: Iterable[SuggestedEdit]) -> tuple[ObjectChange, ...]:
    """The changes one after the other: those of one object from its end, so that no index moves."""
    by_target: dict[str, list[SuggestedEdit]] = {}
    for edit in edits:
        by_target.setdefault(edit.target, []).append(edit)
    return tuple(
        edit.change
        for own in by_target.values()
        for edit in sorted(own, key=lambda edit: _position(edit.path), reverse=True)
    )


def _position(path: str) -> list[tuple[int, str]]:
    """A path such as "spec.ingress[10].from[2]" in a form that sorts by position."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.findall(r"[^.\[\]]+", path)]


def fix_document(suggestion: Suggestion | None) -> dict[str, Any] | None:
    """The suggestion as `fix` in every JSON document; null without one."""
    if suggestion is None:
        return None
    return fix_fields(suggestion.text, suggestion.changes, suggestion.effects)


def fix_fields(
    summary: str, changes: Iterable[ObjectChange], effects: SideEffects = SideEffects()
) -> dict[str, Any]:
    """The same for changes that are not for one flow."""
    return {
        "summary": summary,
        "changes": [change_document(change) for change in changes],
        "also_opens": [_effect(effect) for effect in effects.opens],
        "also_closes": [_effect(effect) for effect in effects.closes],
        "also_opens_count": effects.opens_count,
        "also_closes_count": effects.closes_count,
    }


def change_document(change: ObjectChange) -> dict[str, Any]:
    """A change, with exactly one key. Labels of pods are a patch, unless a suite's topology has the pods."""
    match change:
        case Patch(kind, name, operations, origin):
            fields: Mapping[str, Any] = {
                "kind": kind,
                "name": name,
                "file": origin.file if origin is not None else None,
                "line": origin.line if origin is not None else None,
                "ops": [dict(operation) for operation in operations],
            }
            return {"patch": fields}
        case SetLabels("Namespace", name, labels):
            return {"label": {"namespace": name, "set": dict(labels)}}
        case SetLabels(_, _, _, Patch() as patch) if patch.kind != SUITE:
            return change_document(patch)
        case SetLabels(_, name, labels):
            return {"label": {"pod": name, "set": dict(labels)}}
        case Apply(obj):
            return {"apply": dict(obj)}
        case Delete(kind, name):
            return {"delete": {"kind": kind, "name": name}}


def _effect(effect: SideEffect) -> dict[str, Any]:
    return {
        "from": effect.source,
        "to": effect.destination,
        "port": effect.port,
        "protocol": effect.protocol.value,
        "family": effect.family,
        "flows": effect.flows,
    }
