"""Selectors compared: a table that a person can check, and the law that says what is meant."""

from __future__ import annotations

import random
from itertools import product

import pytest

from netprobe.lint.selector_sets import disjoint, implies, impossible, only
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector

A = Selector.of({"app": "a"})
AB = Selector.of({}, Requirement("app", Operator.IN, ("a", "b")))
NOT_C = Selector.of({}, Requirement("app", Operator.NOT_IN, ("c",)))
EXISTS = Selector.of({}, Requirement("app", Operator.EXISTS))
ABSENT = Selector.of({}, Requirement("app", Operator.DOES_NOT_EXIST))
A_WEB = Selector.of({"app": "a", "tier": "web"})
NEVER = Selector.of({"app": "a"}, Requirement("app", Operator.IN, ("b",)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(A, EVERYTHING, True, id="everything holds all"),
        pytest.param(EVERYTHING, A, False, id="everything is in nothing narrower"),
        pytest.param(A_WEB, A, True, id="one label more is narrower"),
        pytest.param(A, A_WEB, False, id="one label less is wider"),
        pytest.param(A, AB, True, id="a value is in its list"),
        pytest.param(AB, A, False, id="a list is not in one of its values"),
        pytest.param(AB, NOT_C, True, id="values in the complement"),
        pytest.param(ABSENT, NOT_C, True, id="NotIn matches where the key is absent"),
        pytest.param(NOT_C, EXISTS, False, id="NotIn does not ask for the key"),
        pytest.param(EXISTS, NOT_C, False, id="Exists admits every value"),
        pytest.param(NEVER, ABSENT, True, id="what matches nothing is in everything"),
    ],
)
def test_implies(one: Selector, other: Selector, expected: bool) -> None:
    assert implies(one, other) is expected


def test_impossible_disjoint_and_only() -> None:
    assert impossible(NEVER)
    assert not impossible(NOT_C)
    assert disjoint(A, Selector.of({"app": "b"}))
    assert disjoint(ABSENT, EXISTS)
    assert not disjoint(A, Selector.of({"tier": "web"}))
    assert only(A, "app") == "a"
    assert only(AB, "app") is None
    assert only(EVERYTHING, "app") is None


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
