"""The lab's network: implements `state.Fabric` on this machine's kernel.

All work on links runs in order in one thread of its own, since it enters other network namespaces; the event
loop goes on meanwhile. A pod is taken down in a strict order, processes before link before namespace: kernels
have panicked when it was not kept.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from netprobe.errors import LabError
from netprobe.lab.fabric import addresses as plan
from netprobe.lab.fabric import faults, kernel, plumbing, services
from netprobe.lab.fabric.enforcer import Enforcer, Loader, read_rules
from netprobe.lab.fabric.listeners import Listeners
from netprobe.lab.fabric.process import LabProcess, Sandbox
from netprobe.lab.fabric.ruleset import POLICIES
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.fabric.state import CountedRule, LabNode, NetworkState, PolicyPod
from netprobe.lab.fabric.table import NftTable
from netprobe.lab.options import LabOptions
from netprobe.model.flow import Address, PodRef

if TYPE_CHECKING:
    from netprobe.lab.fabric.names import Zone

T = TypeVar("T")

SERVES = "netprobe.dev/serves"
"""On a pod: "dns" for one that answers for the cluster's names on port 53."""

# Refusals are results here, and by default the kernel sends each client only one a second.
_EVERY_REFUSAL = {"ipv4/icmp_ratemask": 0}
_EVERY_REFUSAL_6 = {"ipv6/icmp/ratelimit": 0}
_ROUTER = {
    "ipv4/ip_forward": 1,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/send_redirects": 0,  # a pod may reach itself through a Service, over one link
    "ipv4/conf/default/send_redirects": 0,
}
_ROUTER_6 = {"ipv6/conf/all/forwarding": 1, "ipv6/conf/default/forwarding": 1}
_QUIET_6 = {"ipv6/conf/default/addr_gen_mode": 1, "ipv6/conf/default/accept_ra": 0}
_NO_6 = {"ipv6/conf/all/disable_ipv6": 1, "ipv6/conf/default/disable_ipv6": 1}
_TOGETHER = 64  # links that are deleted in one message
_POD = {"ipv4/ip_unprivileged_port_start": 0}


def _has_ipv6() -> bool:
    return Path("/proc/sys/net/ipv6").exists()


@dataclass(slots=True)
class _Segment:
    """A network namespace that pods are linked to, the fabric itself or a node, with its netlink socket."""

    network: int
    channel: plumbing.Channel
    addresses: tuple[Address, ...] = ()
    uplink: int = 0  # the index of a node's link in the fabric


@dataclass(slots=True)
class _Pod:
    spec: PolicyPod
    addresses: tuple[Address, ...]
    network: int
    sandbox: Sandbox
    link: str | None = None  # None: shares its node's network
    index: int = 0
    started: bool = False
    listeners: Listeners = field(default_factory=Listeners)
    late: asyncio.Task[None] | None = None  # a fault makes it listen later


class LabNetwork:
    """Made by `await LabNetwork.open(...)`, ended by `await close()`."""

    nodes: Sequence[LabNode]
    _fabric: _Segment
    _enforcer: Enforcer

    def __init__(self, spawner: Spawner, options: LabOptions) -> None:
        self._spawner = spawner
        self._options = options
        self._versions = plan.versions(options.ip_families)
        self.nodes = tuple(plan.node(n, options.ip_families) for n in range(1, options.nodes + 1))
        self._addresses = plan.Addresses(self.nodes, options.ip_families)
        self._pods: dict[PodRef, _Pod] = {}
        self._leaving: deque[_Pod] = deque()
        self._indexes = itertools.count(10)
        self._thread = ThreadPoolExecutor(1, "links")
        self._segments: dict[str, _Segment] = {}
        self._tables: dict[NftTable, dict[str, Loader]] = {}
        self._state = NetworkState({}, {}, [])
        self._zone: Zone | None = None  # of the state
        self._lost: set[tuple[str, str]] = set()  # nodes, and the node that each no longer reaches

    @classmethod
    async def open(cls, spawner: Spawner, options: LabOptions) -> LabNetwork:
        """Bring up the fabric and the nodes. LabError if this machine lacks something for it."""
        self = cls(spawner, options)
        if 6 in self._versions and not _has_ipv6():
            raise LabError("the lab was started with IPv6, which this kernel does not have")
        await self._in_thread(self._raise_nodes)
        for table in (services.table(self._versions), POLICIES):
            self._tables[table] = {name: Loader(one.network, table) for name, one in self._segments.items()}
        of_services, of_policies = self._tables.values()
        self._enforcer = Enforcer(
            options,
            self.nodes,
            versions=self._versions,
            services=of_services,
            policies=of_policies,
            links=self._links,
        )
        return self

    def _links(self, node: str) -> dict[PodRef, str]:
        """The links that a node filters: those of its pods, and not those of external hosts."""
        return {
            ref: pod.link
            for ref, pod in self._pods.items()
            if pod.link is not None and pod.spec.node == node and not pod.spec.external
        }

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise LabError(f"the lab's network cannot be changed: {error}") from error

    # Nodes

    def _raise_nodes(self) -> None:
        network = kernel.current_network()
        self._tune(network, router=True)
        self._fabric = _Segment(network, plumbing.Channel(network))
        for number, node in enumerate(self.nodes, 1):
            network = kernel.new_network()
            self._tune(network, router=True)
            segment = _Segment(network, plumbing.Channel(network), node.addresses, next(self._indexes))
            self._segments[node.name] = segment
            plumbing.add_link(self._fabric.channel, node.name, segment.uplink, network)
            plumbing.raise_inner(segment.channel, node.addresses)
            plumbing.raise_outer(self._fabric.channel, segment.uplink, node.addresses)
            self._add_block(segment, number)

    def _add_block(self, segment: _Segment, number: int) -> None:
        """Route a block of the pod network to a node."""
        for address in segment.addresses:
            block = plan.block(number, address.version)
            plumbing.add_route(self._fabric.channel, block, segment.uplink, address)
            plumbing.add_blackhole(segment.channel, address.version, block)

    def _tune(self, network: int, *, router: bool) -> None:
        values = _EVERY_REFUSAL | (_ROUTER if router else _POD)
        if 6 in self._versions:
            values |= _EVERY_REFUSAL_6 | _QUIET_6 | (_ROUTER_6 if router else {})
        elif _has_ipv6():
            values |= _NO_6
        kernel.set_sysctls(network, values)

    # Pods

    async def place(self, pod: PolicyPod) -> tuple[Address, ...]:
        segment = self._segments[pod.node]
        new_block = None
        shares_node = pod.host_network and not pod.external
        if pod.external:
            self._addresses.claim(pod.addresses)
            placed = pod.addresses
        elif shares_node:
            placed = segment.addresses
        else:
            placed, new_block = self._addresses.take(pod.node)
        index = next(self._indexes)

        def make() -> int:
            if new_block is not None:
                self._add_block(segment, new_block)
            if shares_node:
                return segment.network
            network = kernel.new_network()
            self._tune(network, router=False)
            outside = self._fabric if pod.external else segment
            plumbing.add_link(outside.channel, f"p{index}", index, network)
            return network

        try:
            network = await self._in_thread(make)
        except LabError:
            self._addresses.give_back(() if shares_node else placed)
            raise
        home = Sandbox(self._spawner, pod.ref, network, placed)
        link = None if shares_node else f"p{index}"
        self._pods[pod.ref] = _Pod(pod, placed, network, home, link, index)
        return placed

    async def enforce(self, state: NetworkState) -> None:
        self._state, self._zone = state, None
        await self._lose_paths(state)
        await self._enforcer.enforce(state)

    async def _lose_paths(self, state: NetworkState) -> None:
        """Open and close the paths between nodes that faults ask for."""
        wanted = {
            (name, lost)
            for name, annotations in state.nodes.items()
            if (lost := faults.lost_towards(annotations)) in self._segments and lost != name
        }
        before, self._lost = self._lost, wanted
        for change, pairs in (
            (plumbing.add_blackhole, wanted - before),
            (plumbing.delete_blackhole, before - wanted),
        ):
            for node, lost in pairs:
                await self._in_thread(functools.partial(self._lose, change, node, lost))

    def _lose(self, change: Callable[[plumbing.Channel, int, str], None], node: str, lost: str) -> None:
        number = [other.name for other in self.nodes].index(lost) + 1
        for version in self._versions:
            change(self._segments[node].channel, version, plan.block(number, version))

    async def rules(self) -> list[CountedRule]:
        found = []
        for table, loaders in self._tables.items():
            listed = await asyncio.gather(*(loader.listing() for loader in loaders.values()))
            for node, text in zip(loaders, listed, strict=True):
                found += read_rules(node, table.name, text)
        return found

    async def start(self, ref: PodRef) -> None:
        pod = self._known(ref)
        if pod.started:
            return
        if pod.link is not None:
            await self._in_thread(lambda: self._raise_pod(pod))
        how = faults.listening(pod.spec.annotations)
        if how.after_s == 0:
            await self._listen(pod, how)
        elif how.after_s is not None:
            pod.late = asyncio.create_task(self._listen(pod, how))
        pod.started = True

    async def _listen(self, pod: _Pod, how: faults.Listening) -> None:
        await asyncio.sleep(how.after_s or 0.0)
        respond = self._respond if pod.spec.annotations.get(SERVES) == "dns" else None
        versions = sorted(how.versions.intersection(address.version for address in pod.addresses))
        await pod.listeners.open(pod.network, pod.spec.ports, versions, respond, loopback=how.loopback)

    def _respond(self, question: bytes, datagram: bool) -> bytes | None:
        """Implements listeners.Respond with the names of the newest state."""
        if self._zone is None:
            from netprobe.lab.fabric.names import Zone  # late: see there

            self._zone = Zone(self._state)
        return self._zone.respond(question, datagram=datagram)

    def _raise_pod(self, pod: _Pod) -> None:
        with plumbing.Channel(pod.network) as inside:
            plumbing.raise_inner(inside, pod.addresses)
        segment = self._segment(pod)
        plumbing.raise_outer(segment.channel, pod.index, pod.addresses, segment.addresses)

    async def remove(self, ref: PodRef) -> None:
        pod = self._pods.pop(ref, None)
        if pod is None:
            return
        if pod.late is not None:
            pod.late.cancel()
        await pod.sandbox.close()
        pod.listeners.close()
        if pod.link is not None:
            self._leaving.append(pod)
            await self._in_thread(self._take_away)
            self._addresses.give_back(pod.addresses)

    def _take_away(self) -> None:
        """Delete the links of all pods that are leaving now, then their namespaces."""
        leaving = [self._leaving.popleft() for _ in range(min(len(self._leaving), _TOGETHER))]
        for segment in (self._fabric, *self._segments.values()):
            if indexes := [pod.index for pod in leaving if self._segment(pod) is segment]:
                plumbing.delete_links(segment.channel, indexes)
        for pod in leaving:
            os.close(pod.network)

    def _segment(self, pod: _Pod) -> _Segment:
        return self._fabric if pod.spec.external else self._segments[pod.spec.node]

    async def exec(
        self, ref: PodRef, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> LabProcess:
        pod = self._known(ref)
        if not pod.started:
            raise LabError(f"{ref} is not running yet")
        if not argv or any("\0" in word for word in argv):
            raise LabError("the command is empty or contains a zero byte")
        try:
            return await pod.sandbox.exec(argv, stdin=stdin, tty=tty)
        except OSError as error:
            raise LabError(f"failed to exec in container: {error}") from error

    def _known(self, ref: PodRef) -> _Pod:
        if ref not in self._pods:
            raise LabError(f"the lab has no pod {ref}")
        return self._pods[ref]

    # The end

    async def close(self) -> None:
        """Take everything down in order; a namespace ends with its last descriptor."""
        await asyncio.gather(*(self.remove(ref) for ref in list(self._pods)))
        await self._in_thread(self._lower_nodes)
        self._thread.shutdown()

    def _lower_nodes(self) -> None:
        for segment in self._segments.values():
            plumbing.delete_links(self._fabric.channel, [segment.uplink])
            segment.channel.close()
            os.close(segment.network)
        self._fabric.channel.close()
        os.close(self._fabric.network)
