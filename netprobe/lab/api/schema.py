"""The types behind the API: which fields a kind has, and how lists of them are joined.

schema.yaml holds them; its header explains the notation. One table serves decoding (unknown fields, wrong
types), strategic merge patch, server-side apply and the OpenAPI documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

SCALARS = {"string", "int", "bool", "number", "bytes", "time", "quantity", "int-or-string", "any"}


@dataclass(frozen=True, slots=True)
class Type:
    """A scalar or a definition by `name`, or a list or map of `item`."""

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
    """A field of a definition. `merge_key` None: a patch replaces the list; "": it joins scalars.

    `pointer`: zero is told apart from absence. `number` is protobuf's, (outer, inner) where it is inlined.
    """

    type: Type
    required: bool = False
    present: bool = False
    default: str | None = None
    keys: tuple[str, ...] = ()
    is_set: bool = False
    atomic: bool = False
    retain_keys: bool = False
    merge_key: str | None = None
    pointer: bool = False
    number: tuple[int, int] = (0, 0)

    @classmethod
    def parse(cls, text: str) -> Field:
        first, *words = text.split()
        values = dict(word.partition("=")[::2] for word in words)
        return cls(
            Type.parse(first),
            required="required" in values,
            present="present" in values,
            default=values.get("default"),
            keys=tuple(values["map"].split(",")) if "map" in values else (),
            is_set="set" in values,
            atomic="atomic" in values,
            retain_keys="retain-keys" in values,
            merge_key=values.get("merge"),
            pointer="pointer" in values,
            number=_number(values.get("no", "")),
        )


def _number(text: str) -> tuple[int, int]:
    outer, _, inner = text.partition(".")
    return int(outer or 0), int(inner or 0)


@dataclass(frozen=True, slots=True)
class Definition:
    """A struct of the API, as in "core.v1.Container"."""

    name: str
    fields: dict[str, Field]
    atomic: bool = False

    @property
    def numbered(self) -> dict[tuple[int, int], tuple[str, Field]]:
        """Name and field by protobuf number; (outer, 0) where nothing is inlined."""
        return {field.number: (name, field) for name, field in self.fields.items() if field.number[0]}


@cache
def _source() -> dict[str, dict[str, str]]:
    text = files("netprobe.lab.api").joinpath("schema.yaml").read_text()
    loaded: dict[str, dict[str, str]] = yaml.load(text, yaml.CSafeLoader)
    return loaded


@cache
def definition(name: str) -> Definition:
    """A definition by name; KeyError where there is none."""
    fields = dict(_source()[name])
    atomic = fields.pop("(map)", "") == "atomic"
    return Definition(name, {key: Field.parse(text) for key, text in fields.items()}, atomic)


def definition_names() -> tuple[str, ...]:
    return tuple(_source())


_PACKAGES = {
    "": "core.v1",
    "apps": "apps.v1",
    "batch": "batch.v1",
    "networking.k8s.io": "networking.v1",
    "coordination.k8s.io": "coordination.v1",
    "policy": "policy.v1",
    "events.k8s.io": "events.v1",
    "discovery.k8s.io": "discovery.v1",
    "rbac.authorization.k8s.io": "rbac.v1",
    "authorization.k8s.io": "authorization.v1",
    "authentication.k8s.io": "authentication.v1",
    "autoscaling": "autoscaling.v2",
    "storage.k8s.io": "storage.v1",
    "scheduling.k8s.io": "scheduling.v1",
    "apiextensions.k8s.io": "apiextensions.v1",
    "admissionregistration.k8s.io": "admissionregistration.v1",
}


def definition_of(group: str, kind: str) -> Definition:
    """The definition of a kind that the lab serves."""
    return definition(f"{_PACKAGES[group]}.{kind}")


def full_name(name: str) -> str:
    """The name that the OpenAPI documents use: "io.k8s.api.core.v1.Pod"."""
    if name.startswith("meta."):
        return f"io.k8s.apimachinery.pkg.apis.{name}"
    if name.startswith("apiextensions."):
        return f"io.k8s.apiextensions-apiserver.pkg.apis.{name}"
    return f"io.k8s.api.{name}"
