"""The doctor's pods: a client and a server on each node that is tried, the paths between them, and what pods
see: DNS names, clocks, the kernel's protocols (one exec a pod for the latter two).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Final

from netprobe.errors import ClusterError
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, End, Pod, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.probe import run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import Bench, ref_of, station
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import Station, controls
from netprobe.probe.run_objects import ROLE, RUN, Fixture, PodOptions
from netprobe.probe.session import Sessions

PORTS: Final = (ContainerPort(8080, Protocol.TCP), ContainerPort(8053, Protocol.UDP))
CLIENT, SERVER = "client", "server"

NAME: Final = Target("kubernetes.default.svc", 443)
"""A name that every cluster's DNS knows, of a Service that answers."""

EXEC_S: Final = 20.0

# A question and an answer line by line: the error is a round trip, not the start of an exec.
# ash of BusyBox 1.35 has EPOCHREALTIME; GNU date has %N, BusyBox's leaves out what it does not know.
_SCRIPT: Final = """
while read -r word; do
  case $word in
    time) echo "time ${EPOCHREALTIME:-$(date +%s.%N)}" ;;
    sctp) if grep -q ^SCTP /proc/net/protocols 2>/dev/null; then echo sctp yes; else echo sctp no; fi ;;
    *) exit ;;
  esac
done
"""


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
        "metadata": {"name": f"deny-{direction.value}", "namespace": namespace(run), "labels": {RUN: run}},
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


@dataclass(frozen=True, slots=True)
class ClockSkew:
    """How far a clock is ahead of this machine's: somewhere between `low` and `high`, in seconds."""

    low: float
    high: float

    @property
    def least(self) -> float:
        """The smallest skew that fits: 0 if the clocks may agree."""
        return self.low if self.low > 0 else min(0.0, self.high)

    @classmethod
    def of(cls, read: float, resolution_s: float, before: float, after: float) -> ClockSkew:
        """From a time read on the other clock, in steps of `resolution_s`, between `before` and `after`."""
        return cls(read - after, read + resolution_s - before)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What one pod answered. None: no answer."""

    skew: ClockSkew | None = None
    sctp: bool | None = None
    failure: str | None = None


async def server_clock(create: Callable[[], Awaitable[Object]]) -> ClockSkew | None:
    """The API server's clock, from the creation time of an object (in whole seconds)."""
    before = time()
    obj = await create()
    after = time()
    text = obj["metadata"].get("creationTimestamp")
    try:
        return ClockSkew.of(datetime.fromisoformat(str(text)).timestamp(), 1.0, before, after)
    except ValueError:
        return None


async def read_pod(cluster: ClusterAPI, station: Station) -> PodFacts:
    """Read the clock of a pod and whether its kernel has SCTP. Does not raise for failures in the pod."""
    skew: ClockSkew | None = None
    sctp: bool | None = None
    try:
        async with (
            asyncio.timeout(EXEC_S),
            cluster.exec(
                station.namespace, station.pod, station.container, ["sh", "-c", _SCRIPT]
            ) as execution,
        ):
            lines = execution.lines()
            before = time()
            await execution.send("time\n")
            skew = _clock(await anext(lines, ""), before, time())
            await execution.send("sctp\n")
            sctp = {"sctp yes": True, "sctp no": False}.get(await anext(lines, ""))
            await execution.send(".\n")
    except TimeoutError:
        return PodFacts(skew, sctp, f"no answer after {EXEC_S:g} s")
    except ClusterError as e:
        return PodFacts(skew, sctp, str(e))
    return PodFacts(skew, sctp)


def _clock(line: str, before: float, after: float) -> ClockSkew | None:
    match = re.match(r"time (\d+)(\.\d+)?", line)
    if match is None:
        return None
    digits = len(match[2] or "") - 1
    resolution_s = 10.0**-digits if digits > 0 else 1.0
    return ClockSkew.of(float(match[1] + (match[2] or "")), resolution_s, before, after)


async def resolve(sessions: Sessions, stations: Sequence[Station]) -> Mapping[Station, Answer]:
    """What happened to `NAME` in each pod, tried again if it did not resolve."""
    paths = [PodPath(station, station, NAME) for station in stations]
    answers = await try_paths(sessions, paths)
    again = [p for p in paths if answers[p].outcome in {Outcome.NO_SUCH_NAME, Outcome.EXEC_FAILED}]
    if again:
        answers |= await try_paths(sessions, again)
    return {path.source: answer for path, answer in answers.items()}
