"""`--placement`: probe flows from the destination's node, from another node, or both as separate rows.

All pods of a suite run on one node. For flows from another node each pod has a twin there: the same labels in
the same namespace, which is all that policies see, and no listeners.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netprobe.errors import UsageError, WorkbenchError
from netprobe.model.flow import Flow, Placement, Pod, PodRef
from netprobe.probe import ClusterAPI

CHOICES: Mapping[str, tuple[Placement, ...]] = {
    "same": (Placement.SAME,),
    "other": (Placement.OTHER,),
    "both": (Placement.SAME, Placement.OTHER),
}


@dataclass(frozen=True, slots=True)
class Placed:
    """The pods of a suite, each on its node, and their twins by the name of the original."""

    pods: tuple[Pod, ...]
    twins: Mapping[PodRef, Pod] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placing:
    """The placements to probe; none by default: pods run where the suite or the scheduler puts them."""

    wanted: tuple[Placement, ...] = ()

    def check(self, pods: Sequence[Pod]) -> None:
        """UsageError where the suite places its pods itself."""
        pinned = [str(pod.ref) for pod in pods if pod.node is not None]
        if self.wanted and pinned:
            raise UsageError(f"--placement places pods itself, and the suite does: {', '.join(pinned[:4])}")

    async def placed(self, cluster: ClusterAPI, pods: Sequence[Pod]) -> Placed:
        """Choose the nodes. WorkbenchError where there are too few that take pods."""
        if not self.wanted:
            return Placed(tuple(pods))
        from netprobe.doctor import api_checks  # imports all of doctor, and few runs ask for a placement

        _, found = await api_checks.nodes(cluster)
        nodes = api_checks.chosen(found or (), 2)
        needed = 2 if Placement.OTHER in self.wanted else 1
        if len(nodes) < needed:
            raise WorkbenchError(
                f"--placement needs {needed} nodes that take pods, and {len(nodes)} are known: "
                f"{', '.join(nodes) or 'none'}"
            )
        twins = {
            pod.ref: replace(pod, ref=_twin(pod.ref), ports=(), node=nodes[1])
            for pod in (pods if Placement.OTHER in self.wanted else ())
        }
        return Placed(tuple(replace(pod, node=nodes[0]) for pod in pods), twins)

    def rows(self, flow: Flow) -> Iterator[Flow]:
        """The rows of a flow: one for each placement where it is from one pod to another."""
        apart = isinstance(flow.source, PodRef) and isinstance(flow.destination, PodRef)
        if not (self.wanted and apart and flow.source != flow.destination):
            yield flow
            return
        yield from (replace(flow, placement=one) for one in self.wanted)


def _twin(ref: PodRef) -> PodRef:
    return PodRef(ref.namespace, f"{ref.name[:240]}-netprobe-twin")
