"""What a run in place reads before it creates anything; it only gets and lists."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from netprobe.model.flow import PodRef, Protocol
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.objects import Object
from netprobe.probe import deciding
from netprobe.probe.api import ClusterAPI
from netprobe.probe.run_objects import RUN

KINDS: Final = (
    *deciding.KINDS,
    "Deployment",
    "ReplicaSet",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "PodDisruptionBudget",
    "ResourceQuota",
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The objects of a cluster as listed, by kind, without those that runs of netprobe created.

    Policy kinds are identified by their keys. `unreadable`: the policy kinds that cannot be listed.
    """

    objects: Mapping[str, tuple[Object, ...]]
    unreadable: tuple[str, ...] = ()
    _placed: Mapping[tuple[str, str], tuple[Object, ...]] = field(default_factory=dict, repr=False)

    @classmethod
    def of_objects(cls, objects: Iterable[Object], unreadable: tuple[str, ...] = ()) -> Surroundings:
        kinds: dict[str, list[Object]] = defaultdict(list)
        placed: dict[tuple[str, str], list[Object]] = defaultdict(list)
        everything = list(objects)
        ours = {o["metadata"]["name"] for o in everything if o["kind"] == "Namespace" and _is_netprobes(o)}
        for obj in everything:
            namespace = obj["metadata"].get("namespace")
            if _is_netprobes(obj) or namespace in ours:
                continue
            kind = deciding.key_of(obj)
            kinds[kind].append(obj)
            placed[kind, namespace or ""].append(obj)
        return cls(
            {kind: tuple(found) for kind, found in kinds.items()},
            unreadable,
            {place: tuple(found) for place, found in placed.items()},
        )

    def of(self, kind: str, namespace: str | None = None) -> tuple[Object, ...]:
        if namespace is None:
            return self.objects.get(kind, ())
        return self._placed.get((kind, namespace), ())

    def deciding(self) -> Iterator[Object]:
        """The objects that decide flows."""
        for kind in deciding.KINDS:
            yield from self.of(kind)

    def namespace_labels(self, name: str) -> Labels:
        for obj in self.of("Namespace"):
            if obj["metadata"]["name"] == name:
                return {**(obj["metadata"].get("labels") or {}), NAME_LABEL: name}
        return {NAME_LABEL: name}

    def __iter__(self) -> Iterator[Object]:
        for found in self.objects.values():
            yield from found


async def look_around(cluster: ClusterAPI) -> Surroundings:
    """List what decides flows and what would see a shadow pod; ClusterError if that is not permitted."""
    found = await deciding.listed(cluster, KINDS)
    return Surroundings.of_objects(filter(_stays, found.objects), found.unreadable)


def _is_netprobes(obj: Object) -> bool:
    return RUN in (obj["metadata"].get("labels") or {})


def _stays(obj: Object) -> bool:
    """False for a pod that is being deleted: it cannot be an end of a flow any more."""
    return obj["kind"] != "Pod" or "deletionTimestamp" not in obj["metadata"]


@dataclass(frozen=True, slots=True)
class PodState:
    """What identifies a real pod later, and the TCP ports that its passing readiness probes prove.

    `since`: when its readiness last changed, as the API writes times.
    """

    uid: str
    addresses: tuple[str, ...]
    proven: frozenset[int]
    since: str | None = None


def pod_states(around: Surroundings) -> dict[PodRef, PodState]:
    return {
        PodRef(obj["metadata"]["namespace"], obj["metadata"]["name"]): _pod_state(obj)
        for obj in around.of("Pod")
    }


def _pod_state(obj: Object) -> PodState:
    status = obj.get("status") or {}
    addresses = tuple(a["ip"] for a in status.get("podIPs") or ())
    since = next(
        (c.get("lastTransitionTime") for c in status.get("conditions") or () if c.get("type") == "Ready"),
        None,
    )
    return PodState(obj["metadata"]["uid"], addresses, frozenset(readiness_ports(obj)), since)


def readiness_ports(pod: Object) -> Iterator[int]:
    """The TCP ports that a passing readiness probe of the pod shows to be served, by its own address.

    tcpSocket, httpGet and grpc probes connect; an exec probe does not, and a probe with a `host` does not try
    the pod.
    """
    ready = {
        status["name"]
        for key in ("containerStatuses", "initContainerStatuses")
        for status in (pod.get("status") or {}).get(key) or ()
        if status.get("ready")
    }
    spec = pod.get("spec") or {}
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in (*(spec.get("containers") or ()), *sidecars):
        probe: Mapping[str, Any] = container.get("readinessProbe") or {}
        target = probe.get("tcpSocket") or probe.get("httpGet") or probe.get("grpc")
        if container["name"] in ready and target and not target.get("host"):
            number = _number(target.get("port"), container)
            if number is not None:
                yield number


def _number(port: object, container: Mapping[str, Any]) -> int | None:
    if isinstance(port, int):
        return port
    if isinstance(port, str) and port.isdecimal():
        return int(port)
    for declared in container.get("ports") or ():
        if declared.get("name") == port and declared.get("protocol", "TCP") == Protocol.TCP.value:
            return int(declared["containerPort"])
    return None
