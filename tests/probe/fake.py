"""A scripted cluster: objects in memory, and a network that is a function of time.

It speaks ClusterAPI, so that workbench, canaries, prober and cleanup run against it as they are; its pods
answer the session protocol of probe.sh.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from netprobe.errors import ConflictError, NotFoundError, NotServedError, UnreachableError
from netprobe.model.objects import Object
from netprobe.probe import netcat
from netprobe.probe.api import Event, ExecResult, Execution
from netprobe.probe.canary import CONTROL_PORT, OPENING
from netprobe.probe.deciding import key_of
from tests.probe.clock import now

OPEN, SILENT, REFUSED = "open", "silent", "refused"
WAIT_S = 1.0

Network = Callable[[str, str, int, str], str]
"""(source pod "ns/name", destination pod "ns/name", port, protocol) -> OPEN, SILENT or REFUSED."""

Key = tuple[str, str | None, str]


@dataclass
class FakeCluster:
    """`network` decides each try at the moment when it is made; `faults` are raised by the verb they name."""

    network: Network = lambda _source, _destination, _port, _protocol: OPEN
    lag_s: float = 0.0  # how long a canary policy takes to be in force
    kind_lag_s: float = 0.0  # the same of canary policies of other kinds than NetworkPolicy
    late_listener_s: float = (
        0.0  # until when a canary's target does not answer on the ports that are closed first
    )
    enforces: bool = True
    follows: bool = True  # changes of the canary policy arrive at all
    unready: Mapping[str, Object] = field(default_factory=dict)  # pod name -> the status that it keeps
    exec_fault: Callable[[str], Exception | str | None] = lambda _pod: None
    outside: frozenset[str] = frozenset()  # addresses of hosts that are no pods; `network` knows them as such
    forbidden: frozenset[str] = frozenset()  # "verb resource" that access reviews deny
    says: Mapping[str, str] = field(default_factory=dict)  # a line of a single word -> what any pod answers
    linger_s: float = 0.0  # how long a namespace takes to go
    lost: Callable[[float], bool] = lambda _now: False  # whether nobody can be reached then
    slow: Callable[[str, str], float] = lambda _source, _destination: (
        0.001
    )  # seconds until a datagram is answered

    def __post_init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.execs: list[str] = []
        self._version = 0
        self._addresses = 0
        self._watchers: list[asyncio.Queue[Event]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._canary_ports: list[tuple[float, set[int]]] = []
        self._kind_ports: dict[str, list[tuple[float, set[int]]]] = {}

    # objects

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        try:
            return deepcopy(self.objects[kind, namespace, name])
        except KeyError:
            raise NotFoundError(f"{kind} {name}") from None

    async def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> list[Object]:
        if self.lost(now()):
            raise UnreachableError(f"cannot list {kind}: no connection")
        return [
            deepcopy(obj)
            for (k, ns, _), obj in self.objects.items()
            if k == kind and namespace in {None, ns} and _matches(obj, labels)
        ]

    async def served(self, kind: str) -> str:
        if kind == "NetworkPolicy":
            return "networking.k8s.io/v1"
        raise NotServedError(f"this cluster does not serve {kind}")

    async def create(self, obj: Object) -> Object:
        if obj["kind"] == "SelfSubjectAccessReview":
            attributes = obj["spec"]["resourceAttributes"]
            path = "/".join(filter(None, [attributes["resource"], attributes.get("subresource")]))
            asked = f"{attributes['verb']} {path}"
            return {**obj, "status": {"allowed": asked not in self.forbidden}}
        if obj["kind"] == "SelfSubjectReview":
            return {**obj, "status": {"userInfo": {"username": "tester"}}}
        meta = obj["metadata"]
        key = key_of(obj), meta.get("namespace"), meta["name"]
        self.calls.append(("create", obj["kind"], meta["name"]))
        await asyncio.sleep(0)
        if key in self.objects:
            raise ConflictError(f"{obj['kind']} {meta['name']} already exists")
        if meta.get("namespace") and ("Namespace", None, meta["namespace"]) not in self.objects:
            raise NotFoundError(f"namespace {meta['namespace']} not found")
        stored = deepcopy(obj)
        stored["metadata"]["uid"] = f"uid-{len(self.calls)}"
        if obj["kind"] == "Pod":
            is_gated = "readinessGates" in obj["spec"]
            self._addresses += 1
            stored["spec"].setdefault("nodeName", "n1")
            address = f"10.0.0.{self._addresses}"
            stored["status"] = self.unready.get(meta["name"]) or {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}],
                "conditions": [
                    {"type": "ContainersReady", "status": "True"},
                    {"type": "Ready", "status": str(not is_gated)},
                ],
            }
        return self._store(key, stored)

    async def ensure(self, obj: Object) -> None:
        with suppress(ConflictError):
            await self.create(obj)

    async def replace(self, obj: Object) -> Object:
        meta = obj["metadata"]
        current = await self.get(key_of(obj), meta["name"], meta.get("namespace"))
        stored = {**obj, "metadata": {**meta, "uid": current["metadata"].get("uid")}}
        return self._store((key_of(obj), meta.get("namespace"), meta["name"]), deepcopy(stored))

    async def apply(self, obj: Object, *, may_replace: Callable[[Object], bool] = lambda _: True) -> Object:
        try:
            return await self.create(obj)
        except ConflictError:
            meta = obj["metadata"]
            if not may_replace(await self.get(key_of(obj), meta["name"], meta.get("namespace"))):
                raise
            return await self.replace(obj)

    async def patch(self, kind: str, name: str, namespace: str | None, patch: Object) -> Object:
        obj = await self.get(kind, name, namespace)
        _merge(obj, patch)
        return self._store((kind, namespace, name), obj)

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        at_once: bool = False,
    ) -> None:
        self.calls.append(("delete", kind, name))
        obj = self.objects.get((kind, namespace, name))
        if obj is None:
            raise NotFoundError(f"{kind} {name}")
        if uid not in {None, obj["metadata"].get("uid")}:
            raise ConflictError(f"{kind} {name} has another uid")
        if kind == "Pod" and _unstarted(obj) and not at_once:
            obj["metadata"]["deletionTimestamp"] = "now"  # and there is no node that would end it
        elif kind == "Namespace":
            obj["metadata"]["deletionTimestamp"] = "now"
            self._later(self.linger_s, lambda: self._forget_namespace(name))
        else:
            del self.objects[kind, namespace, name]

    async def delete_all(
        self, kind: str, namespace: str, labels: Mapping[str, str | None], *, unstarted: bool = False
    ) -> None:
        for obj in await self.find(kind, namespace, labels):
            if unstarted and not _unstarted(obj):
                continue
            with suppress(NotFoundError):
                await self.delete(kind, obj["metadata"]["name"], namespace, at_once=unstarted)

    async def watch(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> AsyncGenerator[Event, None]:
        queue: asyncio.Queue[Event] = asyncio.Queue()
        self._watchers.append(queue)
        for obj in await self.find(kind, namespace, labels):
            yield Event("ADDED", obj)
        while True:
            event = await queue.get()
            if key_of(event.object) == kind and _matches(event.object, labels):
                yield event

    def _store(self, key: Key, obj: Object) -> Object:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)
        self.objects[key] = obj
        if key[0] == "NetworkPolicy" and key[2] == "canary" and (self.follows or not self._canary_ports):
            ports = {p["port"] for rule in obj["spec"]["ingress"] for p in rule["ports"]}
            self._canary_ports.append((now() + self.lag_s, ports))
        if key[0] in OPENING and key[2].endswith("-canary"):
            number = re.search(r"\d{4}", str(obj["spec"]["ingress"]))
            opened = {int(number[0])} if number else set()
            self._kind_ports.setdefault(key[0], []).append((now() + self.kind_lag_s, opened))
        for queue in self._watchers:
            queue.put_nowait(Event("MODIFIED", deepcopy(obj)))
        return deepcopy(obj)

    def _forget_namespace(self, name: str) -> None:
        if any(
            kind == "Pod" and ns == name and _unstarted(obj) for (kind, ns, _), obj in self.objects.items()
        ):
            return  # it holds what does not go
        self.objects = {
            key: obj
            for key, obj in self.objects.items()
            if key[1] != name and key != ("Namespace", None, name)
        }

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        if not delay_s:
            call()
        else:
            asyncio.get_running_loop().call_later(delay_s, call)

    # execs

    @asynccontextmanager
    async def exec(
        self,
        namespace: str,
        pod: str,
        container: str,  # noqa: ARG002  part of the protocol
        command: Sequence[str],
        *,
        stdin: bool = True,  # noqa: ARG002
    ) -> AsyncIterator[Execution]:
        self.execs.append(f"{namespace}/{pod}")
        fault = self.exec_fault(f"{namespace}/{pod}")
        if isinstance(fault, Exception):
            raise fault
        ours = "netprobe" in command
        shell = _Shell(self, f"{namespace}/{pod}", cut=fault)
        if ours:
            shell.say("begin busybox fine")
        yield shell
        for task in shell.tasks:
            task.cancel()

    def try_once(self, source: str, host: str, port: int, protocol: str) -> str:
        destination = next(
            (
                f"{ns}/{name}"
                for (kind, ns, name), obj in self.objects.items()
                if kind == "Pod" and obj["status"].get("podIP") == host
            ),
            None,
        )
        if destination is None:
            return self.network(source, host, port, protocol) if host in self.outside else SILENT
        if "canary-target" in destination:
            if port != CONTROL_PORT and now() < self.late_listener_s:
                return REFUSED
            in_force = [ports for since, ports in self._canary_ports if since <= now()]
            open_ = not in_force or port in in_force[-1] or not self.enforces
            for versions in self._kind_ports.values():
                arrived = [ports for since, ports in versions if since <= now()]
                open_ = open_ or (bool(arrived) and port in arrived[-1])
            return OPEN if open_ else SILENT
        if destination == source:
            return OPEN
        return self.network(source, destination, port, protocol)


class _Shell:
    """What probe.sh does, on the fake's network."""

    def __init__(self, cluster: FakeCluster, source: str, cut: str | None) -> None:
        self._cluster = cluster
        self._source = source
        self._out: asyncio.Queue[str | None] = asyncio.Queue()
        self._cut = cut
        self.tasks: set[asyncio.Task[None]] = set()
        self.finished: ExecResult | None = None
        self.stderr = ""

    def say(self, line: str) -> None:
        self._out.put_nowait(f"{netcat.TOKEN} {line}")

    async def lines(self) -> AsyncIterator[str]:
        while (line := await self._out.get()) is not None:
            yield line
        self.finished = ExecResult(None, "the connection was lost")

    async def send(self, text: str) -> None:
        for line in text.splitlines():
            words = line.split()
            if words and words[0] in self._cluster.says:
                self.say(self._cluster.says[words[0]])
            if len(words) != 4:
                continue
            if self._cut is not None:
                self._out.put_nowait(None)
                return
            self._start(self._answer(words[0], words[1], words[2], int(words[3])))

    async def _answer(self, number: str, protocol: str, host: str, port: int) -> None:
        result = self._cluster.try_once(self._source, host, port, protocol)
        if result == SILENT:
            await asyncio.sleep(WAIT_S)
        text = {
            ("TCP", OPEN): f"0 0 1000 {host} ({host}:{port}) open",
            ("TCP", SILENT): f"1 0 1000 nc: {host} ({host}:{port}): Operation timed out",
            ("TCP", REFUSED): f"1 0 1000 nc: {host} ({host}:{port}): Connection refused",
            ("UDP", OPEN): f"0 0 {self._cluster.slow(self._source, host) * 1e6:.0f} answered",
            ("UDP", SILENT): "0 0 1000 silent",
            ("UDP", REFUSED): "0 0 1000 refused",
        }[protocol, result]
        self.say(f"{number} {text}")

    def _start(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def _unstarted(pod: Object) -> bool:
    return bool((pod.get("status") or {}).get("phase") == "Pending")


def _matches(obj: Object, labels: Mapping[str, str | None] | None) -> bool:
    have = obj["metadata"].get("labels") or {}
    return all(key in have and value in {None, have[key]} for key, value in (labels or {}).items())


def _merge(obj: Object, patch: Object) -> None:
    for key, value in patch.items():
        if value is None:
            obj.pop(key, None)
        elif isinstance(value, dict):
            _merge(obj.setdefault(key, {}), value)
        else:
            obj[key] = value
