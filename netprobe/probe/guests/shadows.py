"""What a run creates next to the workloads of others, as API objects. Pure.

A shadow pod is in a namespace that is not the run's own, with those labels of real pods that policies
read, on the node of one of them. To disturb nothing there:

    a readiness gate that is never true        no Service sends it traffic
    no controller reference                    no PodDisruptionBudget fails on an owner that it does not know
    one Job per namespace that owns the rest   ends everything at its deadline, whether the run lives or not

Everything that a run in place makes is in `objects`: `--dry-run` prints it and the bench creates it, so that
the two cannot differ. The other objects are, on each node and in the run's own namespace, a pair of
canaries and a control pod, which serves and which no policy selects: a client of the canaries that reaches a
control pod proves that packets travel between the two nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from netprobe.manifests.workload import TEMPLATE_HASH
from netprobe.model.flow import ContainerPort, PodRef, Protocol
from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe import canary, run_objects
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


def owner(namespace: str, run: str, options: PodOptions) -> Object:
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


def pod(shadow: Shadow, run: str, options: PodOptions, uid: str) -> Object:
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
class Objects:
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


def objects(plan: GuestPlan, run: str, options: PodOptions, uids: Mapping[str, str] | None = None) -> Objects:
    """The objects of a plan. `uids`: of the Jobs by namespace, if they are known already."""
    known = uids or {}
    home = run_namespace(run)
    return Objects(
        canary.policy(home, run, 0),
        tuple(owner(namespace, run, options) for namespace in plan.namespaces),
        tuple(
            pod(shadow, run, options, known.get(shadow.ref.namespace, f"<uid of the Job netprobe-{run}>"))
            for shadow in plan.shadows
        ),
        {node: canary.pods(home, run, node, index, options) for index, node in enumerate(plan.nodes)},
        {node: control_pod(node, index, run, options) for index, node in enumerate(plan.nodes)},
    )
