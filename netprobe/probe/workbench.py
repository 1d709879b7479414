"""The namespaces and pods of a fixture, and what is changed in them: `async with Workbench(...)`.

An existing namespace that is not this run's is never used and never deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final, Unpack

from netprobe.errors import ClusterError, ConflictError, NotFoundError, WorkbenchError
from netprobe.model.flow import End, Flow, Placement, Pod, PodRef, Protocol
from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe import canary, permission, run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import POLL_S, Bench, BenchOptions, ref_of, station, together
from netprobe.probe.canary import Canaries, Canary
from netprobe.probe.netcat import Target
from netprobe.probe.ownership import ObjectRef
from netprobe.probe.permission import Permission
from netprobe.probe.plan import Station, Try
from netprobe.probe.readiness import has_node, is_ready
from netprobe.probe.run_objects import Fixture, run_namespace

OUTSIDE_NAMESPACE: Final[Object] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": run_objects.OUTSIDE},
}
"""Shared by all runs on a lab: created if it is missing, never deleted."""


class Workbench(Bench):
    """The namespaces and pods of one fixture. What entering raises: see Bench.

    `changes` is how many times policies will be changed (1 + the steps); with 0 there are no canaries.
    `kinds`: those of `canary.OPENING` whose policies will be changed. `one_node`: there is only one to watch,
    so the canaries need not wait until it is known which nodes the pods are on. `lab`: the cluster is a lab,
    which can make external hosts; elsewhere they are left out, and flows from them are skipped.
    `permissions`: what the run needs.

    Once entered, `labels` are those that pods and namespaces (by name) have in the cluster. `twins` are the
    stations of the fixture's twins, each under the name of the pod that it copies; changes to the labels of
    that pod are made to its twin too.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        fixture: Fixture,
        *,
        changes: int = 1,
        kinds: Sequence[str] = (),
        one_node: bool = False,
        lab: bool = False,
        permissions: Sequence[Permission] = permission.FIXTURE,
        **options: Unpack[BenchOptions],
    ) -> None:
        super().__init__(cluster, permissions=permissions, steps=changes > 1, **options)
        self.changes = changes
        self.kinds = tuple(kinds)
        self._one_node = one_node
        self.twins: Mapping[End, Station] = {}
        self.labels: Mapping[PodRef | str, Labels] = {}
        self._fixture = fixture
        self._outside = fixture.outside if lab else ()

    async def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Make one more namespace of the run; one of that name that is being removed is waited for."""
        await self._create_namespace(name, labels)

    def pairs(self, flow: Flow) -> tuple[Try, ...]:
        """The try that shows that packets travel between the nodes of a flow: from canary to canary."""
        source, destination = self.stations.get(flow.source), self.stations.get(flow.destination)
        if flow.placement is Placement.OTHER:
            source = self.twins.get(flow.source)
        if (
            self.canaries is None
            or source is None
            or destination is None
            or flow.protocol is not Protocol.TCP
        ):
            return ()
        clients = {pair.target.node: pair.client for pair in self.canaries.pairs}
        targets = {pair.target.node: pair.target for pair in self.canaries.pairs}
        client, target = clients.get(source.node), targets.get(destination.node)
        address = target.address(flow.family) if target is not None else None
        if client is None or address is None:
            return ()
        return ((client, Target(str(address), canary.CONTROL_PORT)),)

    async def remove_namespace(self, name: str) -> None:
        """Delete a namespace of the run and wait until it is gone; WorkbenchError at the deadline."""
        self._must_own(name)
        deadline_s = self._deadlines.removed_s
        try:
            async with asyncio.timeout(deadline_s):
                await self._cluster.delete("Namespace", name)
                while True:
                    await self._cluster.get("Namespace", name)
                    await asyncio.sleep(POLL_S)
        except NotFoundError:
            pass
        except TimeoutError as e:
            raise WorkbenchError(f"the namespace {name} is not gone after {deadline_s:g} s") from e

    async def apply(self, obj: Object) -> None:
        """As any bench, but in namespaces of the run only."""
        self._must_own(obj["metadata"].get("namespace"))
        await super().apply(obj)

    async def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """As any bench, but in namespaces of the run only."""
        self._must_own(namespace)
        await super().delete(kind, name, namespace)

    async def label(self, ref: PodRef | str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a pod or a namespace (by name) of the run; None removes a label."""
        await self._patch(ref, {"labels": dict(labels)})

    async def annotate(self, ref: PodRef | str, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of a pod or a namespace of the run, as `label` does."""
        await self._patch(ref, {"annotations": dict(annotations)})

    async def _patch(self, ref: PodRef | str, metadata: Object) -> None:
        namespace = ref.namespace if isinstance(ref, PodRef) else ref
        self._must_own(namespace)
        patch: Object = {"metadata": metadata}
        if isinstance(ref, PodRef):
            await self._cluster.patch("Pod", ref.name, namespace, patch)
            if twin := self._fixture.twins.get(ref):
                await self._cluster.patch("Pod", twin.ref.name, namespace, patch)
        else:
            await self._cluster.patch("Namespace", namespace, None, patch)

    def _must_own(self, namespace: str | None) -> None:
        if namespace is not None and namespace not in self._record.namespaces:
            raise ConflictError(f"the namespace {namespace} does not belong to this run: it is left alone")

    async def _build(self) -> None:
        self._progress("creating namespaces")
        await self._make_home()
        notes = self._fixture.annotations
        await self._note(*(ObjectRef("Namespace", None, n.name) for n in self._fixture.namespaces))
        made = [self._create_namespace(n.name, n.labels, notes.get(n.name)) for n in self._fixture.namespaces]
        await together(*made)
        await together(*map(self.create, self._fixture.accounts))
        home = run_namespace(self.run)
        if self.changes:
            await self.create(canary.policy(home, self.run, 0))
        if self._outside:
            await self._cluster.ensure(OUTSIDE_NAMESPACE)
        objects: dict[End, Object] = {p.ref: self._object(p, p.ref) for p in self._fixture.pods}
        objects |= {h.external: run_objects.external(h, self.run, self._options) for h in self._outside}
        twins = {ref: self._object(twin, ref) for ref, twin in self._fixture.twins.items()}
        everything = [*objects.values(), *twins.values()]
        await self._note(*map(ObjectRef.of, everything))
        self._progress(f"starting {len(everything)} pods")
        async with self._starting() as readiness:
            pairs = self._canary_pods((None,) if self._one_node else ())
            created = await together(*map(self._create_pod, (*everything, *chain.from_iterable(pairs))))
            if self.changes and not self._one_node:
                placed = await readiness.until({ref_of(pod): pod for pod in created}, has_node)
                pairs = self._canary_pods(sorted({pod["spec"]["nodeName"] for pod in placed.values()}))
                created += await together(*map(self._create_pod, chain.from_iterable(pairs)))
            pods = await readiness.until({ref_of(pod): pod for pod in created}, is_ready)
        self.stations = {end: station(end, pods[ref_of(obj)]) for end, obj in objects.items()}
        self.twins = {ref: station(ref, pods[ref_of(obj)]) for ref, obj in twins.items()}
        await self._note_changes(pods)
        if self.changes:
            at = [[station(ref_of(pod), pods[ref_of(pod)]) for pod in pair] for pair in pairs]
            found = tuple(Canary(client=client, target=target) for target, client in at)
            self.canaries = Canaries(self._cluster, self, self.run, home, found, pod_labels=self.changes > 1)

    def _canary_pods(self, nodes: Iterable[str | None]) -> list[tuple[Object, Object]]:
        """The target and the client for each node."""
        home = run_namespace(self.run)
        return [
            canary.pods(home, self.run, node, index, self._options, kinds=self.kinds)
            for index, node in enumerate(nodes if self.changes else ())
        ]

    def _object(self, pod: Pod, like: PodRef) -> Object:
        """A pod of the fixture as the API takes it; `like`: itself, or the pod that it is a twin of."""
        return run_objects.pod(
            pod.ref,
            self.run,
            self._options,
            labels=pod.labels,
            ports=pod.ports,
            node=pod.node,
            annotations=self._fixture.annotations.get(like),
            account=pod.service_account,
        )

    async def _note_changes(self, pods: Mapping[PodRef, Object]) -> None:
        """Note what admission and controllers changed."""
        live = await self._cluster.find("Namespace", None, {run_objects.RUN: self.run})
        own = {obj["metadata"]["name"]: obj for obj in live}
        self.labels = {ref: run_objects.live_labels(pod) for ref, pod in pods.items()}
        self.labels |= {name: run_objects.live_labels(obj) for name, obj in own.items()}
        try:
            lists = await asyncio.gather(*(self._cluster.find("NetworkPolicy", name) for name in own))
        except ClusterError:  # not permitted to list them: a run does without
            lists = []
        policies = run_objects.policy_warnings((policy for found in lists for policy in found), self.run)
        self.warnings = (*run_objects.sidecar_warnings(pods.values()), *policies)
