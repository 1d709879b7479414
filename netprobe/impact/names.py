"""What to call a set of groups: by workloads, by namespaces, or by who is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property

from netprobe.impact.difference import States
from netprobe.model.flow import PodRef
from netprobe.model.text import listed
from netprobe.simulate import EndGroup
from netprobe.simulate.bits import Weights, unpack

MOST_NAMED = 3


class EndSet:
    """Some pods, or some addresses outside. The names are worked out when they are used."""

    def __init__(self, names: EndNames, bits: int) -> None:
        self._names, self._bits = names, bits

    @cached_property
    def size(self) -> int:
        return self._names.weights.total(self._bits)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All of them, as "shop/web", "shop/api (2 of 3)", "shop/*", "10.0.0.0/8"."""
        return tuple(self._names.of(self._bits))

    def __str__(self) -> str:
        """ "shop/web", "shop/* and data/pg (9 pods)", "all 40 pods", "all pods but shop/web (37 pods)"."""
        states = self._names.states
        if self._bits & states.outside:
            return "every address outside" if self._bits == states.outside else listed(self.names)
        others = states.pods & ~self._bits
        if not others and self.size > 1:
            return f"all {self.size:,} pods"
        if self.size == 1:
            return self.names[0]
        if self._names.weights.total(others) < self.size:
            missing = tuple(self._names.of(others))
            if len(missing) <= MOST_NAMED < len(self.names):
                return f"all pods but {listed(missing)} ({self.size:,} pods)"
        return f"{listed(self.names)} ({self.size:,} pods)"


class EndNames:
    """Names sets of groups."""

    def __init__(self, states: States) -> None:
        self.states = states
        self.weights = Weights([group.size for group in states.groups])
        self._made: dict[int, EndSet] = {}
        self._in_group = [self._count(group) for group in states.groups]
        self._whole: dict[str | None, Counter[str]] = self._by_namespace(states.pods)

    def set(self, bits: int) -> EndSet:
        return self._made.setdefault(bits, EndSet(self, bits))

    def of(self, bits: int) -> Iterator[str]:
        """Namespaces that are complete, otherwise workloads, in the order of the cluster."""
        for namespace, workloads in self._by_namespace(bits).items():
            if namespace is None:
                yield from workloads
                continue
            whole = self._whole[namespace]
            if len(workloads) > 1 and workloads == whole:
                yield f"{namespace}/*"
                continue
            for name, pods in workloads.items():
                yield f"{name} ({pods} of {whole[name]})" if pods < whole[name] else name

    def _by_namespace(self, bits: int) -> dict[str | None, Counter[str]]:
        found: dict[str | None, Counter[str]] = defaultdict(Counter)
        for index in unpack(bits):
            found[self.states.groups[index].namespace].update(self._in_group[index])
        return found

    def _count(self, group: EndGroup) -> Counter[str]:
        """The workloads of a group with the number of their pods in it; an address outside by its name."""
        pods = self.states.after.cluster.pods
        found: Counter[str] = Counter()
        for end in group.members:
            workload = pods[end].workload if isinstance(end, PodRef) else None
            found[f"{group.namespace}/{workload.partition('/')[2]}" if workload else str(end)] += 1
        return found
