"""The ephemeral pods of one run: `async with Workbench(...)`.

Entering makes the namespaces, pods and canaries of a fixture and waits until all are ready; leaving removes
everything that carries the run's label and waits until it is gone, whatever ended the run. An existing
namespace that is not this run's is never used and never deleted.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, WorkbenchError
from netprobe.model.flow import ContainerPort, End, Pod, PodRef, Protocol
from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe import admission_changes, cleanup, lease, permission, run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import Canary
from netprobe.probe.permission import Permission
from netprobe.probe.plan import Station
from netprobe.probe.readiness import Readiness
from netprobe.probe.run_objects import Fixture, PodOptions, run_namespace

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long the workbench waits, in seconds, and how often it looks where it cannot watch."""

    ready_s: float = 120.0
    removed_s: float = 90.0
    poll_s: float = 0.1


def new_run() -> str:
    """A run id: eight characters that fit into names and labels."""
    return secrets.token_hex(4)


class Workbench:
    """The namespaces and pods of one run, and what is changed in them.

    `changes` is how many times policies will be changed (1 + the steps): the canaries need a port for each.
    With 0 there are no canaries. Once entered, `labels` are those that pods and namespaces (by name) have in
    the cluster, and `strange` tells, in sentences, what admission added that changes what a probe means.
    `twins` are the stations of the fixture's twins, each under the name of the pod that it is like; what is
    done to the labels of that pod is done to its twin.
    `lab`: the cluster is a lab, which can make external hosts; elsewhere they are left out, and flows from
    them are skipped. `disposable`: the cluster ends with the run, so that nothing need be removed from it.
    `permissions`: what the run needs.
    Entering raises ForbiddenError (a permission is missing; nothing was made),
    ConflictError (a namespace is somebody else's), WorkbenchError (a pod never became ready) or another
    ClusterError; nothing of the run is left then.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        fixture: Fixture,
        *,
        run: str | None = None,
        changes: int = 1,
        lab: bool = False,
        disposable: bool = False,
        options: PodOptions | None = None,
        deadlines: Deadlines | None = None,
        progress: Progress = lambda _: None,
        permissions: Sequence[Permission] = permission.FIXTURE,
    ) -> None:
        self.run = run or new_run()
        self.changes = changes
        self.stations: Mapping[End, Station] = {}
        self.twins: Mapping[End, Station] = {}
        self.canaries: tuple[Canary, ...] = ()
        self.labels: Mapping[PodRef | str, Labels] = {}
        self.strange: tuple[str, ...] = ()
        self._cluster = cluster
        self._fixture = fixture
        self._lab = lab
        self._disposable = disposable
        self._options = options or PodOptions()
        self._deadlines = deadlines or Deadlines()
        self._progress = progress
        self._wanted = tuple(permissions)
        self._own = {n.name for n in fixture.namespaces} | {run_namespace(self.run)}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._disposable:  # a lab of the run's own, where it is the administrator
            await permission.require(self._cluster, steps=self.changes > 1, wanted=self._permissions)
        try:
            await self._build()
        except BaseException as error:
            await self._leave_after(error)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave_after(error)

    async def _leave_after(self, error: BaseException | None) -> None:
        """What ended the run is the news; that something is left is a note to it."""
        try:
            await self._leave()
        except ClusterError as e:
            if error is None:
                raise
            error.add_note(str(e))

    @property
    def _permissions(self) -> tuple[Permission, ...]:
        return self._wanted

    @property
    def _beyond(self) -> bool:
        """Whether anything of the run is in namespaces that are not its own."""
        return self._lab and bool(self._fixture.outside)

    async def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Make one more namespace of the run; one of that name that is just being removed is waited for."""
        await self._namespace(name, labels)
        self._own.add(name)

    async def apply(self, obj: Object) -> None:
        """Create or replace an object in a namespace of the run, with the run's label."""
        meta = obj["metadata"]
        self._must_own(meta.get("namespace"))
        labels = {**(meta.get("labels") or {}), run_objects.RUN: self.run}
        await self._cluster.apply({**obj, "metadata": {**meta, "labels": labels}})

    async def delete(self, kind: str, name: str, namespace: str) -> None:
        """Delete an object in a namespace of the run; NotFoundError where it is not there."""
        self._must_own(namespace)
        await self._cluster.delete(kind, name, namespace)

    async def label(self, ref: PodRef | str, labels: Mapping[str, str | None]) -> None:
        """Set labels of a pod or a namespace (by name) of the run; None takes a label away."""
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

    async def turn(self, change: int) -> None:
        """Let change number `change`, from 1, be seen at the canaries: applied after everything else."""
        if not self.canaries:
            return
        label: Object = {"metadata": {"labels": {run_objects.change_label(change): self.run}}}
        await asyncio.gather(
            self._cluster.apply(run_objects.canary_policy(self.run, change)),
            self._cluster.patch("Namespace", run_namespace(self.run), None, label),
        )

    def _must_own(self, namespace: str | None) -> None:
        if namespace not in self._own:
            raise ConflictError(f"the namespace {namespace} is not one of this run's: it is left alone")

    async def _build(self) -> None:
        self._progress("creating namespaces")
        await self._namespace(run_namespace(self.run), {})
        await self._stack.enter_async_context(lease.held(self._cluster, self.run))
        made: list[Awaitable[Any]] = [self._namespace(n.name, n.labels) for n in self._fixture.namespaces]
        if self.changes:
            made.append(self._cluster.create(run_objects.canary_policy(self.run, 0)))
        await together(*made)
        await self._populate()

    async def _populate(self) -> None:
        outside = self._fixture.outside if self._lab else ()
        if outside:
            await self._outside()
        objects: dict[End, Object] = {p.ref: self._object(p, p.ref) for p in self._fixture.pods}
        twins = {ref: self._object(twin, ref) for ref, twin in self._fixture.twins.items()}
        objects |= {h.external: run_objects.external(h, self.run, self._options) for h in outside}
        first = [*objects.values(), *twins.values()]
        self._progress(f"starting {len(first)} pods")
        readiness = Readiness(self._cluster, self.run)
        try:
            async with asyncio.timeout(self._deadlines.ready_s), readiness:
                await together(*map(self._pod, first))
                nodes = await readiness.nodes([_ref(obj) for obj in first])
                pairs = [
                    run_objects.canary_pods(node, index, self.run, self._options, self.changes)
                    for index, node in enumerate(nodes if self.changes else ())
                ]
                await together(*(self._pod(obj) for pair in pairs for obj in pair))
                everything = [*first, *(obj for pair in pairs for obj in pair)]
                pods = await readiness.ready([_ref(obj) for obj in everything])
        except TimeoutError as e:
            raise WorkbenchError(
                f"pods are not ready after {self._deadlines.ready_s:g} s: {await readiness.explain()}"
            ) from e
        self.stations = {end: station(end, pods[_ref(obj)]) for end, obj in objects.items()}
        self.twins = {ref: station(ref, pods[_ref(obj)]) for ref, obj in twins.items()}
        await self._look(pods)
        self.canaries = tuple(
            Canary(
                client=station(_ref(client), pods[_ref(client)]),
                target=station(_ref(target), pods[_ref(target)]),
            )
            for target, client in pairs
        )

    def _object(self, pod: Pod, like: PodRef) -> Object:
        """A pod of the fixture as the API takes it; `like` itself, or the pod that it is like."""
        return run_objects.pod(
            pod.ref,
            self.run,
            self._options,
            labels=pod.labels,
            ports=pod.ports,
            node=pod.node,
            annotations=self._fixture.annotations.get(like),
        )

    async def _look(self, pods: Mapping[PodRef, Object]) -> None:
        """Note what admission and controllers made of what was asked for."""
        live = await self._cluster.find("Namespace", None, {run_objects.RUN: self.run})
        own = {obj["metadata"]["name"]: obj for obj in live}
        self.labels = {ref: admission_changes.labels(pod) for ref, pod in pods.items()}
        self.labels |= {name: admission_changes.labels(obj) for name, obj in own.items()}
        try:
            lists = await asyncio.gather(*(self._cluster.find("NetworkPolicy", name) for name in own))
        except ClusterError:  # may not be listed: a run does without
            lists = []
        policies = admission_changes.policies((policy for found in lists for policy in found), self.run)
        self.strange = (*admission_changes.sidecars(pods.values()), *policies)

    async def _namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a namespace of the run. One that is just being removed is waited for."""
        obj = run_objects.namespace(name, self.run, labels, self._fixture.annotations.get(name))
        end = asyncio.get_running_loop().time() + self._deadlines.removed_s
        while not await self._created(obj):
            try:
                current = (await self._cluster.get("Namespace", name))["metadata"]
            except NotFoundError:
                continue
            if "deletionTimestamp" not in current or asyncio.get_running_loop().time() > end:
                raise ConflictError(await self._whose(name, current))
            self._progress(f"waiting for the namespace {name} to be removed")
            await asyncio.sleep(self._deadlines.poll_s)

    async def _created(self, obj: Object) -> bool:
        """Create an object; False where one of its name exists."""
        try:
            await self._cluster.create(obj)
        except ConflictError:
            return False
        return True

    async def _whose(self, name: str, current: Object) -> str:
        other = (current.get("labels") or {}).get(run_objects.RUN)
        if other is None:
            return (
                f"the namespace {name} exists and is not ours: rename it in the suite, or remove it yourself"
            )
        life = await cleanup.life_of(self._cluster, other)
        if life.alive:
            return f"the namespace {name} is in use by run {other}, which is alive: {life.why}"
        return (
            f"the namespace {name} was left by run {other}, which is dead ({life.why}): "
            f"netprobe clean --run {other} removes it"
        )

    async def _outside(self) -> None:
        """The reserved namespace is shared by all runs on a lab: made where it is missing, never deleted."""
        await self._created(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": run_objects.OUTSIDE}}
        )

    async def _pod(self, obj: Object) -> None:
        """Create a pod. A new namespace gets its service account a moment later, so that is waited for.

        So is a quota that has not been counted yet. Where a quota or a LimitRange refuses, it is asked once
        more, for a pod that wants less.
        """
        thin = False
        while True:
            try:
                await self._cluster.create(obj)
            except ForbiddenError as e:
                if any(passing in str(e) for passing in ("service account", "status unknown for quota")):
                    await asyncio.sleep(self._deadlines.poll_s)
                elif not thin and admission_changes.too_much(str(e)):
                    obj, thin = run_objects.frugal(obj), True
                else:
                    raise
            else:
                return

    async def _leave(self) -> None:
        """Remove everything, also when cancelled once more meanwhile; the cancellation is passed on after."""
        if self._disposable:
            await self._stack.aclose()
            return
        self._progress("removing what the run made")
        task = asyncio.create_task(self._remove(), name=f"cleanup of run {self.run}")
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError as e:
                cancelled = e
            except ClusterError:
                break
        if cancelled is not None:
            raise cancelled
        task.result()

    async def _remove(self) -> None:
        try:
            await cleanup.remove(
                self._cluster,
                self.run,
                guests=self._beyond,
                deadline_s=self._deadlines.removed_s,
            )
        finally:
            await self._stack.aclose()


def station(end: End, pod: Object) -> Station:
    """What the prober needs to know of a pod that is ready."""
    status, spec, meta = pod["status"], pod["spec"], pod["metadata"]
    declared = (meta.get("annotations") or {}).get(run_objects.ADDRESS)
    texts = [declared] if declared else [a["ip"] for a in status.get("podIPs") or [{"ip": status["podIP"]}]]
    ports = [
        ContainerPort(p["containerPort"], Protocol(p.get("protocol", "TCP")), p.get("name"))
        for container in spec["containers"]
        if container["name"] == run_objects.CONTAINER  # admission may have put others before it
        for p in container.get("ports") or ()
    ]
    return Station(
        end,
        namespace=meta["namespace"],
        pod=meta["name"],
        container=run_objects.CONTAINER,
        addresses=tuple(map(ip_address, texts)),
        node=spec.get("nodeName"),
        ports=tuple(ports),
    )


def _ref(obj: Object) -> PodRef:
    return PodRef(obj["metadata"]["namespace"], obj["metadata"]["name"])


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """Await all, for their results; the first failure is raised once none of them runs any more."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
