"""One fixture: nine pods, a canary pair on each node, and a prober that is reused for all cases.

Theory of operation. A fixture goes from one state of policies and labels to the next; each state has its own
cells to probe. With every change the canaries get the change's number: in their policy, in a label of their
namespace and in a label of the client. The policy opens one of two ports for that number only, and the same
port was closed in the previous state (every full round includes it). So a connection to it shows that
policies, namespace labels and pod labels have arrived, and rounds that start afterwards are not older than
the change. Rounds are repeated until two agree (netprobe.probe.settle).

Besides the baseline, a path is proven by any pair that connected between the same two places: in the
baseline, or with a pod that was created later and has no baseline. A place is a node's pod network, or the
node's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, TypeAlias

from netprobe.conformance import world
from netprobe.conformance.case import Labels
from netprobe.conformance.fixture_map import FixtureMap
from netprobe.errors import NotFoundError
from netprobe.model.cluster import Namespace
from netprobe.model.flow import Address, ContainerPort, End, External, Flow, Pod, PodRef, ServiceRef
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.policies.records import TIER
from netprobe.probe import ClusterAPI, OutsideHost, Pace, Prober, Station, Unplaced, Workbench, canary
from netprobe.probe.bench import together
from netprobe.probe.canary import Canaries, Canary, CanaryWatch
from netprobe.probe.run_objects import ROLE
from netprobe.probe.settle import settle

CANARIES: Final = "k"
MOST_FIXTURES: Final = 16
HOST_PORTS: Final = 4096  # ports from HOST_PORT on: above the kernel's ephemeral range
OUTSIDE_PORTS: Final = (ContainerPort(80), ContainerPort(81))


@dataclass(frozen=True, slots=True)
class FixturePlan:
    """The objects of one fixture. Pods a and c run on the first node, b on the second if there is one.

    `kinds`: those of cases that the canaries have to show.
    """

    run: str
    index: int
    nodes: tuple[str, ...]
    kinds: tuple[str, ...] = ()

    def name(self, short: str) -> str:
        return f"netprobe-{self.run}-{self.index}{short}"

    def ref(self, name: str) -> PodRef:
        namespace, _, pod = name.partition("/")
        return PodRef(self.name(namespace), pod)

    @property
    def mark(self) -> str:
        """The value of the label FIXTURE of the namespaces that cases are about."""
        return f"{self.run}-{self.index}"

    def namespaces(self) -> Iterable[Namespace]:
        mark = {world.FIXTURE: self.mark}
        for short in world.NAMESPACES:
            yield Namespace(self.name(short), {"ns": short, **mark})
        yield Namespace(self.name(world.EMPTY), mark)
        yield Namespace(self.name(CANARIES), {})

    def pods(self) -> Iterable[Pod]:
        for name in world.PODS:
            ref = self.ref(name)
            node = self.nodes["abc".index(ref.name) % len(self.nodes)] if self.nodes else None
            yield Pod(ref, {"pod": ref.name}, ports=world.served_ports(name), node=node)
        for (client, target), node in zip(self.pairs(), self.nodes or (None,), strict=True):
            yield Pod(client, {}, node=node)
            yield Pod(target, {ROLE: canary.TARGET}, ports=canary.ports(self.kinds), node=node)

    def pairs(self) -> tuple[tuple[PodRef, PodRef], ...]:
        """The clients of the canaries with their targets, a pair for each node."""
        home = self.name(CANARIES)
        return tuple(
            (PodRef(home, f"client-{number}"), PodRef(home, f"target-{number}"))
            for number in range(max(1, len(self.nodes)))
        )

    @property
    def host_port(self) -> int:
        """The port of hostNetwork pods, which rarely collides with another fixture or run."""
        return world.HOST_PORT + (int(self.run, 16) * MOST_FIXTURES + self.index) % HOST_PORTS

    def hosts(self) -> Iterable[OutsideHost]:
        """Hosts outside; their addresses in 203.0.113.0/24 depend on the run, since runs may share a lab."""
        base = int(self.run, 16) % 100 * 2
        for number, name in enumerate(world.OUTSIDE):
            last = 1 + (base + self.index * len(world.OUTSIDE) + number) % 254
            yield OutsideHost(External(ip_address(f"203.0.113.{last}"), name), OUTSIDE_PORTS)

    async def made(
        self, cluster: ClusterAPI, bench: Workbench, versions: Mapping[str, str], *, lab: bool
    ) -> FixtureMap:
        """The names and addresses of a fixture that was created, its Service included."""
        addresses: dict[str, tuple[Address, ...]] = {}
        nodes: dict[str, str] = {}
        for name in world.PODS:
            station = bench.stations[self.ref(name)]
            addresses[name] = station.addresses
            nodes[name] = station.node or ""
        if lab:
            addresses |= {host.external.name or "": (host.external.address,) for host in self.hosts()}
        names = {short: self.name(short) for short in (*world.NAMESPACES, world.EMPTY, world.PASSING)}
        site = FixtureMap(names, addresses, nodes, self.host_port, self.mark, versions)
        service = site.service()
        await bench.apply(service)
        meta = service["metadata"]
        made = await cluster.get("Service", meta["name"], meta["namespace"])
        spec = made["spec"]
        given = spec.get("clusterIPs") or [spec["clusterIP"]]
        return site.with_pods({world.SERVICE: tuple(map(ip_address, given))}, {})


NodeNetwork: TypeAlias = tuple[str | None, bool]
"""A node's name, and whether this is the node's own network, not that of its pods."""


@dataclass(frozen=True, slots=True)
class State:
    """What exists in a fixture: policies by kind, namespace and name, and labels added to the usual ones."""

    policies: Mapping[tuple[str, str, str], Object] = field(default_factory=dict)
    labels: Labels = field(default_factory=dict)

    @property
    def kinds(self) -> set[str]:
        """The kinds of the policies that have their own canary policy."""
        return {kind for kind, _, _ in self.policies} & canary.OPENING.keys()


class CaseFixture:
    """Use as `async with`.

    `pairs`: the clients of the canaries with their targets, a pair for each node. `flows`: every flow among
    the nine pods that any case will probe.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        bench: Workbench,
        site: FixtureMap,
        *,
        pairs: Sequence[tuple[PodRef, PodRef]],
        flows: Iterable[Flow],
        pace: Pace,
    ) -> None:
        self.site = site
        self.enforcing: bool | None = None
        self.lacks_services = False
        self._cluster = cluster
        self._bench = bench
        self._pairs = tuple(pairs)
        self._pace = pace
        self._state = State()
        self._number = 0
        self._before: dict[Flow, Verdict] = {}
        own = {*site.namespaces.values(), *(client.namespace for client, _ in pairs)}
        hosts = {site.end(name) for name in site.addresses if name.startswith("out:")}
        self.stations = {
            end: station
            for end, station in bench.stations.items()
            if (isinstance(end, PodRef) and end.namespace in own) or end in hosts
        }
        canaries = [Flow(*pair, port.number) for pair in pairs for port in canary.PORTS]
        self._flows = tuple(dict.fromkeys((*flows, *canaries)))
        found = [Canary(bench.stations[client], bench.stations[target]) for client, target in pairs]
        home = next((client.namespace for client, _ in pairs), "")
        self._canaries = Canaries(cluster, bench, bench.run, home, found, pod_labels=True)
        self._canary_sessions = canary.sessions(cluster, pace)
        self._watches = [CanaryWatch(one, self._canary_sessions) for one in found]
        self._prober = self._new_prober(self._flows)
        self._served: set[Flow] = set()  # of Services: what answered before any policy was there
        self._joined: set[tuple[NodeNetwork, NodeNetwork]] = set()  # between which something connected

    async def __aenter__(self) -> CaseFixture:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(self._prober.__aexit__(*error), self._canary_sessions.close())

    async def prepare(self) -> None:
        """Probe the baseline and apply the canaries' first policy; sets `enforcing` and `lacks_services`."""
        await self._prober.baseline()
        one_of_each = {self._places(flow): flow for flow in self._flows}.values()
        seen = await self._prober.round(one_of_each)
        connected = {flow for flow, o in seen.items() if o.outcome is Outcome.CONNECTED}
        self._joined = set(map(self._places, connected))
        await self._prove_services()
        await self._canaries.announce(0)
        signs = (watch.closed(1, self._pace.canary_s) for watch in self._watches)
        self.enforcing = canary.overall(await asyncio.gather(*signs)).enforcing

    async def _prove_services(self) -> None:
        """Probe each Service until it answers: nodes learn about a new Service with a delay."""
        services = [flow for flow in self._flows if isinstance(flow.destination, ServiceRef)]
        wanted, end = services, asyncio.get_running_loop().time() + self._pace.canary_s
        while wanted and asyncio.get_running_loop().time() < end:
            seen = await self._prober.round(wanted)
            self._served |= {flow for flow, o in seen.items() if o.outcome is Outcome.CONNECTED}
            wanted = [flow for flow in wanted if flow not in self._served]
            await asyncio.sleep(self._pace.retry_s if wanted else 0)
        self.lacks_services = bool(services) and not self._served

    def lost(self, namespace: str) -> None:
        """A namespace is gone or new: nothing that was applied in it exists any more."""
        kept = {key: obj for key, obj in self._state.policies.items() if key[1] != namespace}
        self._state = State(kept, self._state.labels)

    async def change(
        self, state: State, then: Callable[[], Awaitable[None]] | None = None
    ) -> tuple[float | None, str | None]:
        """Go to another state, call `then`, and wait until the state is in force.

        Returns the seconds that it took, and a sentence if it was not seen to arrive.
        """
        changed = self._state.kinds | state.kinds
        await self._go(state)
        if then is not None:
            await then()
        self._number += 1
        ports = await self._canaries.announce(self._number, sorted(changed))
        now = asyncio.get_running_loop().time
        answered = now()
        deadline_s = self._pace.canary_s
        turned = await asyncio.gather(*(watch.opened(ports, deadline_s) for watch in self._watches))
        late = [client.name for (client, _), at in zip(self._pairs, turned, strict=True) if at is None]
        if late:
            return None, f"the change was not seen at {', '.join(late)} within {deadline_s:g} s"
        return max(0.0, *(at - answered for at in turned if at is not None)), None

    async def observe(
        self, flows: Sequence[Flow], late: Mapping[End, Station] | None = None
    ) -> Matrix[Observation]:
        """Probe until stable, canaries included. `late`: stations that were created during the case."""
        closed = [Flow(*pair, canary.port_of(self._number + 1)) for pair in self._pairs]
        opened = [Flow(*pair, canary.port_of(self._number)) for pair in self._pairs]
        asked = tuple(dict.fromkeys((*flows, *closed, *opened)))
        if not late:
            settled = await settle(self._prober.round, asked, self._pace, self._before)
        else:
            ours = late.keys()
            theirs = [flow for flow in flows if {flow.source, flow.destination} & ours]
            async with self._new_prober(theirs, late) as prober:

                async def both(some: Sequence[Flow]) -> dict[Flow, Observation]:
                    new = [flow for flow in some if {flow.source, flow.destination} & ours]
                    old = [flow for flow in some if not {flow.source, flow.destination} & ours]
                    first, second = await asyncio.gather(self._prober.round(old), prober.round(new))
                    return {**first, **second}

                settled = await settle(both, asked, self._pace, self._before)
            stations = {**self.stations, **late}
            self._joined |= {
                self._places(flow, stations)
                for flow in theirs
                if settled.cells[flow].outcome is Outcome.CONNECTED
            }
        self._before |= {flow: cell.verdict for flow, cell in settled.cells.items()}
        self.enforcing = all(settled.cells[flow].verdict is not Verdict.ALLOW for flow in closed)
        return Matrix((flow, settled.cells[flow]) for flow in flows)

    async def _go(self, state: State) -> None:
        gone = self._state.policies.keys() - state.policies.keys()
        new = {key: obj for key, obj in state.policies.items() if self._state.policies.get(key) != obj}
        await together(*(self._bench.apply(obj) for key, obj in new.items() if key[0] == TIER))
        calls: list[Awaitable[None]] = [self._bench.apply(obj) for key, obj in new.items() if key[0] != TIER]
        calls += [self._delete(*key) for key in gone if key[0] != TIER]
        for name in {*self._state.labels, *state.labels} - {world.PASSING}:  # it is made with its labels
            old, wanted = self._state.labels.get(name, {}), state.labels.get(name, {})
            if old != wanted:
                target = self.site.pod(name) if "/" in name else self.site.namespaces[name]
                calls.append(self._bench.label(target, {**dict.fromkeys(old), **wanted}))
        # Until all calls are done, objects of either state may exist; the next change repairs a failure.
        before = self._state
        self._state = State({**before.policies, **state.policies}, _both(before.labels, state.labels))
        await together(*calls)
        await together(*(self._delete(*key) for key in gone if key[0] == TIER))  # after its policies
        self._state = state

    async def _delete(self, kind: str, namespace: str, name: str) -> None:
        with suppress(NotFoundError):  # never created: that change failed
            await self._bench.delete(kind, name, namespace or None)

    def _new_prober(self, flows: Iterable[Flow], late: Mapping[End, Station] | None = None) -> Prober:
        stations = {**self.stations, **(late or {})}

        def locate(flow: Flow) -> str | Unplaced:
            end = flow.destination
            if end in stations:
                address = stations[end].address(flow.family)
                return str(address) if address else Unplaced(f"{end} has no IPv{flow.family} address")
            if isinstance(end, ServiceRef):
                return str(self.site.addresses[f"svc:y/{end.name}"][0])
            return Unplaced(f"{end} does not exist")

        def path(flow: Flow) -> str | None:
            return "pair" if self._places(flow, stations) in self._joined else None

        return Prober(
            self._cluster,
            stations,
            flows,
            pace=self._pace,
            locate=locate,
            path=path if late else lambda flow: "baseline" if flow in self._served else None,
        )

    def _places(
        self, flow: Flow, stations: Mapping[End, Station] | None = None
    ) -> tuple[NodeNetwork, NodeNetwork]:
        known = stations or self.stations
        on_host = set(map(self.site.pod, world.ON_HOST))

        def place(end: End) -> NodeNetwork:
            station = known.get(end)
            return station.node if station else None, end in on_host

        return place(flow.source), place(flow.destination)


def _both(some: Labels, others: Labels) -> Labels:
    return {name: {**some.get(name, {}), **others.get(name, {})} for name in {*some, *others}}
