"""The kinds that netprobe uses, their paths in the API, and in which version a server has them.

Policy kinds come from CustomResourceDefinitions. One may be served in one of several versions with the same
fields, and Calico's in one of two groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from netprobe.errors import ClusterError, NotFoundError, NotServedError
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


class ServedKinds:
    """Asks a server once for each kind that it may not have. `read` gets a path of the API."""

    def __init__(self, read: Callable[[str], Awaitable[Any]]) -> None:
        self._read = read
        self._documents: dict[str, asyncio.Task[frozenset[str]]] = {}

    async def resource(self, kind: str) -> ResourceType:
        """The resource of a kind as this server has it; NotServedError if it has none.

        Another ClusterError if the server does not say: an aggregated API may be down.
        """
        resource = RESOURCES[kind]
        if not resource.versions:
            return resource
        unclear: ClusterError | None = None
        for api_version in resource.versions:
            try:
                if resource.plural in await self._plurals(api_version):
                    return replace(resource, api_version=api_version)
            except NotFoundError:
                continue
            except ClusterError as error:
                unclear = error
        raise unclear or NotServedError(
            f"this cluster does not serve {kind} ({resource.plural}.{resource.group})"
        )

    async def _plurals(self, api_version: str) -> frozenset[str]:
        """The resources of a version of a group. Concurrent callers share a request; no failure is kept."""
        task = self._documents.get(api_version)
        if task is None:
            task = asyncio.create_task(self._list(api_version))
            self._documents[api_version] = task
        try:
            return await asyncio.shield(task)
        except ClusterError as error:
            if not isinstance(error, NotFoundError):
                self._documents.pop(api_version, None)
            raise

    async def _list(self, api_version: str) -> frozenset[str]:
        document = await self._read(f"/apis/{api_version}")
        return frozenset(resource["name"] for resource in document.get("resources") or ())
