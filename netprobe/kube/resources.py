"""The kinds that netprobe uses, and their paths in the API."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from netprobe.policies.kinds import SIMULATED


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind: its `apiVersion`, its plural in paths, and whether it is namespaced."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group; "" for the core group."""
        return self.api_version.rpartition("/")[0]

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of a collection, or of one object. Without a namespace: that of the whole cluster."""
        parts = ["apis" if self.group else "api", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/" + "/".join(parts)


RESOURCES: dict[str, Resource] = {
    resource.kind: resource
    for resource in (
        Resource("v1", "Namespace", "namespaces", namespaced=False),
        Resource("v1", "Node", "nodes", namespaced=False),
        Resource("v1", "Pod", "pods"),
        Resource("v1", "Service", "services"),
        Resource("v1", "ServiceAccount", "serviceaccounts"),
        Resource("v1", "ConfigMap", "configmaps"),
        Resource("v1", "Event", "events"),
        Resource("v1", "ResourceQuota", "resourcequotas"),
        Resource("v1", "LimitRange", "limitranges"),
        Resource("apps/v1", "Deployment", "deployments"),
        Resource("apps/v1", "DaemonSet", "daemonsets"),
        Resource("apps/v1", "ReplicaSet", "replicasets"),
        Resource("apps/v1", "StatefulSet", "statefulsets"),
        Resource("batch/v1", "Job", "jobs"),
        Resource("coordination.k8s.io/v1", "Lease", "leases"),
        Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
        *(Resource(kind.api_version, kind.kind, kind.plural, kind.namespaced) for kind in SIMULATED),
        Resource("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        Resource("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", False),
        Resource("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False),
    )
}
