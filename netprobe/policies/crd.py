"""Structural schemas of CustomResourceDefinitions, and what they refuse. Only what policy kinds use.

A schema is data; `check` collects everything that a server with that definition refuses (seen on Kubernetes
1.33 with the definitions of network-policy-api). A field that is null is dropped, unless it has a default; an
item of a list that is null is of the wrong type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.policies import fields
from netprobe.policies.fields import Decoder, as_integer, child

NO_NULL = "null is not allowed here"


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of one value; `properties` of an object, `items` of a list, otherwise of a scalar.

    `sizes`: the fewest and most characters, items or fields; `bounds`: the least and greatest integer.
    `one_of` are the only values of a string. `rules` are further conditions, each with its message; `also`
    collects more errors. `distinct`: no item twice.
    """

    properties: Mapping[str, Schema] | None = None
    required: tuple[str, ...] = ()
    items: Schema | None = None
    integer: bool = False
    values: Schema | None = None
    sizes: tuple[int, int | None] = (0, None)
    bounds: tuple[int, int] | None = None
    one_of: tuple[str, ...] = ()
    pattern: str = ""
    distinct: bool = False
    rules: tuple[tuple[str, Callable[[Any], bool]], ...] = ()
    also: Callable[[Decoder, Any, str], None] | None = None


def check(decoder: Decoder, schema: Schema, value: Any, path: str) -> None:
    """Collect what a schema refuses in a value."""
    before = len(decoder.errors)
    if value is None:
        decoder.errors.append(fields.invalid(path, None, NO_NULL))
    elif schema.properties is not None or schema.values is not None:
        _check_object(decoder, schema, value, path)
    elif schema.items is not None:
        _check_list(decoder, schema, schema.items, value, path)
    elif schema.integer:
        _check_integer(decoder, schema, value, path)
    else:
        _check_string(decoder, schema, value, path)
    if len(decoder.errors) == before:  # a server, too, evaluates rules only for what is otherwise valid
        for message, holds in schema.rules:
            if not holds(value):
                decoder.errors.append(fields.invalid(path, value, message))
        if schema.also is not None:
            schema.also(decoder, value, path)


def _check_object(decoder: Decoder, schema: Schema, value: Any, path: str) -> None:
    known = schema.properties
    found = decoder.mapping(value, path, known.keys() if known is not None else None)
    if not isinstance(value, Mapping):
        return
    found = {key: item for key, item in found.items() if item is not None and (known is None or key in known)}
    for key in schema.required:
        if key not in found:
            decoder.errors.append(fields.required(child(path, key), ""))
    _check_size(decoder, schema, len(found), path, "fields")
    for key, item in found.items():
        inner = schema.values if known is None else known.get(key)
        if inner is not None:
            check(decoder, inner, item, child(path, str(key)))


def _check_list(decoder: Decoder, schema: Schema, items: Schema, value: Any, path: str) -> None:
    if not isinstance(value, list | tuple):
        decoder.errors.append(fields.wrong_type(path, value, "a list"))
        return
    _check_size(decoder, schema, len(value), path, "items")
    seen: set[str] = set()
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        check(decoder, items, item, where)
        text = json.dumps(item, sort_keys=True, default=str)
        if schema.distinct and text in seen:
            decoder.errors.append(fields.duplicate(where, item))
        seen.add(text)


def _check_integer(decoder: Decoder, schema: Schema, value: Any, path: str) -> None:
    number = as_integer(value)
    if number is None:
        decoder.errors.append(fields.wrong_type(path, value, "an integer of 32 bits"))
    elif schema.bounds is not None and not schema.bounds[0] <= number <= schema.bounds[1]:
        detail = f"must be between {schema.bounds[0]} and {schema.bounds[1]}, inclusive"
        decoder.errors.append(fields.invalid(path, number, detail))


def _check_string(decoder: Decoder, schema: Schema, value: Any, path: str) -> None:
    if not isinstance(value, str):
        decoder.errors.append(fields.wrong_type(path, value, "a string", fields.QUOTE_IT))
        return
    if schema.one_of and value not in schema.one_of:
        near = next((word for word in schema.one_of if word.casefold() == value.casefold()), "")
        error = fields.not_supported(path, value, schema.one_of)
        decoder.errors.append(fields.hinted(error, f"did you mean {near}?" if near else ""))
    if schema.pattern and not re.search(schema.pattern, value, re.ASCII):
        decoder.errors.append(fields.invalid(path, value, f"must match {schema.pattern}"))
    _check_size(decoder, schema, len(value), path, "characters")


def _check_size(decoder: Decoder, schema: Schema, size: int, path: str, what: str) -> None:
    fewest, most = schema.sizes
    if size < fewest:
        singular = what.removesuffix("s") if fewest == 1 else what
        decoder.errors.append(fields.invalid(path, size, f"must have at least {fewest} {singular}"))
    elif most is not None and size > most:
        singular = what.removesuffix("s") if most == 1 else what
        decoder.errors.append(fields.too_many(path, size, f"must have at most {most} {singular}"))


def without_nulls(value: Any) -> Any:
    """A value as a server stores it."""
    if isinstance(value, Mapping):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value
