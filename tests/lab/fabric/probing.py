"""Pods, policies and probes for the tests of the lab's network: short to write, read as tables.

Probes are made by sockets in a pod's namespace, without programs: a table of some hundred flows in a
second. What a program sees is tested on its own (test_sandbox.py).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Any

from netprobe.lab.fabric import kernel
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.process import LabProcess
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.model.flow import Address, ContainerPort, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.model.policy import STANDARD_TIERS, Tier
from netprobe.policies.kinds import NETWORK_POLICY
from tests.lab.fabric.packetfilter import OPEN, REFUSED, SILENT, PacketFilter

__all__ = ["OPEN", "REFUSED", "SILENT"]

_NO_ANSWER_S = 1.5  # more than a busy machine takes for an answer
_ROUNDS = 10  # two would do: one in which the listener answers, one in which that is there to be read
_REFUSALS = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.EACCES}


def ports(*texts: str) -> tuple[ContainerPort, ...]:
    """ "80", "53/UDP" or "web=80": a number, a protocol, a name."""
    found = []
    for text in texts:
        name, _, rest = text.rpartition("=")
        number, _, protocol = rest.partition("/")
        found.append(ContainerPort(int(number), Protocol(protocol or "TCP"), name or None))
    return tuple(found)


def policy(name: str, spec: Mapping[str, Any]) -> Object:
    """A NetworkPolicy; `name` is "namespace/name"."""
    ref = PodRef.parse(name)
    return {"metadata": {"namespace": ref.namespace, "name": ref.name}, "spec": dict(spec)}


_INSTALLED: dict[int, tuple[Object, InstalledPolicy]] = {}


def installed(policies: Iterable[Object | InstalledPolicy]) -> list[InstalledPolicy]:
    """The records of NetworkPolicies: the same one for the same object, as the daemon has it."""
    found = []
    for one in policies:
        if isinstance(one, InstalledPolicy):
            found.append(one)
            continue
        annotations = one["metadata"].get("annotations") or {}
        record = InstalledPolicy(NETWORK_POLICY.policy(one), annotations)
        found.append(_INSTALLED.setdefault(id(one), (one, record))[1])
    return found


@dataclass
class World:
    """The pods of a network and what is said of them; kept in step with the network by its methods."""

    network: LabNetwork | PacketFilter
    namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[PodRef, PolicyPod] = field(default_factory=dict)
    policies: list[Object | InstalledPolicy] = field(default_factory=list)
    tiers: Sequence[Tier] = STANDARD_TIERS
    nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)  # further fields of the state

    def state(self) -> NetworkState:
        return NetworkState(
            dict(self.namespaces),
            dict(self.members),
            installed(self.policies),
            tiers=self.tiers,
            nodes=self.nodes,
            **self.more,
        )

    async def add(
        self, name: str, labels: Mapping[str, str] | None = None, *declared: str, **more: Any
    ) -> PodRef:
        """Place, enforce, start."""
        ref = await self.place(name, labels, *declared, **more)
        await self.network.enforce(self.state())
        await self.network.start(ref)
        return ref

    async def place(
        self,
        name: str,
        labels: Mapping[str, str] | None = None,
        *declared: str,
        node: str = "n1",
        host_network: bool = False,
        external: Sequence[str] = (),
        annotations: Mapping[str, str] | None = None,
    ) -> PodRef:
        ref = PodRef.parse(name)
        self.namespaces.setdefault(ref.namespace, {"kubernetes.io/metadata.name": ref.namespace})
        pod = PolicyPod(
            ref,
            labels or {},
            tuple(ip_address(text) for text in external),
            ports(*declared),
            node,
            host_network,
            bool(external),
            annotations=annotations or {},
        )
        self.members[ref] = replace(pod, addresses=await self.network.place(pod))
        return ref

    async def enforce(self, *policies: Object | InstalledPolicy) -> None:
        """Have exactly these policies in force."""
        self.policies = list(policies)
        await self.network.enforce(self.state())

    async def label(self, name: str, labels: Mapping[str, str]) -> None:
        ref = PodRef.parse(name)
        self.members[ref] = replace(self.members[ref], labels=labels)
        await self.network.enforce(self.state())

    async def remove(self, name: str) -> None:
        ref = PodRef.parse(name)
        await self.network.remove(ref)
        del self.members[ref]
        await self.network.enforce(self.state())

    def address(self, name: str, version: int = 4) -> Address:
        found = self.members[PodRef.parse(name)].addresses
        return next(address for address in found if address.version == version)

    def inside(self, name: str) -> int:
        """The network namespace of a pod."""
        assert isinstance(self.network, LabNetwork)
        return self.network._pods[PodRef.parse(name)].network

    async def probe(
        self, source: str, target: str, port: int, protocol: str = "TCP", version: int = 4
    ) -> str:
        """One new connection, or one datagram; `target` is a pod's name or an address."""
        where = str(self.address(target, version)) if "/" in target else target
        if isinstance(self.network, PacketFilter):
            return self.network.probe(PodRef.parse(source), where, port, protocol, version)
        kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
        number = socket.IPPROTO_SCTP if protocol == "SCTP" else 0
        with kernel.inside(self.inside(source)):
            one = socket.socket(socket.AF_INET6 if ":" in where else socket.AF_INET, kind, number)
        with one:
            one.setblocking(False)
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(_NO_ANSWER_S):
                    await loop.sock_connect(one, (where, port))
                    if protocol == "UDP":
                        await loop.sock_sendall(one, b"?")
                        await loop.sock_recv(one, 1)
            except TimeoutError:
                return await _late(one)
            except OSError as error:
                return REFUSED if error.errno in _REFUSALS else os.strerror(error.errno or 0)
            return OPEN

    async def row(self, flows: Iterable[tuple[str, str, int, str, int]]) -> str:
        """The flows as marks: "." passes, "X" does not; anything else in words."""
        marks = {OPEN: ".", SILENT: "X", REFUSED: "X"}
        seen = await asyncio.gather(*(self.probe(*flow) for flow in flows))
        return " ".join(marks.get(outcome, outcome) for outcome in seen)


class Clock:
    """The event loop's clock from now on, which a test sets ahead: so no machine is too slow for it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        read = loop.time
        self._ahead_s = 0.0
        loop.time = lambda: read() + self._ahead_s  # type: ignore[method-assign]

    def forward(self, seconds: float) -> None:
        self._ahead_s += seconds


async def _late(one: socket.socket) -> str:
    """Whether the answer came, and only this process was too busy to take it, or to give it, in time.

    The listeners are served by this loop too: what reached one is answered in its next rounds.
    """
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)
    if problem := one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        return REFUSED if problem in _REFUSALS else os.strerror(problem)
    try:
        one.getpeername()
        if one.type == socket.SOCK_DGRAM:
            one.recv(1)
    except OSError:
        return SILENT
    return OPEN


async def run(
    network: LabNetwork, ref: PodRef, *argv: str, stdin: bytes | None = None
) -> tuple[int, str, str]:
    """Run a program in a pod to its end: status, standard output, standard error."""
    process: LabProcess = await network.exec(ref, argv, stdin=stdin is not None)
    if process.stdin is not None:
        process.stdin.write(stdin or b"")
        process.stdin.close()
    assert process.stderr is not None
    out, err, status = await asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())
    return status, out.decode(), err.decode()
