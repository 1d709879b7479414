"""Which cells of its matrix a case asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from netprobe.conformance.case import Case
from netprobe.conformance.site import made_up
from netprobe.conformance.world import PODS, SERVICE, Ask, is_pod
from netprobe.model.policy import Direction
from netprobe.simulate import Simulator

_SITE = made_up()
BEHIND = "y/a"
"""The pod behind the Service."""


def cells(case: Case, *, full: bool = False) -> tuple[Ask, ...]:
    """The cells that a cluster is asked for, in the order of the matrix, without SCTP, which nc cannot speak.

    `full`: all of them. Otherwise, on the ports that tell the case, every cell of a pod that some policy of
    the case selects at some moment, and of everything else one cell a source, taken by the case's name:
    what no policy concerns has to stay open, and a hundred cases together try all of it. A case that concerns
    no pod is asked in full.
    """
    asks = [ask for ask in case.question.asks() if "/SCTP" not in ask.port]
    if case.question.few and not full:
        asks = [ask for ask in asks if ask.port in case.question.few]
    touched = concerned(case)
    itself = [
        Ask(pod, pod, port)
        for pod in sorted(touched)
        for port in dict.fromkeys(a.port for a in asks if a[1] == pod)
    ]
    if full or not touched:
        return (*asks, *itself)
    chosen = {ask for ask in asks if touched & {ask.source, _pod(ask.destination)}}
    chosen |= set(_sample((ask for ask in asks if ask not in chosen), crc32(case.name.encode())))
    return (*(ask for ask in asks if ask in chosen), *itself)


def concerned(case: Case) -> frozenset[str]:
    """The pods that a policy of the case isolates at some moment."""
    found: set[str] = set()
    pods = (*PODS, *(end for end in case.question.extra if is_pod(end)))
    for moment in case.moments:
        simulator = Simulator(_SITE.cluster(case, moment))
        for name in pods:
            pod = simulator.cluster.pods[_SITE.pod(name)]
            if any(simulator.sides.isolating(pod, direction) for direction in Direction):
                found.add(name)
    return frozenset(found)


def _pod(end: str) -> str:
    return BEHIND if end == SERVICE else end


def _sample(asks: Iterable[Ask], number: int) -> Iterable[Ask]:
    """One cell for each source."""
    by_source: dict[str, list[Ask]] = {}
    for ask in asks:
        by_source.setdefault(ask.source, []).append(ask)
    for index, some in enumerate(by_source.values()):
        yield some[(number + index) % len(some)]
