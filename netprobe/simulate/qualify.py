"""Which objects that are not evaluated may decide a flow too."""

from __future__ import annotations

from netprobe.model.cluster import Cluster
from netprobe.model.policy import Unsimulated
from netprobe.simulate.endpoint import Endpoint


class Qualifiers:
    """The objects of a cluster that may decide flows and are not evaluated, by what they may affect."""

    def __init__(self, cluster: Cluster) -> None:
        self._all = cluster.unsimulated
        self._known: dict[tuple[str | None, str | None, bool], tuple[Unsimulated, ...]] = {}

    def of(self, source: Endpoint, destination: Endpoint) -> tuple[Unsimulated, ...]:
        """Those that may affect a flow between two ends, in the order of the cluster."""
        if not self._all:
            return ()
        ends = (source, destination)
        one, other = (end.pod_behind.ref.namespace if end.pod_behind else None for end in ends)
        key = (one, other, any(end.pod is None for end in ends))
        if key not in self._known:
            self._known[key] = tuple(each for each in self._all if _affects(each, *key))
        return self._known[key]


def _affects(each: Unsimulated, one: str | None, other: str | None, outside: bool) -> bool:
    if each.hosts and not outside:
        return False
    return not each.ref.namespace or each.ref.namespace in {one, other}
