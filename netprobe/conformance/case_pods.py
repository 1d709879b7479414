"""What a case creates while its policies are in force: pods, the namespace v, and open connections.

The namespace is created before its policies, pods after the policies of their step. Some clusters refuse
hostNetwork pods (the Pod Security Standard "baseline" forbids them), so only cases that need them create any.

Whether a node reaches a pod that runs on it is shown by the pod's readiness probe. "Traffic is allowed ... if
the traffic source is the pod's local node" (types.go), and the kubelet is the only process of a node that any
user can make connect to a pod; a hostNetwork pod is not the same as the node for every network plugin (docs).

What happens to an open connection when policies change is up to the implementation (website PR #43438) and
not tested. New connections between the same pods must follow the new policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address
from typing import Final, Self

from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.fixture_map import FixtureMap
from netprobe.conformance.world import KUBELET, ON_HOST, PASSING, PROBED_PORT, Cell, served_ports
from netprobe.errors import ClusterError, NotFoundError, WorkbenchError
from netprobe.model.flow import ContainerPort, End, PodRef
from netprobe.model.objects import Object
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.probe import ClusterAPI, PodOptions, Station, Workbench
from netprobe.probe.bench import station
from netprobe.probe.judge import judge
from netprobe.probe.readiness import is_ready, runs
from netprobe.probe.run_objects import RUN, on_node_network, pod

READINESS_PROBE: Final = {
    "tcpSocket": {"port": int(PROBED_PORT.partition("/")[0])},
    "periodSeconds": 1,
    "timeoutSeconds": 1,
    "failureThreshold": 3,
}
PROBE_SETTLED_S: Final = 6.0
"""Three failures a second apart, and the time until the kubelet has written the pod's status."""

OPENED_S: Final = 10.0
KEPT_S: Final = 120
"""A connection ends after this time on its own, in case its exec is lost."""
KEEP_OPEN: Final = 'sleep "$3" | nc -v "$1" "$2" 2>&1'


class CasePods:
    """Use as `async with`, one per case. `site` and `stations` know the pods that were created so far."""

    def __init__(
        self, cluster: ClusterAPI, bench: Workbench, case: Case, site: FixtureMap, *, options: PodOptions
    ) -> None:
        self.site = site
        self.stations: dict[End, Station] = {}
        self._cluster = cluster
        self._bench = bench
        self._run = bench.run
        self._options = options
        self._probed = {end.removeprefix(KUBELET) for end in case.scope.extra if end.startswith(KUBELET)}
        self._passing = False
        self._reached: str | None = None  # the node whose kubelet last reached a pod of the case

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for made in self.stations.values():
            with suppress(NotFoundError):
                await self._cluster.delete("Pod", made.pod, made.namespace)
        if self._passing:
            with suppress(NotFoundError):
                await self._cluster.delete("Namespace", self.site.namespaces[PASSING])

    async def clear(self, step: CaseStep) -> bool:
        """Before a step's change: remove the pods that it does not have, and prepare its namespace.

        Returns whether the namespace v, and so every policy in it, is gone or new. WorkbenchError if the
        namespace does not go away.
        """
        away = self._passing and (not step.passing or PASSING in step.remade)
        kept = {self.site.pod(name) for name in step.pods if name not in step.remade}
        for ref in [ref for ref in self.stations if isinstance(ref, PodRef) and ref not in kept]:
            gone = self.stations.pop(ref)
            if not (away and gone.namespace == self.site.namespaces[PASSING]):
                await self._cluster.delete("Pod", gone.pod, gone.namespace)
        if away:
            await self._remove()
        if not step.passing or self._passing:
            return away
        await self._bench.namespace(self.site.namespaces[PASSING], self.site.labels(PASSING, step))
        self._passing = True
        return True

    async def _remove(self) -> None:
        """Delete the namespace and wait until it is gone, so that probes see a cluster without it."""
        name = self.site.namespaces[PASSING]
        self._passing = False
        self.stations = {end: made for end, made in self.stations.items() if made.namespace != name}
        await self._bench.remove_namespace(name)

    async def make(self, step: CaseStep) -> None:
        """Create the missing pods of a step and wait until they are ready.

        ForbiddenError if the cluster does not admit them, WorkbenchError if one never becomes ready.
        """
        for name in step.pods:
            ref = self.site.pod(name)
            if ref in self.stations:
                continue
            # Whether a pod that the kubelet probes becomes ready is the question of the case.
            until = runs if name in self._probed else is_ready
            live = (await self._bench.start([self._object(name, step)], until=until))[ref]
            made = station(ref, live)
            self.stations[ref] = made
            addresses = {name: made.addresses, f"{KUBELET}{name}": (ip_address(live["status"]["hostIP"]),)}
            self.site = self.site.with_pods(addresses, {name: made.node or ""})

    def _object(self, name: str, step: CaseStep) -> Object:
        ref, labels, ports = self.site.pod(name), self.site.labels(name, step), served_ports(name)
        if name not in ON_HOST:
            obj = pod(ref, self._run, self._options, labels=labels, ports=ports)
            if name in self._probed:
                obj["spec"]["containers"][0]["readinessProbe"] = READINESS_PROBE
            return obj
        ports = tuple(ContainerPort(self.site.host_port, port.protocol, port.name) for port in ports)
        node = self.site.nodes[ON_HOST[name]] or None
        obj = pod(ref, self._run, self._options, labels=labels, ports=ports, node=node)
        return on_node_network(obj)

    async def observe_probe(self, name: str, *, listener: str | None) -> Observation:
        """The kubelet's view of a pod of the case, once it has had time to change.

        `listener`: how the pod is known to serve the port. The path is proven if the kubelet of that node has
        reached a pod of the case. NotFoundError if the pod is gone.
        """
        await asyncio.sleep(PROBE_SETTLED_S)
        ref = self.site.pod(name)
        pods = await self._cluster.find("Pod", ref.namespace, {RUN: self._run})
        live = next((one for one in pods if one["metadata"]["name"] == ref.name), None)
        if live is None:
            raise NotFoundError(f"the pod {ref} is gone")
        node = self.stations[ref].node
        outcome = Outcome.CONNECTED if is_ready(live) else Outcome.TIMED_OUT
        control = Control(listener, "pair" if self._reached == node else None)
        if outcome is Outcome.CONNECTED:
            self._reached = node
        verdict, reason = judge(outcome, control)
        return Observation(outcome, verdict, control, reason)


@asynccontextmanager
async def kept_open(
    cluster: ClusterAPI, site: FixtureMap, stations: Mapping[End, Station], cells: Iterable[Cell]
) -> AsyncIterator[None]:
    """Open a connection per cell and keep them until the end. WorkbenchError if one does not open."""
    async with AsyncExitStack() as stack:
        for cell in cells:
            if why := await _open(stack, cluster, site, stations[site.end(cell.source)], cell):
                ends = f"{cell.source} -> {cell.destination} {cell.port}"
                raise WorkbenchError(f"the connection {ends} did not open: {why}")
        yield


async def _open(
    stack: AsyncExitStack, cluster: ClusterAPI, site: FixtureMap, source: Station, cell: Cell
) -> str | None:
    """Open a connection until the stack ends. Returns why it did not open, None if it did."""
    host, port = str(site.addresses[cell.destination][0]), cell.port.partition("/")[0]
    command = ["sh", "-c", KEEP_OPEN, "netprobe", host, port, str(KEPT_S)]
    why = "nc ended"
    try:
        async with asyncio.timeout(OPENED_S):
            execution = await stack.enter_async_context(
                cluster.exec(source.namespace, source.pod, source.container, command, stdin=False)
            )
            async for line in execution.lines():
                if "open" in line or "succeeded" in line:  # BusyBox', OpenBSD's
                    return None
                why = line
    except TimeoutError:
        why = f"not after {OPENED_S:g} s"
    except ClusterError as error:
        why = str(error)
    return why
