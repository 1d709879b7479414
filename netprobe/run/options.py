"""Where a run takes place, and how: what all modes of a run have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.lab import LabOptions, Starting
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Family, Flow
from netprobe.probe import Deadlines, Pace, PodOptions
from netprobe.run.target import ClusterChoice
from netprobe.simulate import CALICO, PortAsked, Profile, read_question

Progress: TypeAlias = Callable[[str], None]
"""Takes what is being done, in a few words."""


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


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The cluster, the probe pods, timeouts, and the CNI whose choices the simulator makes.

    `lab`: the lab to start, or one that is starting, if `target` names no cluster. `family`: if pods have
    addresses of both families, probe only this one. `flows`: probe only these.
    """

    target: ClusterChoice = field(default_factory=ClusterChoice)
    lab: LabOptions | Starting = field(default_factory=LabOptions)
    pods: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pace: Pace = field(default_factory=Pace)
    profile: Profile = CALICO
    request_timeout_s: float = 30.0
    family: Family | None = None
    flows: FlowFilter = field(default_factory=FlowFilter)
