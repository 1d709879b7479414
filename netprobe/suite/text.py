"""The suite file's text to its schema, and pydantic's errors to problems with file, line and path."""

from __future__ import annotations

import copy
import difflib
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from netprobe.errors import InputError, Problem
from netprobe.manifests.excerpt import TextError
from netprobe.manifests.files import STDIN, Source, read
from netprobe.manifests.yaml_reader import read_yaml
from netprobe.model.objects import Object
from netprobe.model.objects import Source as APISource
from netprobe.model.policy import Origin
from netprobe.model.text import dotted
from netprobe.policies.fields import shown, type_name
from netprobe.suite.schema import API_VERSION, KIND, SuiteSpec

Item = TypeVar("Item")

_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


@dataclass(frozen=True, slots=True)
class SuiteText:
    """A suite file: its content, checked and as it is written, and the place of each path in it.

    `problems`: what the schema refuses. `spec` then lacks these rows, steps and sources of policies; `kept`
    has the numbers, in the file, of those that remain in a list ("expect.flows").
    """

    spec: SuiteSpec
    source: APISource
    origin: Origin
    folder: Path
    problems: Sequence[Problem] = ()
    kept: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def numbered(self, path: str, items: Sequence[Item]) -> Iterator[tuple[str, Item]]:
        """The items of a list of `spec` with their paths in the file: ("expect.flows[2]", …)."""
        numbers = self.kept.get(path, range(len(items)))
        return ((f"{path}[{number}]", item) for number, item in zip(numbers, items, strict=True))

    def place(self, path: str) -> str:
        line, column = self.origin.at(path)
        return f"{self.origin.file}:{line}:{column}"

    def problem(self, path: str, message: str) -> Problem:
        return Problem(self.place(path), path, message)


_RECOGNIZED = re.compile(
    rf"""^[{{"']*kind["']?\s*:\s*["']?{KIND}\b|["']?apiVersion["']?\s*:\s*["']?{API_VERSION}|^(topology|expect):""",
    re.MULTILINE,
)


def is_suite(path: str) -> bool:
    """Whether a file looks like a suite, even a wrong one: so that its mistakes are reported as a suite's.

    Of standard input ("-") as well, which can be read again afterwards; not of other pipes.
    """
    if path == "-":
        data = sys.stdin.buffer.read()
        sys.stdin = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    elif Path(path).is_file():
        try:
            data = Path(path).read_bytes()
        except OSError:
            return False
    else:
        return False
    return _RECOGNIZED.search(data.decode("utf-8", "replace")) is not None


def read_suite(path: str | os.PathLike[str]) -> SuiteText:
    """Read and check one suite file ("-": standard input). Raises InputError with all problems."""
    problems: list[Problem] = []
    name = os.fspath(path)
    file = Path(name)
    source = Source(STDIN, None) if name == "-" else Source(name, file)
    text = read(source, problems)
    if text is None:
        raise InputError(problems)
    try:
        trees = [tree for tree in read_yaml(text) if tree.value is not None]
    except TextError as error:
        raise InputError(
            [Problem(f"{source.name}:{error.line}:{error.column}", "", error.message)]
        ) from error
    if len(trees) != 1:
        message = "the file is empty" if not trees else f"holds {len(trees)} documents; a suite is one"
        raise InputError([Problem(source.name, "", message)])
    tree = trees[0]
    origin = Origin(source.name, 1, tree.places)
    problems = [
        Problem(f"{source.name}:{line}:{column}", found.path, f"this key is already in line {found.first[0]}")
        for found in tree.duplicates()
        for line, column in [found.position]
    ]
    if not isinstance(tree.value, dict) or tree.value.get("kind") != KIND:
        wanted = f"not a suite: expected apiVersion: {API_VERSION} and kind: {KIND}"
        raise InputError([*problems, Problem(f"{source.name}:1", "", wanted)])
    written, kept = tree.value, dict[str, Sequence[int]]()
    try:
        spec = SuiteSpec.model_validate(written)
    except ValidationError as error:
        problems += _problems(error, origin)
        try:
            written, kept = _without(written, [item["loc"] for item in error.errors()])
            spec = SuiteSpec.model_validate(written)
        except ValidationError:
            raise InputError(problems) from error
    folder = file.parent if source.path else Path()
    return SuiteText(spec, APISource(tree.value, origin), origin, folder, problems, kept)


def _without(
    suite: Object, wrong: Sequence[tuple[int | str, ...]]
) -> tuple[Object, dict[str, Sequence[int]]]:
    """The suite without the items of its lists that are wrong, and the numbers of the others by list.

    What is wrong elsewhere stays: what depends on it cannot be checked.
    """
    rest, kept = copy.deepcopy(suite), dict[str, Sequence[int]]()
    for keys in (("policies",), ("expect", "flows"), ("steps",)):
        depth = len(keys)
        inside = [loc[depth] for loc in wrong if loc[:depth] == keys and len(loc) > depth]
        if gone := {number for number in inside if isinstance(number, int)}:
            holder = rest["expect"] if depth > 1 else rest
            items = holder[keys[-1]]
            kept[dotted(keys)] = numbers = [number for number in range(len(items)) if number not in gone]
            holder[keys[-1]] = [items[number] for number in numbers]
    return rest, kept


def _problems(error: ValidationError, origin: Origin) -> Iterator[Problem]:
    found = []
    for item in error.errors(include_url=False):
        path = dotted(item["loc"])
        line, column = origin.at(path)
        found.append(
            (line, column, Problem(f"{origin.file}:{line}:{column}", path, _message(cast("Any", item))))
        )
    for _, _, problem in sorted(found, key=lambda entry: entry[:2]):
        yield problem


def _message(item: Mapping[str, Any]) -> str:
    """What is wrong, in the words that manifests get too."""
    kind, value = item["type"], item["input"]
    match kind:
        case "missing":
            return "Required value"
        case "extra_forbidden":
            return _unknown_field(item["loc"])
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "literal_error":
            return f"Unsupported value: {shown(value)}: must be {item['ctx']['expected']}"
        case "value_error":
            detail = str(item["ctx"]["error"])
        case _ if kind in _WANTED:
            detail = f"must be {_WANTED[kind]}, not {type_name(value)}"
            if kind == "string_type" and isinstance(value, int | float):
                detail += "; put it in quotes"
        case _:
            message = str(item["msg"])
            detail = message[0].lower() + message[1:]
    return f"Invalid value: {shown(value)}: {detail}"


def _unknown_field(loc: tuple[int | str, ...]) -> str:
    name = str(loc[-1])
    near = difflib.get_close_matches(name, _fields(loc[:-1]), 1, 0.6)
    return f'unknown field "{name}"' + (f"; did you mean {near[0]}?" if near else "")


def _fields(loc: tuple[int | str, ...]) -> list[str]:
    """The fields that the model at a place of the schema has, as the file spells them."""
    model: Any = SuiteSpec
    for step in loc:
        if isinstance(step, int):
            continue
        field = next(
            (field for name, field in model.model_fields.items() if step in {name, field.alias}),
            None,
        )
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None
