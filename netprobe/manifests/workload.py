"""Workloads and their pods: Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs and CronJobs.

The one place that knows where a workload has its pod template, what its controller adds to the pods, and
which pods represent a workload when a cluster's objects are read. Some labels get a value that manifests do
not show, such as a hash; `undecided` names the policies that select by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from netprobe.manifests.pod import account_of, ports_of
from netprobe.model.cluster import Cluster
from netprobe.model.expression import leaves
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import CHOSEN_LATER, Labels, Operator, Requirement, Selector, may_be
from netprobe.model.policy import Policy
from netprobe.model.text import listed
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

COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"

_JOB_NAME = ("job-name", "batch.kubernetes.io/job-name")
_JOB_UID = ("controller-uid", "batch.kubernetes.io/controller-uid")

CONTROLLER_LABELS = ROLLOUT_LABELS | {
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    *_JOB_NAME,
    COMPLETION_INDEX,
}
"""All labels that the built-in controllers add to pods."""

_CHOSEN: Mapping[str, Mapping[str, str]] = {
    "Deployment": {TEMPLATE_HASH: "*"},
    "StatefulSet": {REVISION_HASH: "{}-*"},
    "DaemonSet": {REVISION_HASH: "*", "pod-template-generation": "*"},
    "Job": dict.fromkeys(_JOB_UID, "*"),
    "CronJob": dict.fromkeys(_JOB_NAME, "{}-*") | dict.fromkeys(_JOB_UID, "*"),
}
"""Labels whose values a controller chooses, with patterns of what they may be; {} is the workload's name."""

_TEMPLATE_PATHS = {"CronJob": "spec.jobTemplate.spec.template"}
_ENDED = ("Complete", "Failed")
"""The conditions of a Job that makes no more pods."""


class Owner(NamedTuple):
    """The controller of a pod or a workload."""

    namespace: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload and the pods that it has: one for all that are alike; none if it has no pods now."""

    key: Owner
    owner: Owner | None
    pods: tuple[Pod, ...]


def template_path(kind: str) -> str:
    """The path of a workload's pod template."""
    return _TEMPLATE_PATHS.get(kind, "spec.template")


def added_labels(kind: str, name: str, *, uid: str = "", index: int | None = None) -> dict[str, str]:
    """The labels that a controller adds to a pod of a workload, except hashes of the template.

    Jobs have the name, and with `uid` the uid, under both the old and the new label. `index` is the ordinal
    of a StatefulSet's pod, or the completion index of an indexed Job's.
    """
    if kind == "StatefulSet" and index is not None:
        return {
            "statefulset.kubernetes.io/pod-name": f"{name}-{index}",
            "apps.kubernetes.io/pod-index": str(index),
        }
    if kind != "Job":
        return {}
    labels = dict.fromkeys(_JOB_NAME, name) | (dict.fromkeys(_JOB_UID, uid) if uid else {})
    return labels | ({COMPLETION_INDEX: str(index)} if index is not None else {})


def indexes(obj: Mapping[str, Any], kind: str) -> range | None:
    """The indexes of the pods of a StatefulSet or an indexed Job, with defaults; None for other workloads.

    ValueError, TypeError or AttributeError if the object is not valid.
    """
    spec = obj.get("spec") or {}
    if kind == "StatefulSet":
        start = (spec.get("ordinals") or {}).get("start") or 0
        replicas = spec.get("replicas")
        return range(start, start + (1 if replicas is None else replicas))
    if kind == "Job" and spec.get("completionMode") == "Indexed" and spec.get("completions") is not None:
        return range(spec["completions"])
    return None


def read_workload(decoder: Decoder, obj: Mapping[str, Any], key: Owner) -> Workload:
    """A workload; errors are collected in `decoder`. Its pods have no address and no node."""
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
    shapes = _CHOSEN.get(key.kind, {})
    chosen = {label: CHOSEN_LATER + shape.format(key.name) for label, shape in shapes.items()}
    pod = Pod(
        PodRef(key.namespace, key.name),
        chosen | labels | added_labels(key.kind, key.name),
        ports=ports_of(decoder, spec, f"{path}.spec"),
        host_network=decoder.boolean(spec, "hostNetwork", f"{path}.spec"),
        service_account=account_of(decoder, spec, f"{path}.spec"),
        workload=f"{key.kind}/{key.name}",
    )
    owner = owner_of(obj, key.namespace)
    if _is_idle(decoder, obj, key.kind):
        return Workload(key, owner, ())
    numbers = None if decoder.errors else indexes(obj, key.kind)
    return Workload(key, owner, (pod,) if numbers is None else tuple(_indexed(pod, key, numbers)))


def _indexed(pod: Pod, key: Owner, numbers: Iterable[int]) -> Iterator[Pod]:
    for index in numbers:
        labels = {**pod.labels, **added_labels(key.kind, key.name, index=index)}
        yield replace(pod, ref=PodRef(key.namespace, f"{key.name}-{index}"), labels=labels)


def _is_idle(decoder: Decoder, obj: Mapping[str, Any], kind: str) -> bool:
    """Whether a workload has no pods now: no replicas, or a Job that is over."""
    if kind == "CronJob":
        return False
    spec = decoder.mapping(obj.get("spec"), "spec")
    if kind == "Job":
        decoder.integer(spec, "completions", "spec")
        status = decoder.mapping(obj.get("status"), "status")
        conditions = [item for item, _ in decoder.items(status, "conditions", "status")]
        return any(
            isinstance(condition, Mapping)
            and condition.get("type") in _ENDED
            and condition.get("status") == "True"
            for condition in conditions
        )
    decoder.integer(decoder.mapping(spec.get("ordinals"), "spec.ordinals"), "start", "spec.ordinals")
    return decoder.integer(spec, "replicas", "spec") == 0


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
    """The pods of a cluster: its Pod objects, and the pods of each workload that has none here.

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
        (workload.key.kind, pod)
        for workload in workloads.values()
        if workload.key not in served and workload.owner not in workloads
        for pod in workload.pods
    ]
    taken = {pod.ref for pod, _ in pods}
    refs = Counter(pod.ref for _, pod in kept)
    for kind, pod in kept:
        ref = pod.ref
        if ref in taken or refs[ref] > 1:
            ref = PodRef(ref.namespace, f"{ref.name}-{kind.lower()}")
        taken.add(ref)
        yield replace(pod, ref=ref)


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


def undecided(cluster: Cluster) -> Iterator[str]:
    """A sentence for each policy whose selection depends on labels that manifests do not show."""
    pods = [
        pod
        for pod in cluster.pods.values()
        if any(value.startswith(CHOSEN_LATER) for value in pod.labels.values())
    ]
    for policy in cluster.policies if pods else ():
        found: dict[str, str] = {}
        for selector, everywhere in _selectors(policy):
            for pod in pods:
                key = _depends_on(selector, pod)
                if key and (everywhere or pod.ref.namespace == policy.ref.namespace):
                    found.setdefault(str(pod.ref), key)
        if found:
            keys = listed(dict.fromkeys(found.values()))
            yield (
                f"cannot be decided from manifests: {policy.kind} {policy.ref} selects by {keys}, "
                f"whose value a controller chooses; this concerns {listed(found)}"
            )


def _selectors(policy: Policy) -> Iterator[tuple[Selector, bool]]:
    """The selectors of pods, and whether they select in other namespaces too."""
    yield policy.subject.pods, policy.subject.namespaces is not None
    for peer in policy.pod_peers():
        yield peer.pods, peer.namespaces is not None


def _depends_on(selector: Selector, pod: Pod) -> str | None:
    """The label on whose value it depends whether a pod is selected."""
    if not (selector.match_labels or selector.requirements or selector.expression):
        return None
    named: dict[str, str] = {}
    for key, value in _values(selector):
        label = pod.labels.get(key, "")
        if label.startswith(CHOSEN_LATER) and may_be(label, value):
            named[key] = value
            if _turns(selector, pod.labels, {key: value}):
                return key
    return next(iter(named)) if named and _turns(selector, pod.labels, named) else None


def _values(selector: Selector) -> Iterator[tuple[str, str]]:
    """Every (key, value) that a selector names."""
    yield from selector.match_labels
    inner = leaves(selector.expression) if selector.expression is not None else ()
    for each in (*selector.requirements, *inner):
        if isinstance(each, Requirement) and each.operator in {Operator.IN, Operator.NOT_IN}:
            yield from ((each.key, value) for value in each.values)


def _turns(selector: Selector, labels: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return selector.matches({**labels, **values}) is not selector.matches(labels)
