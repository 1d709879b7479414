"""Workloads and their pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs.

The one place that knows where a workload has its pod template, what its controller adds to the pods, and
which pods represent a workload when a cluster's objects are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from netprobe.manifests.pod import account_of, ports_of
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import Labels
from netprobe.policies import fields
from netprobe.policies.fields import Decoder, child
from netprobe.policies.metadata import check_labels

TEMPLATE_HASH = "pod-template-hash"
REVISION_HASH = "controller-revision-hash"

ROLLOUT_LABELS = frozenset(
    {
        TEMPLATE_HASH,
        REVISION_HASH,
        "pod-template-generation",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
    }
)
"""Labels of pods whose values change with each rollout or with each new workload of the same name."""

CONTROLLER_LABELS = ROLLOUT_LABELS | {
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "job-name",
    "batch.kubernetes.io/job-name",
    "batch.kubernetes.io/job-completion-index",
}
"""All labels that the built-in controllers add to pods."""

_TEMPLATE_PATHS = {"CronJob": "spec.jobTemplate.spec.template"}
_ENDED = ("Complete", "Failed")
"""The conditions of a Job that makes no more pods."""


class Owner(NamedTuple):
    """Whatever controls a pod or a workload."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload and the pod that its template describes. `idle`: it has no pods now."""

    key: Owner
    owner: Owner | None
    pod: Pod
    idle: bool


def template_path(kind: str) -> str:
    """The path of a workload's pod template."""
    return _TEMPLATE_PATHS.get(kind, "spec.template")


def added_labels(kind: str, name: str, *, uid: str = "", ordinal: int | None = None) -> dict[str, str]:
    """The labels that a controller adds to the pods of a workload, except hashes of the template.

    Jobs have the name, and with `uid` the uid, under both the old and the new label; StatefulSets have the
    pod's name and its `ordinal`.
    """
    if kind == "Job":
        labels = {"batch.kubernetes.io/job-name": name, "job-name": name}
        return labels | ({"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid} if uid else {})
    if kind == "StatefulSet" and ordinal is not None:
        return {
            "statefulset.kubernetes.io/pod-name": f"{name}-{ordinal}",
            "apps.kubernetes.io/pod-index": str(ordinal),
        }
    return {}


def read_workload(decoder: Decoder, obj: Mapping[str, Any], key: Owner) -> Workload:
    """A workload; errors are collected in `decoder`. Its pod has no address and no node."""
    path = template_path(key.kind)
    template: Mapping[str, Any] = obj
    where = ""
    for step in path.split("."):
        where = child(where, step)
        template = decoder.mapping(template.get(step), where)
    if not template:
        decoder.errors.append(fields.required(path, f"a {key.kind} has a template for its pods"))
    metadata = decoder.mapping(template.get("metadata"), f"{path}.metadata")
    spec = decoder.mapping(template.get("spec"), f"{path}.spec")
    labels = check_labels(decoder, metadata, "labels", f"{path}.metadata")
    replicas = _replicas(decoder, obj, key.kind)
    pod = Pod(
        PodRef(key.namespace, key.name),
        labels | added_labels(key.kind, key.name, ordinal=_only_ordinal(decoder, obj, replicas)),
        ports=ports_of(decoder, spec, f"{path}.spec"),
        host_network=decoder.boolean(spec, "hostNetwork", f"{path}.spec"),
        service_account=account_of(decoder, spec, f"{path}.spec"),
        workload=f"{key.kind}/{key.name}",
    )
    return Workload(key, owner_of(obj, key.namespace), pod, idle=replicas == 0)


def _replicas(decoder: Decoder, obj: Mapping[str, Any], kind: str) -> int:
    """How many pods a workload says it has: 0 for a Job that is over, 1 if it does not say."""
    if kind == "CronJob":
        return 1
    if kind == "Job":
        status = decoder.mapping(obj.get("status"), "status")
        conditions = [item for item, _ in decoder.items(status, "conditions", "status")]
        is_over = any(
            isinstance(condition, Mapping)
            and condition.get("type") in _ENDED
            and condition.get("status") == "True"
            for condition in conditions
        )
        return 0 if is_over else 1
    replicas = decoder.integer(decoder.mapping(obj.get("spec"), "spec"), "replicas", "spec")
    return 1 if replicas is None else replicas


def _only_ordinal(decoder: Decoder, obj: Mapping[str, Any], replicas: int) -> int | None:
    """The ordinal of the only pod of a StatefulSet; None if it has several, which differ in that label."""
    if replicas != 1:
        return None
    path = "spec.ordinals"
    ordinals = decoder.mapping(decoder.mapping(obj.get("spec"), "spec").get("ordinals"), path)
    return decoder.integer(ordinals, "start", path) or 0


def owner_of(obj: Mapping[str, Any], namespace: str) -> Owner | None:
    """The controller of an object, if any. A malformed reference counts as none: it decides nothing."""
    metadata = obj.get("metadata")
    owners = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, Mapping) and owner.get("controller", True) and owner.get("name"):
            return Owner(namespace, str(owner.get("kind")), str(owner["name"]))
    return None


def all_pods(
    pods: Sequence[tuple[Pod, Owner | None]],
    finished: Sequence[Owner],
    workloads: Mapping[Owner, Workload],
) -> Iterator[Pod]:
    """The pods of a cluster: its Pod objects, and one pod for each workload that has none of its own.

    `finished` are the owners of pods that have ended; they get no further pod. Neither do a ReplicaSet of a
    Deployment that is here, a Job of a CronJob that is here, and idle workloads.
    """
    served: set[Owner] = set()
    for pod, owner in pods:
        chain = _chain(owner, pod.labels, workloads)
        served.update(chain)
        yield replace(pod, workload=f"{chain[-1].kind}/{chain[-1].name}") if chain else pod
    for owner in finished:
        served.update(_chain(owner, {}, workloads))
    kept = [
        workload
        for workload in workloads.values()
        if not workload.idle and workload.key not in served and workload.owner not in workloads
    ]
    taken = {pod.ref for pod, _ in pods}
    refs = Counter(workload.pod.ref for workload in kept)
    for workload in kept:
        ref = workload.pod.ref
        if ref in taken or refs[ref] > 1:
            ref = PodRef(ref.namespace, f"{ref.name}-{workload.key.kind.lower()}")
        taken.add(ref)
        yield replace(workload.pod, ref=ref)


def _chain(owner: Owner | None, labels: Labels, workloads: Mapping[Owner, Workload]) -> list[Owner]:
    """Who controls a pod with these labels, from its direct owner up."""
    chain: list[Owner] = []
    while owner is not None and owner not in chain:
        chain.append(owner)
        owner = workloads[owner].owner if owner in workloads else None
    if chain and chain[-1].kind == "ReplicaSet" and (digest := labels.get(TEMPLATE_HASH)):
        namespace, _, name = chain[-1]  # its name is that of its Deployment, and the hash
        if name.endswith(f"-{digest}"):
            chain.append(Owner(namespace, "Deployment", name.removesuffix(f"-{digest}")))
    return chain
