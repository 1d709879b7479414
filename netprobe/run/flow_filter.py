"""Which flows a run or a simulation is limited to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow
from netprobe.simulate import PortAsked, read_question


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """Patterns of ends, as `read_question` takes them, and ports; of each, none means all."""

    sources: Sequence[str] = ()
    destinations: Sequence[str] = ()
    ports: Sequence[PortAsked] = ()

    def on(
        self,
        cluster: Cluster,
        externals: Iterable[External] = (),
        members: Callable[[End], Iterable[End]] = lambda end: (end,),
    ) -> Callable[[Flow], bool]:
        """Whether a flow of the cluster is selected; UsageError for a pattern that matches nothing.

        `members`: the ends that an end of a flow represents.
        """
        asked = read_question(
            cluster,
            sources=self.sources,
            destinations=self.destinations,
            externals=externals,
            ports=self.ports,
        )
        sources, destinations = frozenset(asked.sources), frozenset(asked.destinations)

        def selects(flow: Flow) -> bool:
            return (
                (not self.sources or not sources.isdisjoint(members(flow.source)))
                and (not self.destinations or not destinations.isdisjoint(members(flow.destination)))
                and (not self.ports or (flow.port, flow.protocol) in asked.ports_of(flow.destination))
            )

        return selects
