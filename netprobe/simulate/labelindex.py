"""An index of labels: which of many labelled things a selector selects, as a set of bits.

`model.labels` compares one thing with one selector; here one selector is compared with everything at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import assert_never

from netprobe.model.expression import AllOf, AnyOf, Expression, Negation, ValuePart
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector


class LabelIndex:
    """Things by their labels. Each has a set of bits of its own; answers are kept."""

    def __init__(
        self, everything: int, labelled: Iterable[tuple[int, Iterable[tuple[str, str | None]]]]
    ) -> None:
        """`labelled`: the bits of a thing, and its labels; a value is None if no selector uses it."""
        values: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        keys: dict[str, int] = defaultdict(int)
        for bits, labels in labelled:
            for key, value in labels:
                keys[key] |= bits
                if value is not None:
                    values[key][value] |= bits
        self._everything = everything
        self._values, self._keys = dict(values), dict(keys)
        self._known = {EVERYTHING: everything}

    def selected(self, selector: Selector) -> int:
        """The bits of all that a selector selects."""
        bits = self._known.get(selector)
        if bits is None:
            bits = self._everything
            for key, value in selector.match_labels:
                bits &= self._values.get(key, {}).get(value, 0)
            for requirement in selector.requirements:
                bits &= self._required(requirement)
            if selector.expression is not None:
                bits &= self._expressed(selector.expression)
            self._known[selector] = bits
        return bits

    def _expressed(self, expression: Expression) -> int:
        bits = 0
        match expression:
            case AllOf(terms):
                bits = self._everything
                for term in terms:
                    bits &= self._expressed(term)
            case AnyOf(terms):
                for term in terms:
                    bits |= self._expressed(term)
            case Negation(term):
                bits = self._everything & ~self._expressed(term)
            case ValuePart(key):
                for value, own in self._values.get(key, {}).items():
                    if expression.matches_value(value):
                        bits |= own
            case Requirement():
                bits = self._everything & self._required(expression)
            case _:
                assert_never(expression)
        return bits

    def _required(self, requirement: Requirement) -> int:
        """Those that meet a requirement; the bits above may be set."""
        key = requirement.key
        match requirement.operator:
            case Operator.IN:
                return self._any_value(key, requirement.values)
            case Operator.NOT_IN:
                return ~self._any_value(key, requirement.values)
            case Operator.EXISTS:
                return self._keys.get(key, 0)
            case Operator.DOES_NOT_EXIST:
                return ~self._keys.get(key, 0)
            case _:
                assert_never(requirement.operator)

    def _any_value(self, key: str, values: tuple[str, ...]) -> int:
        known = self._values.get(key, {})
        bits = 0
        for value in values:
            bits |= known.get(value, 0)
        return bits
