"""What a step changes, and the cluster after the change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias, assert_never

from netprobe.errors import InputError, Problem
from netprobe.manifests import Document
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import PodRef
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.policy import PolicyRef
from netprobe.policies.kinds import Record
from netprobe.policies.records import ref_of, with_records, without
from netprobe.policies.records import refs as refs_of

Changes: TypeAlias = Mapping[str, str | None]
"""Labels or annotations to set; None removes one."""


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Change labels or annotations of a namespace, or of the pods that `pod` names (all replicas)."""

    changes: Changes
    namespace: str | None = None
    pod: PodRef | None = None
    annotations: bool = False
    place: str = ""
    path: str = ""

    def pods(self, cluster: Cluster) -> tuple[PodRef, ...]:
        """The pods that `pod` names, by their own name or that of their workload."""
        if self.pod is None:
            return ()
        wanted = self.pod
        return tuple(
            pod.ref
            for pod in cluster.pods.values()
            if pod.ref == wanted
            or (
                pod.ref.namespace == wanted.namespace
                and pod.workload is not None
                and pod.workload.endswith(f"/{wanted.name}")
            )
        )


@dataclass(frozen=True, slots=True)
class ApplyPolicies:
    """Objects of policy kinds to create or replace, and their records; `documents` is what a cluster gets."""

    documents: tuple[Document, ...]
    records: tuple[Record, ...]
    place: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class DeletePolicies:
    policy: PolicyRef
    place: str = ""
    path: str = ""


StepAction: TypeAlias = SetMetadata | ApplyPolicies | DeletePolicies


def apply(cluster: Cluster, action: StepAction) -> Cluster:
    """The cluster after the action. InputError if it names something that does not exist."""
    match action:
        case SetMetadata():
            return _change(cluster, action)
        case ApplyPolicies(documents, records):
            refs = tuple(map(ref_of, records))
            for ref in refs:
                if ref.namespace and ref.namespace not in cluster.namespaces:
                    raise _error(action, f"there is no namespace {ref.namespace} for {ref}")
            sources = {
                (ref.kind, str(ref)): document.source for ref, document in zip(refs, documents, strict=False)
            }
            changed = with_records(cluster, records)
            return replace(changed, sources={**cluster.sources, **sources})
        case DeletePolicies(ref):
            found = without(cluster, ref)
            if found is None:
                known = ", ".join(map(str, refs_of(cluster, ref.kind))) or "none"
                raise _error(action, f"there is no {ref.kind} {ref} at this point (there are: {known})")
            return found
        case _:
            assert_never(action)


def _change(cluster: Cluster, action: SetMetadata) -> Cluster:
    if action.namespace is not None:
        namespace = cluster.namespaces.get(action.namespace)
        if namespace is None:
            raise _error(action, f"there is no namespace {action.namespace}")
        if action.annotations:  # no policy reads them
            return cluster
        labels = {**_changed(namespace.labels, action.changes), NAME_LABEL: namespace.name}
        changed = Namespace(namespace.name, labels)
        return replace(cluster, namespaces={**cluster.namespaces, namespace.name: changed})
    refs = action.pods(cluster)
    if not refs:
        raise _error(action, f"there is no pod {action.pod}")
    if action.annotations:
        return cluster
    pods = {ref: cluster.pods[ref] for ref in refs}
    new = {ref: replace(pod, labels=_changed(pod.labels, action.changes)) for ref, pod in pods.items()}
    return replace(cluster, pods={**cluster.pods, **new})


def _changed(labels: Labels, changes: Changes) -> dict[str, str]:
    result = dict(labels)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _error(action: StepAction, message: str) -> InputError:
    return InputError([Problem(action.place, action.path, message)])
