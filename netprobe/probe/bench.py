"""What every kind of run does: its own namespace and Lease, pods made ready, everything removed at the end.

`Workbench` makes a fixture in its own namespaces, `GuestWorkbench` puts shadow pods into those of
others.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Final, Self, TypedDict

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, NotFoundError, WorkbenchError
from netprobe.model.flow import ContainerPort, End, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.probe import cleanup, lease, permission, run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import Canaries
from netprobe.probe.ownership import OPEN, ObjectRef, Record
from netprobe.probe.permission import Permission
from netprobe.probe.plan import Station
from netprobe.probe.readiness import PodReadiness, is_ready
from netprobe.probe.run_objects import PodOptions, run_namespace

Progress = Callable[[str], None]

POLL_S: Final = 0.1
"""How often a bench looks if it cannot watch."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a bench waits, in seconds."""

    ready_s: float = 120.0
    removed_s: float = 90.0


def new_run() -> str:
    """A run id: eight characters that fit into names and labels."""
    return secrets.token_hex(4)


class BenchOptions(TypedDict, total=False):
    """What every bench takes, as keyword arguments; see Bench."""

    run: str
    disposable: bool
    options: PodOptions
    deadlines: Deadlines
    progress: Progress


class Bench(ABC):
    """The pods of one run while the context is open. Subclasses make them in `_build`.

    Once entered: `stations` to probe from, by the end of flows that each represents; `canaries`, None if
    there are none; `warnings`, sentences on what admission added that changes what a probe means.

    `disposable`: the cluster ends with the run, so nothing has to be removed from it, and the run is its
    administrator.

    Entering raises ForbiddenError (a permission is missing; nothing was made), ConflictError (a namespace
    belongs to others), WorkbenchError (a pod never became ready) or another ClusterError; nothing of
    the run is left then.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        *,
        permissions: Sequence[Permission],
        steps: bool = False,
        run: str = "",
        disposable: bool = False,
        options: PodOptions | None = None,
        deadlines: Deadlines | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        self.run = run or new_run()
        self.stations: Mapping[End, Station] = {}
        self.canaries: Canaries | None = None
        self.warnings: tuple[str, ...] = ()
        self._cluster = cluster
        self._permissions = permissions
        self._steps = steps
        self._disposable = disposable
        self._options = options or PodOptions()
        self._deadlines = deadlines or Deadlines()
        self._progress = progress
        self._stack = AsyncExitStack()
        self._record = Record(self.run)
        self._home: Object | None = None  # the metadata of the run's own namespace
        self._recording = asyncio.Lock()
        self._recorded: frozenset[ObjectRef] | None = None  # in the Lease; None while there is none

    async def __aenter__(self) -> Self:
        if not self._disposable:
            await permission.require(self._cluster, steps=self._steps, wanted=self._permissions)
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

    @abstractmethod
    async def _build(self) -> None:
        """Make everything; what fails half-way is removed by the caller."""

    async def create(self, obj: Object) -> Object:
        """Create an object with the run's label and token, recorded first. ConflictError if it exists."""
        ref = ObjectRef.of(obj)
        await self._note(ref)
        try:
            return await self._cluster.create(self._marked(obj))
        except ForbiddenError:  # it does not exist, and who may not create it may not look for it either
            self._record.refs -= {ref}
            raise

    async def apply(self, obj: Object) -> None:
        """Create an object, or replace it. ConflictError if it exists and belongs to others."""
        ref = ObjectRef.of(obj)
        await self._note(ref)
        inside = self._record.covers(ref)
        await self._cluster.apply(
            self._marked(obj), may_replace=lambda found: inside or self._record.proves(found)
        )

    async def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object. NotFoundError if it does not exist, ConflictError if it is not the run's."""
        ref = ObjectRef(kind, namespace, name)
        uid = None if self._record.covers(ref) else (await self._own(ref))["uid"]
        await self._cluster.delete(kind, name, namespace, uid=uid)

    def _marked(self, obj: Object) -> Object:
        """The object with the run's label and token; one of the whole cluster goes with the run's
        namespace."""
        marked = self._record.mark(obj)
        meta = marked["metadata"]
        if "namespace" not in meta and self._home is not None:
            owner = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "name": self._home["name"],
                "uid": self._home["uid"],
            }
            marked["metadata"] = {**meta, "ownerReferences": [owner]}
        return marked

    async def _own(self, ref: ObjectRef) -> Object:
        """The metadata of an object outside the run's namespaces; ConflictError if it is not the run's."""
        current = await self._cluster.get(ref.kind, ref.name, ref.namespace)
        if not self._record.proves(current):
            raise ConflictError(f"{ref} already exists and was not created by this run: it is left alone")
        meta: Object = current["metadata"]
        return meta

    async def _note(self, *refs: ObjectRef) -> None:
        """Write into the record what is about to be created outside the run's own namespaces."""
        self._record.refs |= {ref for ref in refs if not self._record.covers(ref)}
        async with self._recording:
            if self._recorded is not None and not self._record.refs <= self._recorded:
                noted = frozenset(self._record.refs)
                await lease.write(self._cluster, self._record)
                self._recorded = noted

    async def start(
        self, objects: Iterable[Object], *, until: Callable[[Object], bool] = is_ready
    ) -> Mapping[PodRef, Object]:
        """Create pods with the run's label and wait `until` each is as wanted; the pods as they are then.

        A pod of the same name that is still being removed is waited for. WorkbenchError if one cannot
        start or the deadline is over.
        """
        pods = tuple(objects)
        await self._note(*map(ObjectRef.of, pods))
        async with self._starting() as readiness:
            made = await together(*map(self._create_pod, pods))
            return await readiness.until({ref_of(pod): pod for pod in made}, until)

    @asynccontextmanager
    async def _starting(self) -> AsyncIterator[PodReadiness]:
        """The deadline for pods to be ready, with an explanation if it is not met."""
        readiness = PodReadiness(self._cluster, self.run)
        try:
            async with asyncio.timeout(self._deadlines.ready_s), readiness:
                yield readiness
        except TimeoutError as e:
            raise WorkbenchError(
                f"pods are not ready after {self._deadlines.ready_s:g} s: {await readiness.explain()}"
            ) from e

    async def _make_home(self) -> None:
        """Create the run's own namespace, and the Lease in it that shows that the run is alive."""
        if not self._disposable:
            OPEN.append(self._record)
        await self._note(ObjectRef("Namespace", None, run_namespace(self.run)))
        self._home = (await self._cluster.create(lease.home(self._record)))["metadata"]
        if not self._disposable:
            await self._stack.enter_async_context(lease.held(self._cluster, self._record))
            self._recorded = frozenset(self._record.refs)

    async def _create_namespace(
        self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
    ) -> Object:
        """Create a namespace of the run. One of that name that is being removed is waited for."""
        obj = run_objects.namespace(name, self.run, labels, annotations)
        await self._note(ObjectRef.of(obj))
        now = asyncio.get_running_loop().time
        end = now() + self._deadlines.removed_s
        while True:
            with suppress(ConflictError):
                return await self._cluster.create(self._record.mark(obj))
            try:
                current = (await self._cluster.get("Namespace", name))["metadata"]
            except NotFoundError:
                continue
            if "deletionTimestamp" not in current or now() > end:
                raise ConflictError(await self._owner_of(name, current))
            self._progress(f"waiting for the namespace {name} to be removed")
            await asyncio.sleep(POLL_S)

    async def _owner_of(self, name: str, current: Object) -> str:
        """Who owns an existing namespace, and what to do about it."""
        other = (current.get("labels") or {}).get(run_objects.RUN)
        if other is None:
            return (
                f"the namespace {name} already exists and was not created by netprobe: rename it in the "
                "suite, use --namespace-prefix, or remove it yourself"
            )
        state = (await lease.lives(self._cluster, [other], self._progress))[other]
        if state.alive:
            return f"the namespace {name} is in use by run {other}, which is alive: {state.why}"
        record = Record.read(state.lease) if state.lease else None
        proven = record is not None and record.proves({"kind": "Namespace", "metadata": current})
        return (
            f"the namespace {name} was left by run {other}, which is dead ({state.why}): "
            f"netprobe clean --run {other}{'' if proven else ' --by-label'} removes it"
        )

    async def _create_pod(self, obj: Object) -> Object:
        """Create a pod; retry if it may be accepted a moment later.

        A new namespace has no service account yet, or a quota that is not counted; a pod of the same name is
        still being removed. If a quota or a LimitRange refuses it, one more try requests less.
        """
        frugal = False
        while True:
            try:
                return await self._cluster.create(self._record.mark(obj))
            except ConflictError:
                if not await self._is_leaving(ref_of(obj)):
                    raise
            except ForbiddenError as e:
                if not frugal and run_objects.is_too_much(str(e)):
                    obj, frugal = run_objects.frugal(obj), True
                    continue
                if not any(passing in str(e) for passing in ("service account", "status unknown for quota")):
                    raise
            await asyncio.sleep(POLL_S)

    async def _is_leaving(self, ref: PodRef) -> bool:
        """Whether a pod of that name is being removed, or is gone by now."""
        ours = await self._cluster.find("Pod", ref.namespace, {run_objects.RUN: self.run})
        return all("deletionTimestamp" in pod["metadata"] for pod in ours if ref_of(pod) == ref)

    async def _leave_after(self, error: BaseException | None) -> None:
        """Remove everything. Report the error that ended the run; add leftovers as a note."""
        try:
            await self._leave()
        except ClusterError as e:
            if error is None:
                raise
            error.add_note(str(e))

    async def _leave(self) -> None:
        """Remove everything, even if cancelled again meanwhile; that cancellation is passed on afterwards."""
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
            await cleanup.remove(self._cluster, self._record, deadline_s=self._deadlines.removed_s)
            if self._record in OPEN:
                OPEN.remove(self._record)
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


def ref_of(obj: Object) -> PodRef:
    """The namespace and name of a pod."""
    return PodRef(obj["metadata"]["namespace"], obj["metadata"]["name"])


async def together(*calls: Awaitable[Any]) -> list[Any]:
    """Await all and return their results; the first failure is raised after all have ended."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return list(results)
