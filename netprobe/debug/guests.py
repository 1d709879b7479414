"""The pods that send: a shadow of the source, policy-free pods on the nodes involved, ephemeral containers.

An ephemeral container is in a real pod. It runs one command with its input attached (`stdinOnce`), so it ends
when netprobe detaches, even if netprobe is killed. It cannot be removed: it stays in the pod, terminated,
until the pod is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from netprobe.debug.facts import Facts
from netprobe.debug.records import Leg, Listener, Source
from netprobe.errors import WorkbenchError
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object
from netprobe.probe import surroundings
from netprobe.probe.api import Execution
from netprobe.probe.conflicts import side_effects
from netprobe.probe.guest_workbench import NEVER_COPIED, GuestPlan, GuestWorkbench, Shadow, shadow_labels
from netprobe.probe.plan import Station
from netprobe.probe.readiness import CANNOT_START
from netprobe.probe.run_objects import ROLE, RUN, PodOptions, run_namespace
from netprobe.simulate.vocabulary import Vocabulary

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster

MOST_NODES: Final = 4
STAYS: Final = (
    "adding an ephemeral container to {pod}: it ends with this command and cannot be removed; it stays in "
    "the pod, terminated, until the pod is deleted"
)
GO: Final = "go\n"
"""The command waits for this line, so that nothing is printed before netprobe is attached."""

READ_S: Final = 10.0
POLL_S: Final = 0.2


def plan_guests(
    facts: Facts, source: Source, legs: Iterable[Leg], run: str, *, shadow: bool, disturb: bool
) -> tuple[GuestPlan, str]:
    """A shadow of the source, if it does no harm, and policy-free pods on its node and on the legs' nodes.

    Also why there is no shadow; "" if there is one, or if none is wanted.
    """
    pod = source.pod
    nodes = [pod.node if pod and pod.runs else None, *(leg.node for leg in legs)]
    where = tuple(dict.fromkeys(node for node in nodes if node))[:MOST_NODES]
    without = GuestPlan((), where)
    if not shadow or pod is None:
        return without, ""
    model = facts.cluster.pods.get(pod.ref)
    if not pod.runs or model is None or model.node is None:
        return without, f"{pod} does not run"
    mentioned = [key for key, _ in Vocabulary(facts.cluster).labels(pod.ref.namespace, model.labels)]
    labels = shadow_labels(model.labels, model.labels if facts.others else mentioned)
    made = Shadow(PodRef(pod.ref.namespace, f"netprobe-{run}-0"), labels, model.node, (pod.ref,))
    if refused := _refusal(facts, made, mentioned, host_network=pod.host_network, disturb=disturb):
        return without, refused
    return GuestPlan((made,), where), ""


def _refusal(
    facts: Facts, shadow: Shadow, mentioned: Iterable[str], *, host_network: bool, disturb: bool
) -> str:
    """Why the shadow cannot be made; "" if it can."""
    real = shadow.stands_for[0]
    if host_network:
        return f"{real} is on its node's network, and a shadow pod there would need privileges"
    if never := NEVER_COPIED.intersection(mentioned):
        return f"a policy selects by {', '.join(never)}, which no shadow pod may have"
    blind = [facts.unread[kind] for kind in surroundings.KINDS if kind in facts.unread]
    if blind:
        return f"what would see a shadow pod is not known: {blind[0]}"
    harmed = [str(one) for one in side_effects([shadow], facts.around) if one.harmful]
    if harmed and not disturb:
        return f"a shadow pod would disturb other workloads: {harmed[0]} (--disturb creates it anyway)"
    return ""


def with_guests(cluster: Cluster, bench: GuestWorkbench, plan: GuestPlan) -> Cluster:
    """The cluster with the pods of the run, to simulate what the policies say about them."""
    home = run_namespace(bench.run)
    space = Namespace(home, {NAME_LABEL: home, RUN: bench.run})
    pods = dict(cluster.pods)
    labels = {shadow.ref: shadow.labels for shadow in plan.shadows}
    for station, own in (
        *((one, labels[guest_ref(one)]) for one in bench.stations.values()),
        *((one, {ROLE: "canary-client"}) for one in bench.clients.values()),
        *((one, {}) for one in bench.servers.values()),
    ):
        ref = guest_ref(station)
        pods[ref] = Pod(ref, {**own, RUN: bench.run}, station.addresses, node=station.node)
    return replace(cluster, pods=pods, namespaces={**cluster.namespaces, home: space})


def guest_ref(station: Station) -> PodRef:
    """The pod of the run that a station is in."""
    return PodRef(station.namespace, station.pod)


def container(name: str, options: PodOptions, command: Sequence[str]) -> Object:
    """The container; `command` as a shell with its script first: "sh", "-c", SCRIPT, arguments."""
    shell, flag, script, *arguments = command
    return {
        "name": name,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [shell, flag, f"read -r _\n{script}", *arguments],
        "stdin": True,
        "stdinOnce": True,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


@dataclass(frozen=True, slots=True)
class EphemeralContainers:
    """The ephemeral containers of one run; as an `Executes` it attaches to them."""

    cluster: KubeCluster
    options: PodOptions
    ready_s: float

    async def add(self, pod: PodRef, name: str, command: Sequence[str]) -> None:
        """Add one, and wait until it runs. ClusterError, or WorkbenchError if it cannot start."""
        await self.cluster.add_ephemeral(pod, container(name, self.options, command))
        try:
            async with asyncio.timeout(self.ready_s):
                while True:
                    if _runs(await self.cluster.get("Pod", pod.name, pod.namespace), name):
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError as e:
            raise WorkbenchError(
                f"the ephemeral container of {pod} does not run after {self.ready_s:g} s"
            ) from e

    async def listeners(self, pod: PodRef, name: str) -> tuple[Listener, ...]:
        """Add one that reads what the pod listens on; it shares the pod's network."""
        await self.add(pod, name, ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null", "netprobe"])
        async with asyncio.timeout(READ_S), self.exec(pod.namespace, pod.name, name, ()) as execution:
            return tuple(read_listeners([line async for line in execution.lines()]))

    @asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = True
    ) -> AsyncIterator[Execution]:
        """Attach to the command that the container has; `command` is that one."""
        del command, stdin
        async with self.cluster.attach(PodRef(namespace, pod), container) as execution:
            await execution.send(GO)
            yield execution


def _runs(pod: Object, name: str) -> bool:
    """Whether the container runs; WorkbenchError if it never will."""
    for status in (pod.get("status") or {}).get("ephemeralContainerStatuses") or ():
        if status["name"] == name:
            state = status.get("state") or {}
            reason = (state.get("waiting") or {}).get("reason", "")
            if "terminated" in state or reason in CANNOT_START:
                detail = (state.get("waiting") or state.get("terminated") or {}).get("message") or reason
                raise WorkbenchError(f"the ephemeral container {name} cannot start: {detail}")
            return "running" in state
    return False


def read_listeners(lines: Iterable[str]) -> Iterator[Listener]:
    """The listening sockets in /proc/net/tcp and tcp6 (proc(5): addresses in the host's byte order)."""
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[3] == "0A" and ":" in words[1]:
            address, port = words[1].split(":")
            numbers = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
            yield Listener(str(ip_address(b"".join(numbers))), int(port, 16))
