"""YAML text to objects: positions, duplicate keys, aliases, and malicious texts."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.manifests.excerpt import Parsed, TextError
from netprobe.manifests.yaml_reader import MAX_DEPTH, read_yaml


def parsed(text: str, first_line: int = 1) -> Parsed:
    (found,) = read_yaml(text, first_line)
    return found


def value(text: str) -> Any:
    found = parsed(text)
    assert found.duplicates() == []
    return found.value


def test_every_path_has_line_and_column() -> None:
    assert parsed("a:\n  b:\n  - c: 1\n    d: x\n  - [y, z]\n", first_line=11).places == {
        "a": (11, 1),
        "a.b": (12, 3),
        "a.b[0]": (13, 5),
        "a.b[0].c": (13, 5),
        "a.b[0].d": (14, 5),
        "a.b[1]": (15, 5),
        "a.b[1][0]": (15, 6),
        "a.b[1][1]": (15, 9),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: &x {k: v}\nb: *x\n", {"a": {"k": "v"}, "b": {"k": "v"}}),
        (
            "a: &x {k: v, l: w}\nb: {<<: *x, l: own}\n",
            {"a": {"k": "v", "l": "w"}, "b": {"l": "own", "k": "v"}},
        ),
        ("a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}\n", None),
        ('"<<": text\n', {"<<": "text"}),
        ("80: a\non: b\n", {"80": "a", "true": "b"}),
        ("!local {a: !!str 80}\n", {"a": "80"}),
        ("a: !!int '80'\n", {"a": 80}),
        ("a: |\n  80\nb: >-\n  x\n  y\n", {"a": "80\n", "b": "x y"}),
        ("a: !!binary aGVsbG8=", {"a": "aGVsbG8="}),
        ("- &x 1\n- &x 2\n- *x\n", [1, 2, 2]),
        ("&a x\n", "x"),
        ("[]", []),
    ],
)
def test_well_formed_and_odd(text: str, expected: Any) -> None:
    found = value(text)
    assert found == expected if expected is not None else found["c"] == {"k": 1, "l": 2}


def bomb(levels: int, width: int = 9) -> str:
    lines = (f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels))
    return "\n".join(("a0: &a0 [x]", *lines))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "1:8: the alias *a is inside its own anchor"),
        ("a: *b", "1:4: the alias *b has no anchor before it"),
        (bomb(10), "7:10: aliases expand to more than 200,000 nodes"),
        ("a: &a {x: 1}\nb: {<<: *a}\n? {c: d}\n: e", "3:3: a key must be a scalar, not a mapping or list"),
        ("~: x", "1:1: null cannot be a key"),
        ("a: &a [x]\n*a : y", "2:1: an alias of a mapping or list cannot be a key"),
        ("a: {<<: x}", "1:5: a merge key (<<) takes a mapping or a list of mappings"),
        ("a:\n\tb: c", "2:1: not YAML: found a tab where YAML needs spaces"),
        ("a: b\n c: d", "2:3: not YAML: mapping values are not allowed in this context"),
        ("a: [b", "2:1: not YAML: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("a: \x00", "1:1: not YAML: the character U+0000 is not allowed"),
    ],
)
def test_what_cannot_be_read_has_its_place_and_one_sentence(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        list(read_yaml(text))
    assert f"{caught.value.line}:{caught.value.column}: {caught.value.message}" == message


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[" * (MAX_DEPTH + 1), id="flow"),
        pytest.param("".join(f"{' ' * depth}a:\n" for depth in range(MAX_DEPTH + 2)), id="block"),
    ],
)
def test_nesting_has_an_end(text: str) -> None:
    with pytest.raises(TextError, match="nested deeper than 100 levels"):
        list(read_yaml(text))


def test_aliases_within_the_limit_share_their_object() -> None:
    found = value(bomb(4))
    assert found["a3"][0] is found["a2"]
