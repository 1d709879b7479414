"""Guests: what a run puts beside the workloads of others, as the API takes it. Pure.

A shadow pod stands in a namespace that is not the run's own, with the labels of real pods that policies look
at, on the node of one of them. So that it disturbs nobody:

    a readiness gate that never turns true   no Service sends it traffic
    no controller reference                  no PodDisruptionBudget stumbles over an owner it does not know
    one Job a namespace that owns the rest   ends everything at its deadline, whether the run lives or not

Everything that a party makes is in `objects`: `--dry-run` prints it and the bench creates it, so that the two
cannot differ. Beside the shadows these are canaries and a policy-free pod that serves, on each node, in the
run's own namespace: a pair of them proves that packets travel between two nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from netprobe.model.flow import ContainerPort, PodRef, Protocol
from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe import run_objects
from netprobe.probe.readiness import GATE
from netprobe.probe.run_objects import RUN, PodOptions, run_namespace

NEVER_COPIED: Final = frozenset({"pod-template-hash"})
"""With it the ReplicaSet of a Deployment would adopt the pod, and delete one to have its number again."""

STANDS_FOR: Final = "netprobe.dev/stands-for"
SERVED: Final = (ContainerPort(9000), ContainerPort(9000, Protocol.UDP))
"""What a policy-free pod serves, one port a protocol."""

_EVERYWHERE: Final = ({"operator": "Exists"},)


@dataclass(frozen=True, slots=True)
class Shadow:
    """A pod to be made, and the real pods that it stands for as a source; the first lends it its node."""

    ref: PodRef
    labels: Labels
    node: str
    stands_for: tuple[PodRef, ...]


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """All guests of a run. `nodes`: where policy-free pods are needed, those of the shadows among them."""

    shadows: tuple[Shadow, ...]
    nodes: tuple[str, ...]

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces of others that a Job is needed in."""
        return tuple(dict.fromkeys(shadow.ref.namespace for shadow in self.shadows))


def shadow_labels(labels: Labels, looked_at: Iterable[str]) -> dict[str, str]:
    """The labels of a real pod that its shadow gets: those with a key that some policy's selector names."""
    keys = frozenset(looked_at) - NEVER_COPIED
    return {key: value for key, value in sorted(labels.items()) if key in keys}


def owner(namespace: str, run: str, options: PodOptions) -> Object:
    """The Job that owns all else in a namespace. It never runs a pod (parallelism 0), it only ends."""
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
    pinned = replace(
        options, node_selector={}, tolerations=_EVERYWHERE
    )  # where the real pod may be, it may be
    obj = run_objects.pod(
        shadow.ref,
        run,
        pinned,
        labels=shadow.labels,
        node=shadow.node,
        annotations={STANDS_FOR: str(shadow.stands_for[0])},
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


def free_pod(node: str, index: int, run: str, options: PodOptions) -> Object:
    """A pod that no policy selects and that serves, in the run's own namespace, on a node."""
    pinned = replace(options, node_selector={}, tolerations=_EVERYWHERE)
    return run_objects.pod(PodRef(run_namespace(run), f"free-{index}"), run, pinned, ports=SERVED, node=node)


@dataclass(frozen=True, slots=True)
class Objects:
    """Everything that a party creates, in the order of its creation; canaries and free pods by node."""

    namespace: Object
    policy: Object
    owners: tuple[Object, ...]
    shadows: tuple[Object, ...]
    canaries: Mapping[str, tuple[Object, Object]]
    free: Mapping[str, Object]

    @property
    def pods(self) -> tuple[Object, ...]:
        pairs = (obj for pair in self.canaries.values() for obj in pair)
        return (*self.shadows, *pairs, *self.free.values())

    def __iter__(self) -> Iterator[Object]:
        yield from (self.namespace, *self.owners, self.policy, *self.pods)


def objects(
    party: GuestPlan,
    run: str,
    options: PodOptions,
    uids: Mapping[str, str] | None = None,
    *,
    changes: int = 1,
) -> Objects:
    """The objects of a party. `uids`: of the Jobs by namespace, where they are known already."""
    known = uids or {}
    canaries: dict[str, tuple[Object, Object]] = {}
    for index, node in enumerate(party.nodes):
        target, client = run_objects.canary_pods(node, index, run, options, changes)
        canaries[node] = target, client
    return Objects(
        run_objects.namespace(run_namespace(run), run),
        run_objects.canary_policy(run, 0),
        tuple(owner(namespace, run, options) for namespace in party.namespaces),
        tuple(
            pod(shadow, run, options, known.get(shadow.ref.namespace, f"<uid of the Job netprobe-{run}>"))
            for shadow in party.shadows
        ),
        canaries,
        {node: free_pod(node, index, run, options) for index, node in enumerate(party.nodes)},
    )
