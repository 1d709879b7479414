"""Boolean expressions over labels, which are more than a LabelSelector can say. Simulator and lab share them.

Calico's selectors are such expressions (policies/calico_selector.py reads them). `str` writes an expression
in Calico's language.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from netprobe.model.fastenum import FastEnum
from netprobe.model.labels import Labels, Operator, Requirement


class Part(FastEnum):
    """Where a value has a text; the value is Calico's operator."""

    ANYWHERE = "contains"
    START = "starts with"
    END = "ends with"


@dataclass(frozen=True, slots=True)
class ValuePart:
    """The label is present, and its value has `text` in that place."""

    key: str
    part: Part
    text: str

    def matches(self, labels: Labels) -> bool:
        value = labels.get(self.key)
        return value is not None and self.matches_value(value)

    def matches_value(self, value: str) -> bool:
        match self.part:
            case Part.ANYWHERE:
                return self.text in value
            case Part.START:
                return value.startswith(self.text)
            case Part.END:
                return value.endswith(self.text)

    def __str__(self) -> str:
        return f"{self.key} {self.part.value} {_quoted(self.text)}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every term matches; without terms, everything does."""

    terms: tuple[Expression, ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(term.matches(labels) for term in self.terms)

    def __str__(self) -> str:
        return " && ".join(_enclosed(term) for term in self.terms) or "all()"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one term matches."""

    terms: tuple[Expression, ...]

    def matches(self, labels: Labels) -> bool:
        return any(term.matches(labels) for term in self.terms)

    def __str__(self) -> str:
        return " || ".join(write(term) for term in self.terms) or "!all()"


@dataclass(frozen=True, slots=True)
class Negation:
    """The term does not match."""

    term: Expression

    def matches(self, labels: Labels) -> bool:
        return not self.term.matches(labels)

    def __str__(self) -> str:
        return f"!{_enclosed(self.term)}"


Expression: TypeAlias = Requirement | ValuePart | AllOf | AnyOf | Negation

ALL = AllOf()
"""`all()`, which an empty selector means too."""


def both(*expressions: Expression | None) -> Expression | None:
    """What matches if all that are given match; None if none is given."""
    terms = tuple(each for each in expressions if each is not None)
    return terms[0] if len(terms) == 1 else AllOf(terms) if terms else None


def leaves(expression: Expression) -> Iterator[Requirement | ValuePart]:
    """The parts that look at one label each."""
    match expression:
        case AllOf(terms) | AnyOf(terms):
            for term in terms:
                yield from leaves(term)
        case Negation(term):
            yield from leaves(term)
        case Requirement() | ValuePart():
            yield expression


def write(expression: Expression) -> str:
    """The expression in Calico's language."""
    if not isinstance(expression, Requirement):
        return str(expression)
    key, values = expression.key, expression.values
    match expression.operator:
        case Operator.EXISTS:
            return f"has({key})"
        case Operator.DOES_NOT_EXIST:
            return f"!has({key})"
        case Operator.IN | Operator.NOT_IN as operator if len(values) == 1:
            return f"{key} {'==' if operator is Operator.IN else '!='} {_quoted(values[0])}"
        case Operator.IN | Operator.NOT_IN as operator:
            word = "in" if operator is Operator.IN else "not in"
            return f"{key} {word} {{{', '.join(map(_quoted, values))}}}"


def _enclosed(term: Expression) -> str:
    several = isinstance(term, AllOf | AnyOf) and len(term.terms) > 0
    return f"({write(term)})" if several else write(term)


def _quoted(text: str) -> str:
    return f'"{text}"' if "'" in text else f"'{text}'"
