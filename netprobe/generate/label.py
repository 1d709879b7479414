"""Selectors as a person would write them: the label that names the thing, and no more than it takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from netprobe.generate.demand import Kind
from netprobe.model.labels import Operator, Requirement, Selector

PREFERRED = (
    "app",
    "app.kubernetes.io/name",
    "k8s-app",
    "name",
    "app.kubernetes.io/component",
    "component",
    "role",
    "tier",
)
MOST_LABELS = 3  # of a short selector; where these do not tell apart, all labels are asked for


def selector(kind: Kind, others: Iterable[Kind]) -> Selector:
    """What selects the pods of a kind, and of no other kind of its namespace."""
    rest = [dict(other.labels) for other in others if other != kind]
    own = dict(kind.labels)
    keys = sorted(own, key=_preference)
    for size in range(1, MOST_LABELS + 1):
        for chosen in combinations(keys, size):
            labels = {key: own[key] for key in chosen}
            if not any(labels.items() <= other.items() for other in rest):
                return Selector.of(labels)
    # Who has all these labels has another one too, which this kind lacks.
    alike = [other for other in rest if own.items() <= other.items()]
    lacking: list[Requirement] = []
    while alike:
        foreign = sorted({key for other in alike for key in other.keys() - own.keys()}, key=_preference)
        key = max(foreign, key=lambda one: sum(one in other for other in alike))
        lacking.append(Requirement(key, Operator.DOES_NOT_EXIST))
        alike = [other for other in alike if key not in other]
    return Selector.of(own, *lacking)


def joined(selectors: Sequence[Selector]) -> list[Selector]:
    """The same pods with fewer selectors: values of one label become a list."""
    by_key: dict[str, list[str]] = {}
    others = []
    for one in selectors:
        if len(one.match_labels) == 1 and not one.requirements:
            key, value = one.match_labels[0]
            by_key.setdefault(key, []).append(value)
        else:
            others.append(one)
    short = [
        Selector.of({key: values[0]})
        if len(values) == 1
        else Selector.of({}, Requirement(key, Operator.IN, tuple(sorted(values))))
        for key, values in by_key.items()
    ]
    return [*short, *others]


def _preference(key: str) -> tuple[int, str]:
    return (PREFERRED.index(key) if key in PREFERRED else len(PREFERRED)), key
