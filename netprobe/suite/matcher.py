"""Which ends a pattern of a row names in a cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Pod
from netprobe.suite.ends import AddressPattern, EndPattern, LabelPattern, PodPattern, ServicePattern, is_glob


class Matcher:
    """Finds the ends that patterns name, each pattern once.

    Pods are looked up by namespace and name, so not every row is compared with every pod.
    """

    def __init__(self, cluster: Cluster, externals: Iterable[External]) -> None:
        self._cluster = cluster
        self._externals = tuple(externals)
        self._known: dict[EndPattern, tuple[End, ...]] = {}
        self._position = {ref: number for number, ref in enumerate(cluster.pods)}
        self._by_namespace: dict[str, list[Pod]] = defaultdict(list)
        self._by_name: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in cluster.pods.values():
            self._by_namespace[pod.ref.namespace].append(pod)
            for name in {pod.ref.name, pod.workload.partition("/")[2] if pod.workload else pod.ref.name}:
                self._by_name[pod.ref.namespace, name].append(pod)

    def matching(self, pattern: EndPattern) -> tuple[End, ...]:
        """Pods in the order of the cluster, then hosts outside."""
        if pattern not in self._known:
            self._known[pattern] = tuple(self._matching(pattern))
        return self._known[pattern]

    def names(self) -> list[str]:
        """What a row could have named, for hints."""
        return [*map(str, self._cluster.pods), *(host.name for host in self._externals if host.name)]

    def _matching(self, pattern: EndPattern) -> Iterator[End]:
        if isinstance(pattern, ServicePattern):
            if pattern.ref in self._cluster.services:
                yield pattern.ref
            return
        pods = (pod.ref for pod in self._candidates(pattern) if pattern.matches_pod(pod))
        yield from sorted(pods, key=self._position.__getitem__)
        hosts = [host for host in self._externals if pattern.matches_external(host)]
        yield from hosts
        if isinstance(pattern, AddressPattern) and not hosts:
            yield External(pattern.address)

    def _candidates(self, pattern: EndPattern) -> Iterable[Pod]:
        if not isinstance(pattern, PodPattern | LabelPattern):
            return self._cluster.pods.values()
        spaces: Iterable[str] = [pattern.namespace]
        if is_glob(pattern.namespace):
            spaces = [name for name in self._by_namespace if fnmatchcase(name, pattern.namespace)]
        if isinstance(pattern, PodPattern) and not is_glob(pattern.name):
            return [pod for space in spaces for pod in self._by_name.get((space, pattern.name), ())]
        return [pod for space in spaces for pod in self._by_namespace.get(space, ())]
