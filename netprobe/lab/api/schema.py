"""The fields of the API's kinds, read from schema.yaml, whose header explains the notation.

One table serves decoding (`ObjectDecoder`), protobuf and strategic merge patch. As in the real server, a
field of the wrong type is an error. An unknown field, or one that is given twice, is dropped with a warning,
or is an error with fieldValidation=Strict. What the server's encoder leaves out (nulls, empty lists and maps,
zeros that are not pointers) is left out: `ingress: []` becomes absent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from netprobe.lab.api.resources import Resource
from netprobe.lab.api.status import bad_request
from netprobe.policies.fields import type_name

SCALARS = {"string", "int", "bool", "bytes", "time", "quantity", "int-or-string", "any"}


@dataclass(frozen=True, slots=True)
class Type:
    """A scalar or a definition by `name`, or a list ("[]") or map ("{}") of `item`."""

    name: str
    item: Type | None = None

    @classmethod
    def parse(cls, text: str) -> Type:
        for prefix in ("[]", "{}"):
            if text.startswith(prefix):
                return cls(prefix, cls.parse(text[2:]))
        return cls(text)

    def __str__(self) -> str:
        return f"{self.name}{self.item or ''}"

    @property
    def definition(self) -> Definition | None:
        return None if self.item is not None or self.name in SCALARS else definition(self.name)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a definition.

    `pointer`: zero differs from absence. `merge_key` None: a strategic merge patch replaces the list;
    "": it joins a list of scalars. `number` is protobuf's: (outer, inner) if a struct is inlined in JSON.
    """

    type: Type
    required: bool = False
    present: bool = False
    default: str | None = None
    pointer: bool = False
    merge_key: str | None = None
    number: tuple[int, int] = (0, 0)

    @classmethod
    def parse(cls, text: str) -> Field:
        first, *words = text.split()
        values = dict(word.partition("=")[::2] for word in words)
        outer, _, inner = values.get("no", "").partition(".")
        return cls(
            Type.parse(first),
            required="required" in values,
            present="present" in values,
            default=values.get("default"),
            pointer="pointer" in values,
            merge_key=values.get("merge"),
            number=(int(outer or 0), int(inner or 0)),
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """A struct of the API, such as "PodSpec". `keeps_others`: fields that are not listed are stored."""

    name: str
    fields: dict[str, Field] = field(default_factory=dict)
    keeps_others: bool = False

    @property
    def numbered(self) -> dict[tuple[int, int], tuple[str, Field]]:
        """Name and field by protobuf number; (outer, 0) if nothing is inlined."""
        return {item.number: (name, item) for name, item in self.fields.items() if item.number[0]}


@cache
def _source() -> dict[str, dict[str, str]]:
    text = files("netprobe.lab.api").joinpath("schema.yaml").read_text()
    loaded: dict[str, dict[str, str]] = yaml.load(text, yaml.CSafeLoader)
    return loaded


@cache
def definition(name: str) -> Definition:
    """A definition by name; KeyError if there is none."""
    lines = dict(_source()[name])
    fields = dict(definition(lines.pop("(like)")).fields) if "(like)" in lines else {}
    keeps_others = lines.pop("(others)", "") == "kept"
    return Definition(name, fields | {key: Field.parse(text) for key, text in lines.items()}, keeps_others)


_OF_EVERY_KIND = {
    "apiVersion": Field.parse("string"),
    "kind": Field.parse("string"),
    "metadata": Field.parse("ObjectMeta present no=1"),
}


@cache
def definition_of(resource: Resource) -> Definition:
    """The definition of a kind; one that schema.yaml does not list keeps every field."""
    if resource.custom or resource.kind not in _source():
        return Definition(resource.kind, _OF_EVERY_KIND, keeps_others=True)
    listed = definition(resource.kind)
    return Definition(listed.name, _OF_EVERY_KIND | listed.fields, listed.keeps_others)


def has_protobuf(resource: Resource) -> bool:
    """Are the protobuf numbers of this kind's fields known?"""
    return not resource.custom and resource.kind in _source()


class ObjectDecoder:
    """Reads one object; `unknown` collects the paths of fields that the kind does not have."""

    def __init__(self, kind: str, version: str) -> None:
        self.kind = kind
        self.version = version
        self.unknown: list[str] = []

    def struct(self, value: Any, definition: Definition, path: str = "") -> dict[str, Any]:
        """The object with its known fields only; ApiError 400 if a type is wrong."""
        if not isinstance(value, dict):
            raise self._mismatch(value, definition.name, path)
        result: dict[str, Any] = {}
        for key, item in value.items():
            field = definition.fields.get(key)
            place = f"{path}.{key}" if path else key
            if field is None:
                if not definition.keeps_others:
                    self.unknown.append(place)
                elif item is not None:
                    result[key] = item
                continue
            read = self._value(item, field.type, place)
            if read is not None and not (_is_empty(read, field) and not field.required):
                result[key] = read
        for key, field in definition.fields.items():
            if key in result or not (field.present or field.default):
                continue
            result[key] = {} if field.present else field.default
        return result

    def _value(self, value: Any, type_: Type, path: str) -> Any:
        match type_.name, type_.item, value:
            case _, _, None:
                return None
            case "[]", Type() as item, list():
                empty: dict[str, Any] | None = None if item.definition is None else {}
                return [
                    empty if one is None else self._value(one, item, f"{path}[{i}]")
                    for i, one in enumerate(value)
                ]
            case "{}", Type() as item, dict():
                return {k: "" if v is None else self._value(v, item, path) for k, v in value.items()}
            case "[]" | "{}", _, _:
                raise self._mismatch(value, str(type_), path)
        if (definition := type_.definition) is not None:
            return self.struct(value, definition, path)
        return self._scalar(value, type_, path)

    def _scalar(self, value: Any, type_: Type, path: str) -> Any:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        match type_.name:
            case "any":
                return value
            case "bool":
                good = isinstance(value, bool)
            case "int":
                good = is_int or (isinstance(value, float) and value.is_integer())
                value = int(value) if good else value
            case "int-or-string":
                good = is_int or isinstance(value, str)
            case "quantity":
                good = is_int or isinstance(value, (str, float))
                value = str(value) if good else value
            case _:
                good = isinstance(value, str)
        if not good:
            raise self._mismatch(value, str(type_), path)
        return value

    def _mismatch(self, value: Any, wanted: str, path: str) -> Exception:
        field = ".".join(filter(None, (self.kind, path)))
        return bad_request(
            f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: '
            f"{field} of type {wanted} is {type_name(value)}"
        )


def _is_empty(value: Any, field: Field) -> bool:
    if field.type.item is not None:
        return not value
    return not field.pointer and field.type.definition is None and value in ("", 0, False)
