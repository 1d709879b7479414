"""Selectors as sets give the same answers as matching every set of labels."""

from __future__ import annotations

import random
from itertools import product

from netprobe.lint.selector_sets import disjoint, implies, impossible, only
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector


def test_the_only_value_of_a_key() -> None:
    either = Selector.of({}, Requirement("app", Operator.IN, ("a", "b")))
    found = [only(selector, "app") for selector in (Selector.of({"app": "a"}), either, EVERYTHING)]
    assert found == ["a", None, None]


def test_they_say_what_matching_every_set_of_labels_says() -> None:
    """Values outside those that are mentioned behave alike: one more for each key stands for them all."""
    random_ = random.Random(8)  # noqa: S311 (cases, not secrets)
    every_labels = [
        {key: value for key, value in zip(("k", "l"), values, strict=True) if value is not None}
        for values in product((None, "a", "b", "other"), repeat=2)
    ]

    def draw() -> Selector:
        labels = {key: random_.choice("ab") for key in "kl" if random_.random() < 0.3}
        requirements = [
            Requirement(
                random_.choice("kl"),
                operator,
                tuple(random_.sample("ab", random_.randint(1, 2)))
                if operator in {Operator.IN, Operator.NOT_IN}
                else (),
            )
            for operator in random_.choices(list(Operator), k=random_.randint(0, 2))
        ]
        return Selector.of(labels, *requirements)

    verdicts = set()
    for _ in range(3000):
        one, other = draw(), draw()
        first = {number for number, labels in enumerate(every_labels) if one.matches(labels)}
        second = {number for number, labels in enumerate(every_labels) if other.matches(labels)}
        assert implies(one, other) is (first <= second), (one, other)
        assert impossible(one) is (not first), one
        assert disjoint(one, other) is first.isdisjoint(second), (one, other)
        verdicts.add((implies(one, other), disjoint(one, other)))
    assert len(verdicts) == 4, "the premise never held"
