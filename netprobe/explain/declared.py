"""What is declared, in the form in which the effects of a change are checked against it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Protocol as Interface

from netprobe.model.flow import End, External, Flow, Protocol, ServiceRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator


class Declares(Interface):
    """A declaration that answers for single flows. `suite.Declaration` is one."""

    @property
    def columns(self) -> Collection[tuple[End, int, Protocol]]: ...
    @property
    def outside(self) -> Collection[External]: ...
    def verdict(self, source: End, destination: End, port: int, protocol: Protocol) -> Verdict | None: ...
    def allowed_from(self, source: End) -> Iterator[Flow]: ...
    def allowed_to(self, destination: End) -> Iterator[Flow]: ...


class ListedFlows:
    """A declaration that is a list of flows."""

    def __init__(self, flows: Mapping[Flow, Verdict]) -> None:
        self._verdicts: dict[tuple[End, End, int, Protocol], Verdict] = {}
        self.columns: dict[tuple[End, int, Protocol], None] = {}
        self.outside: dict[External, None] = {}
        self._allowed: dict[tuple[Direction, End], list[Flow]] = defaultdict(list)
        for flow, verdict in flows.items():
            self._verdicts[flow.source, flow.destination, flow.port, flow.protocol] = verdict
            self.columns[flow.destination, flow.port, flow.protocol] = None
            ends = (flow.source, flow.destination)
            self.outside |= dict.fromkeys(end for end in ends if isinstance(end, External))
            if verdict is Verdict.ALLOW:
                self._allowed[Direction.EGRESS, flow.source].append(flow)
                self._allowed[Direction.INGRESS, flow.destination].append(flow)

    def verdict(self, source: End, destination: End, port: int, protocol: Protocol) -> Verdict | None:
        return self._verdicts.get((source, destination, port, protocol))

    def allowed_from(self, source: End) -> Iterator[Flow]:
        yield from self._allowed.get((Direction.EGRESS, source), ())

    def allowed_to(self, destination: End) -> Iterator[Flow]:
        yield from self._allowed.get((Direction.INGRESS, destination), ())


class Expected:
    """A declaration on the pods of a cluster: what is declared for a Service applies to its backends."""

    def __init__(self, declared: Declares, simulator: Simulator) -> None:
        self._declared, self._simulator = declared, simulator
        self._behind: dict[tuple[End, int, Protocol], list[tuple[End, int, Protocol]]] = defaultdict(list)
        for column in declared.columns:
            service, port, protocol = column
            for source in simulator.cluster.pods if isinstance(service, ServiceRef) else ():
                for onward, _ in simulator.decide(Flow(source, service, port, protocol)).backends:
                    self._behind[onward.destination, onward.port, onward.protocol].append(column)
                break  # the backends are the same for every source

    @property
    def columns(self) -> Iterable[tuple[End, int, Protocol]]:
        """Destinations, each with a port, for which something is declared."""
        return (*self._declared.columns, *self._behind)

    @property
    def outside(self) -> Collection[External]:
        """The addresses outside for which something is declared."""
        return self._declared.outside

    def verdict(self, source: End, destination: End, port: int, protocol: Protocol) -> Verdict | None:
        found = self._declared.verdict(source, destination, port, protocol)
        for column in self._behind.get((destination, port, protocol), ()) if found is None else ():
            found = found or self._declared.verdict(source, *column)
        return found

    def needed(self, direction: Direction, end: End) -> Iterator[Flow]:
        """The flows of an end in a direction that are declared as allowed."""
        if direction is Direction.EGRESS:
            flows = self._declared.allowed_from(end)
        else:
            flows = self._declared.allowed_to(end)
        for flow in flows:
            if isinstance(flow.destination, ServiceRef):
                yield from (onward for onward, _ in self._simulator.decide(flow).backends)
            else:
                yield flow
        if direction is Direction.INGRESS:
            for (destination, _, _), columns in self._behind.items():
                for service, _, _ in columns if destination == end else ():
                    for flow in self._declared.allowed_to(service):
                        backends = (onward for onward, _ in self._simulator.decide(flow).backends)
                        yield from (onward for onward in backends if onward.destination == end)
