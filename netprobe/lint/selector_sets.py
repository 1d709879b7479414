"""Selectors as sets of label sets, so that they can be compared with each other.

A selector is a conjunction and keys are independent, so it is one Term per key: the allowed values, and
whether the key may be absent. Selector A implies selector B if A matches nothing at all, or if each term of
B allows everything that A allows for that key. What an expression says beyond such terms counts as the same
only if it is written in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from netprobe.model.expression import AllOf, Expression
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import PodPeer


@dataclass(frozen=True, slots=True)
class Term:
    """What a selector allows for one key.

    `values` are the allowed values, or with `complement` the forbidden ones. `absent`: the key may be
    missing.
    """

    values: frozenset[str]
    complement: bool = False
    absent: bool = False

    @property
    def empty(self) -> bool:
        return not self.values and not self.complement and not self.absent

    def meet(self, other: Term) -> Term:
        absent = self.absent and other.absent
        if self.complement and other.complement:
            return Term(self.values | other.values, complement=True, absent=absent)
        if self.complement:
            return Term(other.values - self.values, absent=absent)
        if other.complement:
            return Term(self.values - other.values, absent=absent)
        return Term(self.values & other.values, absent=absent)

    def within(self, other: Term) -> bool:
        if self.absent and not other.absent:
            return False
        if self.complement:
            return other.complement and other.values <= self.values
        if other.complement:
            return not self.values & other.values
        return self.values <= other.values


ANYTHING = Term(frozenset(), complement=True, absent=True)


def _term(requirement: Requirement) -> Term:
    values = frozenset(requirement.values)
    match requirement.operator:
        case Operator.IN:
            return Term(values)
        case Operator.NOT_IN:  # "also match if the key is absent"
            return Term(values, complement=True, absent=True)
        case Operator.EXISTS:
            return Term(frozenset(), complement=True)
        case Operator.DOES_NOT_EXIST:
            return Term(frozenset(), absent=True)
        case _:
            assert_never(requirement.operator)


@lru_cache(maxsize=65536)
def terms(selector: Selector) -> dict[str, Term]:
    """One Term for each key of the selector."""
    found: dict[str, Term] = {key: Term(frozenset({value})) for key, value in selector.match_labels}
    for requirement in (*selector.requirements, *_required(selector.expression)):
        found[requirement.key] = found.get(requirement.key, ANYTHING).meet(_term(requirement))
    return found


def _required(expression: Expression | None) -> Iterator[Requirement]:
    """The requirements that an expression makes in any case."""
    match expression:
        case Requirement():
            yield expression
        case AllOf(parts):
            for part in parts:
                yield from _required(part)
        case _:
            pass


def _rest(expression: Expression | None) -> Iterator[Expression]:
    """What an expression demands beyond these requirements."""
    match expression:
        case None | Requirement():
            pass
        case AllOf(parts):
            for part in parts:
                yield from _rest(part)
        case _:
            yield expression


def impossible(selector: Selector) -> bool:
    """Whether no labels match it."""
    return any(term.empty for term in terms(selector).values())


def implies(one: Selector, other: Selector) -> bool:
    """Whether `other` matches everything that `one` matches."""
    expressions = one.expression or other.expression
    if not (one.requirements or other.requirements or expressions):  # most selectors, so this one is fast
        return all(label in one.match_labels for label in other.match_labels)
    if impossible(one):
        return True
    own = terms(one)
    if expressions and not set(_rest(other.expression)) <= set(_rest(one.expression)):
        return False
    return all(own.get(key, ANYTHING).within(term) for key, term in terms(other).items())


def disjoint(one: Selector, other: Selector) -> bool:
    """Whether nothing can match both."""
    own, others = terms(one), terms(other)
    return any(
        own.get(key, ANYTHING).meet(others.get(key, ANYTHING)).empty for key in own.keys() | others.keys()
    )


def only(selector: Selector, key: str) -> str | None:
    """The only value that the selector allows for a key; None if there are several, or none."""
    term = terms(selector).get(key)
    if term is None or term.complement or term.absent or len(term.values) != 1:
        return None
    return next(iter(term.values))


def keys(selector: Selector) -> frozenset[str]:
    return frozenset(terms(selector))


def required_labels(peer: PodPeer) -> Iterator[tuple[str, str, str]]:
    """The labels that a peer requires with one value, as ("pod", key, value) or ("namespace", key, value)."""
    for what, selector in (("pod", peer.pods), ("namespace", peer.namespaces or EVERYTHING)):
        for key in keys(selector):
            value = only(selector, key)
            if value is not None:
                yield what, key, value
