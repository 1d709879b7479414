"""The kinds that netprobe uses, and their paths in the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from netprobe.policies.kinds import KINDS


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A kind: its `apiVersion`, its plural in paths, and whether it is namespaced.

    `versions`: the apiVersions in which a server may have it, if it has the kind at all.
    """

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    versions: tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """The API group; "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def is_review(self) -> bool:
        """Whether creating it only asks a question: nothing is stored."""
        return self.kind.endswith("Review")

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of a collection, or of one object. Without a namespace: that of the whole cluster."""
        parts = ["apis" if self.group else "api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/" + "/".join(parts)


_BUILT_IN = {
    resource.kind: resource
    for resource in (
        ResourceType("v1", "Namespace", "namespaces", namespaced=False),
        ResourceType("v1", "Node", "nodes", namespaced=False),
        ResourceType("v1", "Pod", "pods"),
        ResourceType("v1", "Service", "services"),
        ResourceType("v1", "ServiceAccount", "serviceaccounts"),
        ResourceType("v1", "Event", "events"),
        ResourceType("v1", "ResourceQuota", "resourcequotas"),
        ResourceType("v1", "LimitRange", "limitranges"),
        ResourceType("apps/v1", "Deployment", "deployments"),
        ResourceType("apps/v1", "DaemonSet", "daemonsets"),
        ResourceType("apps/v1", "ReplicaSet", "replicasets"),
        ResourceType("apps/v1", "StatefulSet", "statefulsets"),
        ResourceType("batch/v1", "Job", "jobs"),
        ResourceType("coordination.k8s.io/v1", "Lease", "leases"),
        ResourceType("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
        ResourceType("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        ResourceType("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        ResourceType(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "customresourcedefinitions",
            namespaced=False,
        ),
        ResourceType("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", False),
        ResourceType("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False),
    )
}


def _with_policies() -> Iterator[tuple[str, ResourceType]]:
    """The built-in kinds, then those of policies, which a server may have in one of several versions."""
    yield from _BUILT_IN.items()
    for kind in KINDS:
        if kind.key not in _BUILT_IN:
            yield (
                kind.key,
                ResourceType(kind.api_version, kind.kind, kind.plural, kind.namespaced, kind.api_versions),
            )


RESOURCES: dict[str, ResourceType] = dict(_with_policies())
