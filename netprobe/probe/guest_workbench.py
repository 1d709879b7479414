"""The bench of a run in place: shadow pods in namespaces of others, canaries and control pods in its own.

A shadow pod is in a namespace that is not the run's own, with those labels of real pods that policies
read, on the node of one of them. To disturb nothing there:

    a readiness gate that is never true        no Service sends it traffic
    no controller reference                    no PodDisruptionBudget fails on an owner that it does not know
    one Job per namespace that owns the rest   ends everything at its deadline, whether the run lives or not

Everything that such a run creates is in `guest_objects`: `--dry-run` prints it and the bench creates it, so
the two cannot differ. The other objects are, on each node and in the run's own namespace, a pair of
canaries and a control pod, which serves and which no policy selects: a client of the canaries that reaches a
control pod proves that packets travel between the two nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Unpack

from netprobe.manifests.workload import TEMPLATE_HASH
from netprobe.model.flow import Address, ContainerPort, PodRef, Protocol
from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe import canary, run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import Bench, BenchOptions, ref_of, station, together
from netprobe.probe.canary import Canaries, Canary
from netprobe.probe.netcat import Target
from netprobe.probe.ownership import ObjectRef
from netprobe.probe.permission import IN_PLACE, Permission
from netprobe.probe.plan import Station, Try
from netprobe.probe.readiness import GATE
from netprobe.probe.run_objects import RUN, PodOptions, run_namespace

NEVER_COPIED: Final = frozenset({TEMPLATE_HASH})
"""With it the ReplicaSet of a Deployment would adopt the pod, and delete one to get back to its number."""

STANDS_FOR: Final = "netprobe.dev/stands-for"
SERVED: Final = (ContainerPort(9000), ContainerPort(9000, Protocol.UDP))
"""What a control pod serves: one port for each protocol."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A pod to create, and the real pods that it represents as a source; it runs on the node of the first.

    `account`: the service account whose name some policy looks at; its token is not mounted.
    """

    ref: PodRef
    labels: Labels
    node: str
    stands_for: tuple[PodRef, ...]
    account: str = run_objects.DEFAULT_ACCOUNT


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """All shadow pods of a run. `nodes`: where control pods are needed, the shadows' own nodes included."""

    shadows: tuple[Shadow, ...]
    nodes: tuple[str, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of others that need a Job."""
        return tuple(dict.fromkeys(shadow.ref.namespace for shadow in self.shadows))


def shadow_labels(labels: Labels, mentioned: Iterable[str]) -> dict[str, str]:
    """The labels that a shadow copies from a real pod: those whose key some policy's selector mentions."""
    keys = frozenset(mentioned) - NEVER_COPIED
    return {key: value for key, value in sorted(labels.items()) if key in keys}


def owner_job(namespace: str, run: str, options: PodOptions) -> Object:
    """The Job that owns everything else in a namespace. It never runs a pod (parallelism 0), it only ends."""
    template = run_objects.pod(PodRef(namespace, "unused"), run, options)["spec"]
    template["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"netprobe-{run}", "namespace": namespace, "labels": {RUN: run}},
        "spec": {
            "parallelism": 0,
            "completions": 1,
            "activeDeadlineSeconds": options.lifetime_s,
            "ttlSecondsAfterFinished": 0,
            "template": {"metadata": {"labels": {RUN: run}}, "spec": template},
        },
    }


def shadow_pod(shadow: Shadow, run: str, options: PodOptions, uid: str) -> Object:
    """The shadow pod; `uid` is that of its namespace's Job."""
    obj = run_objects.pod(
        shadow.ref,
        run,
        options.on_any_node(),
        labels=shadow.labels,
        node=shadow.node,
        annotations={STANDS_FOR: str(shadow.stands_for[0])},
        account=shadow.account,
    )
    obj["spec"]["readinessGates"] = [{"conditionType": GATE}]
    obj["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": f"netprobe-{run}",
            "uid": uid,
            "controller": False,
            "blockOwnerDeletion": False,
        }
    ]
    return obj


def control_pod(node: str, index: int, run: str, options: PodOptions) -> Object:
    """A pod in the run's own namespace, on a node, that serves and that no policy selects."""
    ref = PodRef(run_namespace(run), f"control-{index}")
    return run_objects.pod(ref, run, options.on_any_node(), ports=SERVED, node=node)


@dataclass(frozen=True, slots=True)
class GuestObjects:
    """What a run in place creates besides its own namespace, in the order of creation; canaries and control
    pods by node."""

    policy: Object
    owners: tuple[Object, ...]
    shadows: tuple[Object, ...]
    canaries: Mapping[str, tuple[Object, Object]]
    control_pods: Mapping[str, Object]

    @property
    def pods(self) -> tuple[Object, ...]:
        pairs = (obj for pair in self.canaries.values() for obj in pair)
        return (*self.shadows, *pairs, *self.control_pods.values())

    def __iter__(self) -> Iterator[Object]:
        yield from (*self.owners, self.policy, *self.pods)


def guest_objects(
    plan: GuestPlan, run: str, options: PodOptions, uids: Mapping[str, str] | None = None
) -> GuestObjects:
    """The objects of a plan. `uids`: of the Jobs by namespace, if they are known already."""
    known = uids or {}
    home = run_namespace(run)
    return GuestObjects(
        canary.policy(home, run, 0),
        tuple(owner_job(namespace, run, options) for namespace in plan.namespaces),
        tuple(
            shadow_pod(
                shadow, run, options, known.get(shadow.ref.namespace, f"<uid of the Job netprobe-{run}>")
            )
            for shadow in plan.shadows
        ),
        {node: canary.pods(home, run, node, index, options) for index, node in enumerate(plan.nodes)},
        {node: control_pod(node, index, run, options) for index, node in enumerate(plan.nodes)},
    )


class GuestWorkbench(Bench):
    """A bench whose stations are shadow pods, each under the names of the real pods that it represents.

    `clients` and `servers`, by node, are pods that no policy of a namespace selects. Entering creates exactly
    the `guest_objects` of the plan, and a Lease. What it raises: see Bench.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        plan: GuestPlan,
        permissions: Sequence[Permission] = IN_PLACE,
        **options: Unpack[BenchOptions],
    ) -> None:
        super().__init__(cluster, permissions=permissions, **options)
        self._plan = plan
        self.clients: Mapping[str, Station] = {}
        self.servers: Mapping[str, Station] = {}

    def control_pair(self, source: str, destination: str, target: Target) -> tuple[Try, ...]:
        """The try that proves the path from one node to another, with the protocol of `target`; () if no
        pods are there for it.
        """
        client, server = self.clients.get(source), self.servers.get(destination)
        if client is None or server is None:
            return ()
        port = next((p.number for p in SERVED if p.protocol is target.protocol), None)
        host = next((a for a in server.addresses if _same_family(a, target.host)), None)
        return ((client, Target(str(host), port, target.protocol)),) if port and host else ()

    def control_try(self, node: str, target: Target) -> tuple[Try, ...]:
        """The try of a target by a policy-free pod on a node: for what is outside the pod network."""
        client = self.clients.get(node)
        return ((client, target),) if client else ()

    async def _build(self) -> None:
        self._progress("creating the run's own namespace")
        await self._make_home()
        owners = guest_objects(self._plan, self.run, self._options).owners
        await self._note(*map(ObjectRef.of, owners))
        jobs = await together(*map(self.create, owners))
        uids = {job["metadata"]["namespace"]: str(job["metadata"]["uid"]) for job in jobs}
        made = guest_objects(self._plan, self.run, self._options, uids)
        await self.create(made.policy)
        self._progress(f"starting {len(made.pods)} pods")
        pods = await self.start(made.pods)
        relabelled = run_objects.label_warnings((obj, pods[ref_of(obj)]) for obj in made.shadows)
        self.warnings = (*run_objects.sidecar_warnings(pods.values()), *relabelled)
        self._place(made, pods)

    def _place(self, made: GuestObjects, pods: Mapping[PodRef, Object]) -> None:
        def at(obj: Object) -> Station:
            return station(ref_of(obj), pods[ref_of(obj)])

        self.stations = {}
        for shadow in self._plan.shadows:
            place = station(shadow.stands_for[0], pods[shadow.ref])
            self.stations |= dict.fromkeys(shadow.stands_for, place)
        self.clients = {node: at(client) for node, (_, client) in made.canaries.items()}
        self.servers = {node: at(server) for node, server in made.control_pods.items()}
        pairs = tuple(
            Canary(client=self.clients[node], target=at(target))
            for node, (target, _) in made.canaries.items()
        )
        self.canaries = Canaries(self._cluster, self, self.run, run_namespace(self.run), pairs)


def _same_family(address: Address, host: str) -> bool:
    """Whether an address is of the family of a host; True for a name, which may resolve to either."""
    try:
        return ip_address(host).version == address.version
    except ValueError:
        return True
