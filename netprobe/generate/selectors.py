"""Selectors as a person would write them: the label that names a pod, and no more than needed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import combinations
from operator import and_

from netprobe.generate.space import PodClass
from netprobe.model.labels import Labels, Operator, Requirement, Selector
from netprobe.simulate.bits import unpack

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
MOST_LABELS = 3  # of a short selector; if these are not enough, all labels are used


class NamespaceClasses:
    """The classes of one namespace, and a selector for each of them that matches no other."""

    def __init__(self, classes: Iterable[PodClass]) -> None:
        self.classes = tuple(classes)
        self._holding: dict[tuple[str, str], int] = defaultdict(int)
        for place, pod_class in enumerate(self.classes):
            for label in pod_class.labels:
                self._holding[label] |= 1 << place
        self._places = {pod_class: place for place, pod_class in enumerate(self.classes)}
        self._made: dict[PodClass, Selector] = {}

    def selector(self, pod_class: PodClass) -> Selector:
        if pod_class not in self._made:
            self._made[pod_class] = self._selector(pod_class)
        return self._made[pod_class]

    def _selector(self, pod_class: PodClass) -> Selector:
        own = dict(pod_class.labels)
        keys = sorted(own, key=_preference)
        alone = 1 << self._places[pod_class]
        if keys:
            for size in range(1, MOST_LABELS + 1):
                for chosen in combinations(keys, size):
                    if self._with({key: own[key] for key in chosen}) == alone:
                        return Selector.of({key: own[key] for key in chosen})
        # Others with all these labels have another label too, which this class lacks.
        alike = [dict(self.classes[place].labels) for place in unpack(self._with(own) & ~alone)]
        lacking: list[Requirement] = []
        while alike:
            foreign = sorted({key for other in alike for key in other.keys() - own.keys()}, key=_preference)
            key = max(foreign, key=lambda one: sum(one in other for other in alike))
            lacking.append(Requirement(key, Operator.DOES_NOT_EXIST))
            alike = [other for other in alike if key not in other]
        return Selector.of(own, *lacking)

    def _with(self, labels: Labels) -> int:
        """The classes that have some labels, by their places here, as bits."""
        return reduce(and_, (self._holding[label] for label in labels.items()), (1 << len(self.classes)) - 1)


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
