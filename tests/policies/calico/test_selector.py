"""Calico's selector language: what matches, and where a mistake is."""

from __future__ import annotations

import pytest

from netprobe.model.expression import AllOf, AnyOf, Expression, Negation, Part, ValuePart, both, write
from netprobe.model.labels import Operator, Requirement
from netprobe.policies.calico_selector import SelectorError, parse_selector, uses_global

LABELS = {
    "none": {},
    "a": {"role": "a"},
    "db": {"role": "db", "app.io/x": "1"},
    "empty": {"role": ""},
}
MATCHES = {  # of none, a, db, empty
    "": "none a db empty",
    "all()": "none a db empty",
    " all( ) ": "none a db empty",
    "!all()": "",
    "role == 'db'": "db",
    'role=="db"': "db",
    "role == ''": "empty",
    "role != 'db'": "none a empty",
    "role in {'db', 'a'}": "a db",
    "role in {}": "",
    "role in {'db',}": "db",
    "role not in {'db'}": "none a empty",
    "role notin {'db'}": "none a empty",
    "role not\tin{'db'}": "none a empty",
    "role not in {}": "none a db empty",
    "role contains 'b'": "db",
    "role contains ''": "a db empty",
    "role starts with 'd'": "db",
    "role startswith 'b'": "",
    "role ends with 'b'": "db",
    "role endswith'd'": "",
    "has(role)": "a db empty",
    "has( app.io/x )": "db",
    "!has(role)": "none",
    "!!has(role)": "a db empty",
    "! role == 'db'": "none a empty",
    "role == 'a' || role == 'db' && has(nothing)": "a",
    "(role == 'a' || role == 'db') && has(app.io/x)": "db",
    "!(role == 'a' || role == 'db')": "none empty",
    "has(role) && role != 'a' && role != ''": "db",
    "global()": "none a db empty",
}


@pytest.mark.parametrize(("text", "expected"), MATCHES.items())
def test_what_matches(text: str, expected: str) -> None:
    expression = parse_selector(text)
    assert " ".join(name for name, labels in LABELS.items() if expression.matches(labels)) == expected
    written = parse_selector(write(expression))
    assert all(written.matches(labels) == expression.matches(labels) for labels in LABELS.values())


A, B = Requirement("a", Operator.EXISTS), Requirement("b", Operator.IN, ("it's",))
WRITTEN = [
    (AnyOf((A, B)), """has(a) || b == "it's\""""),
    (AllOf((AnyOf((A, B)), A)), """(has(a) || b == "it's") && has(a)"""),
    (Negation(AllOf()), "!all()"),
    (Negation(AllOf((A,))), "!(has(a))"),
    (Requirement("a", Operator.DOES_NOT_EXIST), "!has(a)"),
    (Requirement("a", Operator.NOT_IN, ("1",)), "a != '1'"),
    (Requirement("a", Operator.IN, ("1", "2")), "a in {'1', '2'}"),
    (ValuePart("a", Part.START, "1"), "a starts with '1'"),
]


@pytest.mark.parametrize(("expression", "text"), WRITTEN)
def test_how_an_expression_is_written(expression: Expression, text: str) -> None:
    assert write(expression) == text


def test_expressions_that_must_both_match() -> None:
    assert [both(A, B), both(None, A), both(None)] == [AllOf((A, B)), A, None]


MISTAKES = {
    "role = 'db'": "column 6: expected ==",
    "role": "column 5: expected an operator after the label, not the end",
    "role == db": 'column 9: expected a string in quotes after ==, not "db"',
    "role == 'db": "column 9: the string has no closing quote",
    "role == 'it\\'s'": "column 15: the string has no closing quote",
    "role == 'a' && ": "column 16: expected a label, has(), all(), ! or a parenthesis, not the end",
    "role == 'a' & all()": "column 13: expected &&",
    "role == 'a' | all()": "column 13: expected ||",
    "role == 'a' role == 'b'": 'column 13: expected && or ||, not "role"',
    "role in 'a'": 'column 9: expected { after in, not "a"',
    "role in {a}": 'column 10: expected a string in quotes or }, not "a"',
    "role in {'a' 'b'}": 'column 14: expected a string in quotes or }, not "b"',
    "role is 'a'": "column 6: expected an operator after the label: ==, !=, in, not in, contains, …",
    "role includes 'a'": "column 6: expected an operator after the label: ==, !=, in, not in, contains, …",
    "(role == 'a'": "column 13: expected ), not the end",
    "role == 'a')": 'column 12: expected && or ||, not ")"',
    "has()": "column 5: expected the key of a label in has()",
    "has(role": "column 9: expected ) after has(role",
    "all": "column 4: expected an operator after the label, not the end",
    "all(role)": "column 5: expected ) after all(",
    "role == 'a' &&\nall()": "column 15: a selector is one line: use spaces instead of line breaks",
    "rôle == 'a'": "column 2: expected an operator after the label",
    f"{'k' * 513} == 'a'": "column 1: the key has more than 512 characters",
    "(" * 101: "column 101: more than 100 parentheses inside each other",
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.items(), ids=lambda text: text[:20])
def test_where_a_mistake_is(text: str, expected: str) -> None:
    with pytest.raises(SelectorError, match=r"^column") as caught:
        parse_selector(text)
    assert str(caught.value).startswith(expected)


def test_where_global_occurs() -> None:
    assert uses_global("has(a) && global( )")
    assert not uses_global("name == 'global()'")
