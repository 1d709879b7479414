"""Sets of groups of pods, and what to call them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from netprobe.model.flow import PodRef
from netprobe.simulate import Evaluation
from netprobe.simulate.bits import Weights, pack, unpack

MOST_NAMED = 3  # namespaces


@dataclass(frozen=True, slots=True)
class Crowd:
    """Some pods: the first one, their number, and the namespaces that they are all the pods of, if any.

    `rest`: they are all but those of other crowds beside this one.
    """

    first: PodRef
    pods: int
    namespaces: tuple[str, ...] = ()
    everybody: bool = False
    rest: bool = False

    def __str__(self) -> str:
        """ "all 40 pods", "shop/* (12 pods)", "a/*, b/*, c/* and 5 more (90 pods)", "shop/cart +3".

        What is the rest of everybody is "all others (37 pods)".
        """
        if self.pods == 1:
            return str(self.first)
        if self.everybody:
            return f"all {self.pods:,} pods"
        if self.namespaces:
            named = ", ".join(f"{name}/*" for name in self.namespaces[:MOST_NAMED])
            more = len(self.namespaces) - MOST_NAMED
            return f"{named}{f' and {more} more' if more > 0 else ''} ({self.pods:,} pods)"
        if self.rest:
            return f"all others ({self.pods:,} pods)"
        return f"{self.first} +{self.pods - 1:,}"


class Crowds:
    """The crowds that can be made of some members of an evaluation's groups. Sets of groups are bits."""

    def __init__(self, evaluation: Evaluation, members: Mapping[int, list[PodRef]]) -> None:
        groups = evaluation.groups
        self.members = members
        self.everybody = pack(members, len(groups))
        self.weights = Weights([len(members.get(group.index, ())) for group in groups])
        self._whole: Counter[str] = Counter()  # pods of a namespace, members or not
        in_namespace: dict[str, list[int]] = defaultdict(list)
        for group in groups:
            if group.namespace is not None and group.sample.pod is not None:
                self._whole[group.namespace] += group.size
                in_namespace[group.namespace].append(group.index)
        self._namespaces = {name: pack(indexes, len(groups)) for name, indexes in in_namespace.items()}
        self._made: dict[int, Crowd] = {}

    def crowd(self, bits: int, *, rest: bool = False) -> Crowd:
        """The crowd of a set of groups that is not empty."""
        made = self._made.get(bits)
        if made is None:
            made = self._made[bits] = self._make(bits)
        return replace(made, rest=True) if rest else made

    def _make(self, bits: int) -> Crowd:
        first = self.members[next(unpack(bits))][0]
        pods = self.weights.total(bits)
        everybody = pods == self._whole.total()
        whole: list[str] = []
        for name, own in self._namespaces.items():
            inside = self.weights.total(bits & own)
            if inside == self._whole[name]:
                whole.append(name)
            elif inside:
                return Crowd(first, pods)
        return Crowd(first, pods, tuple(whole), everybody)
