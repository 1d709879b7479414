"""A declared matrix that is given flow by flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from netprobe.generate.declared import Declared, DeclaredColumn, Share
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, Flow, PodRef, Protocol, ServiceRef
from netprobe.model.verdict import Verdict


def listed(matrix: Mapping[Flow, Verdict], cluster: Cluster) -> Declared:
    """The matrix with each end as a crowd of its own, and no rows."""
    ends: dict[End, None] = dict.fromkeys(end for flow in matrix for end in (flow.source, flow.destination))
    spaces = {ref.namespace: number for number, ref in reversed(list(enumerate(cluster.pods)))}
    pods = sorted(cluster.pods, key=lambda ref: spaces[ref.namespace])
    hosts = sorted((end for end in ends if not isinstance(end, PodRef)), key=_services_last)
    order: dict[End, int] = {end: number for number, end in enumerate((*pods, *hosts))}
    itself: dict[Flow, Share] = {}
    columns: dict[tuple[int, int, Protocol], dict[Verdict, int]] = defaultdict(lambda: defaultdict(int))
    for flow, verdict in matrix.items():
        if flow.source == flow.destination:
            itself[flow] = Share(None, verdict, 0, order[flow.destination], flow.port)
        else:
            column = columns[order[flow.destination], flow.port, flow.protocol]
            column[verdict] |= 1 << order[flow.source]
    made = (
        DeclaredColumn(
            *place, tuple(Share(None, verdict, bits, *place[:2]) for verdict, bits in shares.items())
        )
        for place, shares in columns.items()
    )
    return Declared(tuple((end,) for end in order), tuple(made), itself)


def _services_last(end: End) -> tuple[bool, str]:
    return isinstance(end, ServiceRef), str(end)
