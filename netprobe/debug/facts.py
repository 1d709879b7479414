"""What is read before anything is sent: the objects of a cluster, or of manifests. Nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, NamedTuple

from netprobe.debug.records import PodState
from netprobe.errors import ForbiddenError
from netprobe.manifests import from_objects
from netprobe.manifests.load import Collector
from netprobe.manifests.pod import ports_of, read_pod
from netprobe.manifests.reader import Reader
from netprobe.manifests.workload import Owner, owner_of, read_workload
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object
from netprobe.policies.fields import Decoder
from netprobe.probe import deciding, surroundings
from netprobe.probe.readiness import describe, warnings
from netprobe.probe.surroundings import Surroundings
from netprobe.run.cluster import OpenCluster

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
OPTIONAL: Final = (*WORKLOADS, "EndpointSlice", "Event")
"""Without these the answer says less."""


class Workload(NamedTuple):
    """A workload by its kind, the pod of its template, and its pods, including those that have ended."""

    kind: str
    template: Pod
    pods: tuple[PodRef, ...]


@dataclass(frozen=True)
class Facts:
    """The objects by kind, and the cluster that they describe.

    `unread`: why objects of a kind are missing. `others`: phrases about policies that are not simulated.
    """

    around: Surroundings
    cluster: Cluster
    unread: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    live: bool = True

    def object(self, kind: str, ref: PodRef) -> Object | None:
        found = (obj for obj in self.around.of(kind, ref.namespace) if obj["metadata"]["name"] == ref.name)
        return next(found, None)

    def pod(self, ref: PodRef) -> PodState:
        """A pod as its object shows it; one that only a workload's template describes counts as ready."""
        obj = self.object("Pod", ref)
        if obj is None:
            pod = self.cluster.pods[ref]
            return PodState(ref, pod.node, "", True, "", pod.ports, pod.host_network)
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        conditions = {c.get("type"): c for c in status.get("conditions") or ()}
        model = self.cluster.pods.get(ref)
        ready = model.ready if model else conditions.get("Ready", {}).get("status") == "True"
        return PodState(
            ref,
            spec.get("nodeName"),
            status.get("phase", "") if self.live or status else "",
            ready,
            "" if ready else self._why(obj, conditions),
            ports_of(Decoder(strict=False), spec, "spec"),
            bool(spec.get("hostNetwork")),
        )

    def _why(self, obj: Object, conditions: Mapping[str, Any]) -> str:
        """Why a pod is not ready: its status, its conditions, and the last warnings about it."""
        text = describe(obj)
        if text.startswith("phase "):
            found = (conditions.get(kind, {}) for kind in ("Ready", "ContainersReady"))
            text = next((str(c["message"]) for c in found if c.get("message")), text)
        meta = obj["metadata"]
        events = (
            (str(event.get("reason")), str(event.get("message")))
            for event in self.around.of("Event", meta["namespace"])
            if (event.get("involvedObject") or {}).get("uid") == meta.get("uid")
            and event.get("type") == "Warning"
        )
        return "; ".join(filter(None, [text, warnings(events, text)]))

    def model_pod(self, ref: PodRef) -> Pod | None:
        """A pod for the simulator, one that has ended included."""
        if ref in self.cluster.pods:
            return self.cluster.pods[ref]
        obj = self.object("Pod", ref)
        return read_pod(Decoder(strict=False), obj, ref) if obj else None

    def with_pod(self, pod: Pod) -> Facts:
        name, cluster = pod.ref.namespace, self.cluster
        spaces = {name: Namespace(name, {NAME_LABEL: name}), **cluster.namespaces}
        pods = {**cluster.pods, pod.ref: pod}
        return replace(self, cluster=replace(cluster, pods=pods, namespaces=spaces))

    def workload(self, namespace: str, name: str) -> Workload | None:
        for kind in WORKLOADS:
            obj = self.object(kind, PodRef(namespace, name))
            if obj is None:
                continue
            # With one replica, even if it is idle.
            one = {**obj, "spec": {**(obj.get("spec") or {}), "replicas": 1}, "status": {}}
            template = read_workload(Decoder(strict=False), one, Owner(namespace, kind, name)).pods[0]
            own = f"{kind}/{name}"
            running = [
                pod.ref
                for pod in self.cluster.pods.values()
                if pod.workload == own and pod.ref.namespace == namespace
            ]
            ended = [
                PodRef(namespace, pod["metadata"]["name"])
                for pod in self.around.of("Pod", namespace)
                if (owner := owner_of(pod, namespace)) and (owner.kind, owner.name) == (kind, name)
            ]
            return Workload(kind, template, tuple(dict.fromkeys([*running, *ended])))
        return None

    @cached_property
    def idle(self) -> tuple[tuple[str, Pod], ...]:
        """Workloads without pods, each as "Deployment shop/db" with the pod of its template."""
        found = []
        for kind in WORKLOADS:
            for obj in self.around.of(kind):
                meta = obj["metadata"]
                if owner_of(obj, meta["namespace"]) is None:
                    made = self.workload(meta["namespace"], meta["name"])
                    if made and not made.pods:
                        found.append((f"{kind} {meta['namespace']}/{meta['name']}", made.template))
        return tuple(found)


async def read_live(cluster: OpenCluster, *, probing: bool) -> Facts:
    """List what matters in a cluster. ForbiddenError if what decides flows may not be listed.

    `probing`: also what would see a shadow pod.
    """
    unread: dict[str, str] = {}

    async def optional(kind: str) -> list[Object]:
        try:
            return await cluster.api.find(kind)
        except ForbiddenError as error:
            unread[kind] = str(error)
            return []

    seers = surroundings.KINDS if probing else ()
    more = [kind for kind in dict.fromkeys((*OPTIONAL, *seers)) if kind not in deciding.KINDS]
    listed, others, lists = await asyncio.gather(
        deciding.listed(cluster.api),
        deciding.other_policies(cluster.api),
        asyncio.gather(*map(optional, more)),
    )
    objects = [*listed.objects, *(obj for found in lists for obj in found)]
    around = Surroundings.of_objects(
        (obj for obj in objects if "deletionTimestamp" not in obj["metadata"]), listed.unreadable
    )
    unlisted = tuple(f"{kind} (may not be listed)" for kind in listed.unreadable)
    return Facts(around, from_objects(around.deciding()), unread, (*others.kinds, *unlisted))


def read_files(paths: Iterable[str]) -> Facts:
    """The facts that manifests contain; InputError with every problem."""
    reader = Reader()
    collector = Collector(problems=reader.problems)
    objects = []
    for document in reader.documents(paths):
        collector.add(document)
        objects.append(_in_namespace(document.object))
    others = tuple(f"{count} {kind}" for kind, count in reader.not_simulated.items())
    return Facts(Surroundings.of_objects(objects), collector.cluster(), {}, others, live=False)


def _in_namespace(obj: Mapping[str, Any]) -> Object:
    """The object with the namespace that it would be applied to."""
    meta = dict(obj.get("metadata") or {})
    if obj.get("kind") != "Namespace":
        meta.setdefault("namespace", "default")
    return {**obj, "metadata": {"name": "", **meta}}
