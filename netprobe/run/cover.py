"""Which pods of a cluster are probed: one of each kind, and a random sample."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, Flow, Pod, PodRef
from netprobe.simulate import Profile, evaluate
from netprobe.suite import Expectation

Merit = Callable[[Pod], int]
"""How suitable a pod is as a destination: more is better."""


@dataclass(frozen=True, slots=True)
class PodKind:
    """Pods of one namespace that no policy and no row tells apart, with the same ports.

    `first` represents all. `second`, if there are two or more, is only used for flows between pods of the
    kind.
    """

    members: tuple[PodRef, ...]
    first: PodRef
    second: PodRef | None


@dataclass(frozen=True)
class Cover:
    """The pods that represent all pods of a cluster."""

    kinds: tuple[PodKind, ...]
    sampled: tuple[PodRef, ...]
    seed: int

    @cached_property
    def _kind(self) -> dict[PodRef, PodKind]:
        return {ref: kind for kind in self.kinds for ref in kind.members}

    @cached_property
    def _standing(self) -> frozenset[PodRef]:
        return frozenset((*(kind.first for kind in self.kinds), *self.sampled))

    def reduced(self, cluster: Cluster) -> Cluster:
        """The cluster with no other pods than those that may be an end of a row."""
        seconds = (kind.second for kind in self.kinds if kind.second is not None)
        kept = {*self._standing, *seconds}
        return replace(cluster, pods={ref: pod for ref, pod in cluster.pods.items() if ref in kept})

    def keeps(self, flow: Flow) -> bool:
        """Whether a flow of the reduced cluster is one of those to be probed.

        Those are between pods that represent others or were drawn; within a kind also from the first to the
        second.
        """
        source, destination = flow.source, flow.destination
        if isinstance(source, PodRef) and source not in self._standing:
            return False
        if not isinstance(destination, PodRef) or destination in self._standing:
            return True
        kind = self._kind[destination]
        return kind.first == source and kind.second == destination

    def stands_for(self, ref: PodRef) -> tuple[PodRef, ...]:
        """The pods that a row with this end represents; a pod that was drawn represents itself."""
        kind = self._kind[ref]
        return kind.members if ref in {kind.first, kind.second} else (ref,)

    def represented(self, end: End) -> tuple[End, ...]:
        """The same for any end."""
        return self.stands_for(end) if isinstance(end, PodRef) and end in self._kind else (end,)

    def sentence(self, ends: Iterable[object]) -> str:
        """What rows with these ends cover."""
        probed = {ref for ref in ends if isinstance(ref, PodRef)}
        kinds = [kind for kind in self.kinds if not probed.isdisjoint(kind.members)]
        named = sum(len(kind.members) for kind in kinds)
        text = f"{len(probed)} of the {named} pods that the rows name"
        if len(probed) < named:
            text += "; policies and rows treat the others alike"
        if self.sampled:
            drawn = probed.intersection(self.sampled)
            text += f"; {len(drawn)} of the {len(probed)} were drawn at random (--seed {self.seed})"
        return text


def cover(
    cluster: Cluster,
    expectation: Expectation | None,
    profile: Profile,
    merit: Merit,
    *,
    sample: int = 0,
    seed: int = 0,
) -> Cover:
    """Choose the pods to probe. Linear in the pods; the same cluster and seed give the same choice."""
    rows = expectation.rows if expectation is not None else ()
    patterns = list(dict.fromkeys(pattern for row in rows for pattern in (*row.source, *row.destination)))
    evaluation = evaluate(cluster, profile)
    found: dict[object, list[Pod]] = defaultdict(list)
    for pod in cluster.pods.values():
        marks = tuple(pattern.matches_pod(pod) for pattern in patterns)
        found[evaluation.group_of(pod.ref).index, pod.ports, marks].append(pod)
    kinds = []
    for pods in found.values():
        best = sorted(pods, key=merit, reverse=True)  # stable: the first in the cluster's order among equals
        members = tuple(map(attrgetter("ref"), pods))
        kinds.append(PodKind(members, best[0].ref, best[1].ref if len(best) > 1 else None))
    firsts = {kind.first for kind in kinds}
    others = [ref for ref in cluster.pods if ref not in firsts]
    drawn = random.Random(seed).sample(others, min(sample, len(others)))  # noqa: S311 (no secret)
    return Cover(tuple(kinds), tuple(sorted(drawn)), seed)
