"""What to call a set of groups: by workloads, by namespaces, or by who is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property

from netprobe.impact.states import States
from netprobe.model.flow import PodRef
from netprobe.simulate import Group
from netprobe.simulate.bits import Weights, unpack

MOST_NAMED = 3


class Crowd:
    """Some pods, or some addresses outside: a set of groups, named when somebody asks."""

    def __init__(self, crowds: Crowds, bits: int) -> None:
        self._crowds, self._bits = crowds, bits

    @cached_property
    def size(self) -> int:
        return self._crowds.weights.total(self._bits)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All of them, as "shop/web", "shop/api (2 of 3)", "shop/*", "10.0.0.0/8"."""
        return self._crowds.names(self._bits)

    def __str__(self) -> str:
        """ "shop/web", "shop/*, data/pg (9 pods)", "all 40 pods", "all pods but shop/web (37 pods)"."""
        states = self._crowds.states
        if self._bits & states.outside:
            return "every address outside" if self._bits == states.outside else _listed(self.names)
        others = states.ordinary & ~self._bits
        if not others and self.size > 1:
            return f"all {self.size:,} pods"
        if self.size == 1:
            return self.names[0]
        if self._crowds.weights.total(others) < self.size:
            missing = self._crowds.names(others)
            if len(missing) <= MOST_NAMED < len(self.names):
                return f"all pods but {_listed(missing)} ({self.size:,} pods)"
        return f"{_listed(self.names)} ({self.size:,} pods)"


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_NAMED
    if more == 1:
        return ", ".join(names)
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 1 else "")


class Crowds:
    """Names sets of groups."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.weights = Weights([group.size for group in states.groups])
        self._made: dict[int, Crowd] = {}
        self._parts = [self._count(group) for group in states.groups]
        self._workloads: Counter[str] = Counter()
        self._namespaces: Counter[str | None] = Counter()
        for index in unpack(states.ordinary):
            self._workloads.update(self._parts[index])
            self._namespaces[states.groups[index].namespace] += states.groups[index].size

    def crowd(self, bits: int) -> Crowd:
        return self._made.setdefault(bits, Crowd(self, bits))

    def names(self, bits: int) -> tuple[str, ...]:
        """Namespaces where all their pods are meant, else workloads, in the order of the cluster."""
        found: dict[str | None, Counter[str]] = defaultdict(Counter)
        for index in unpack(bits):
            found[self.states.groups[index].namespace].update(self._parts[index])
        return tuple(
            name for space, workloads in found.items() for name in self._in_namespace(space, workloads)
        )

    def _in_namespace(self, space: str | None, workloads: Counter[str]) -> Iterator[str]:
        if space is None:
            yield from workloads
        elif len(workloads) > 1 and workloads.total() == self._namespaces[space]:
            yield f"{space}/*"
        else:
            for name, pods in workloads.items():
                whole = self._workloads[name]
                yield f"{name} ({pods} of {whole})" if pods < whole else name

    def _count(self, group: Group) -> Counter[str]:
        """The workloads of a group with their pods there; an address outside by its name."""
        pods = self.states.new.cluster.pods
        found: Counter[str] = Counter()
        for end in group.members:
            workload = pods[end].workload if isinstance(end, PodRef) else None
            kind_and_name = (workload or "").partition("/")
            found[f"{group.namespace}/{kind_and_name[2]}" if workload else str(end)] += 1
        return found
