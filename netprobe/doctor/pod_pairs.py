"""The doctor's pods: a client and a server on each node that is tried, and the paths between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, End, Pod, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.model.policy import Direction
from netprobe.probe import run_objects
from netprobe.probe.bench import Bench, ref_of, station
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import Station, controls
from netprobe.probe.run_objects import ROLE, RUN, Fixture, PodOptions
from netprobe.probe.session import Sessions

PORTS: Final = (ContainerPort(8080, Protocol.TCP), ContainerPort(8053, Protocol.UDP))
CLIENT, SERVER = "client", "server"


@dataclass(frozen=True, slots=True)
class PodPair:
    """A client that connects and a server that listens; on one node, unless the scheduler chose the nodes."""

    client: Station
    server: Station


@dataclass(frozen=True, slots=True)
class PodPath:
    """From the pod `source` to one port of one address of the pod `to`."""

    source: Station
    to: Station
    target: Target

    @property
    def crosses_nodes(self) -> bool:
        return self.source.node != self.to.node

    @property
    def family(self) -> int:
        return 6 if ":" in self.target.host else 4

    @property
    def where(self) -> str:
        return f"{self.source.node} -> {self.to.node}" if self.crosses_nodes else f"within {self.to.node}"

    def __str__(self) -> str:
        return f"{self.where} {self.target.protocol.value} (IPv{self.family})"


def namespace(run: str) -> str:
    return f"netprobe-doctor-{run}"


def fixture(nodes: Sequence[str] | None, run: str) -> Fixture:
    """The pods of all pairs. `nodes` None: one pair, wherever the scheduler puts it."""
    where = namespace(run)
    pods = tuple(
        Pod(PodRef(where, f"{role}-{index}"), {ROLE: role}, ports=PORTS, node=node)
        for index, node in enumerate([None] if nodes is None else nodes)
        for role in (CLIENT, SERVER)
    )
    return Fixture((Namespace(where, {}),), pods)


def pairs(stations: Mapping[End, Station]) -> tuple[PodPair, ...]:
    """The pods of `fixture`, once they are ready."""
    by_name = {station.pod: station for station in stations.values()}
    count = sum(name.startswith(CLIENT) for name in by_name)
    return tuple(PodPair(by_name[f"{CLIENT}-{i}"], by_name[f"{SERVER}-{i}"]) for i in range(count))


def paths(sources: Iterable[Station], servers: Iterable[Station]) -> tuple[PodPath, ...]:
    """From every source to every port of every server, for each address of a family that both have."""
    ends = tuple(servers)
    return tuple(
        PodPath(source, server, Target(str(address), port.number, port.protocol))
        for source in sources
        for server in ends
        for address in server.addresses
        if address.version in {a.version for a in source.addresses}
        for port in PORTS
    )


def deny_all_policy(run: str, direction: Direction) -> Object:
    """A policy that denies everything to the servers (ingress), or everything from the clients (egress)."""
    role = SERVER if direction is Direction.INGRESS else CLIENT
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": f"deny-{direction.value}",
            "namespace": namespace(run),
            "labels": {RUN: run},
        },
        "spec": {"podSelector": {"matchLabels": {ROLE: role}}, "policyTypes": [direction.value.capitalize()]},
    }


async def try_paths(sessions: Sessions, paths: Iterable[PodPath]) -> dict[PodPath, Answer]:
    """Try each path once, all those of a source in one exec. Every path has an answer: EXEC_FAILED if none
    came."""
    wanted = dict.fromkeys(paths)
    answers = await sessions.run(controls((path.source, path.target) for path in wanted))
    return {path: answers[path.source, path.target] for path in wanted}


async def start_host_pod(bench: Bench, node: str | None, options: PodOptions) -> Station:
    """A pod in the network of a node, once it runs. ClusterError or WorkbenchError if that fails.

    It serves nothing: ports of a node belong to others.
    """
    pod = run_objects.pod(PodRef(namespace(bench.run), "host"), bench.run, options, node=node)
    pod = run_objects.on_node_network(pod)
    return station(ref_of(pod), (await bench.start([pod]))[ref_of(pod)])
