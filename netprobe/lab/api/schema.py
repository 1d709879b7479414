"""The fields of the API's kinds, read from schema.yaml, whose header explains the notation.

One table serves decoding (unknown fields, wrong types), protobuf and strategic merge patch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

import yaml

from netprobe.lab.api.resources import Resource

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

    @property
    def is_list(self) -> bool:
        return self.name == "[]"

    @property
    def is_map(self) -> bool:
        return self.name == "{}"

    @property
    def is_struct(self) -> bool:
        return self.item is None and self.name not in SCALARS

    @property
    def definition(self) -> Definition | None:
        return definition(self.name) if self.is_struct else None


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
