"""What a run must be allowed to do: each verb with its reason, asked of the API before anything is made.

The lists are the source of manifests/rbac/. All are asked for the whole cluster, because a run's namespaces
do not exist yet when it asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from netprobe.errors import ClusterError, ForbiddenError
from netprobe.model.objects import Object
from netprobe.probe.api import ClusterAPI

NETWORKING, COORDINATION = "networking.k8s.io", "coordination.k8s.io"


class Need(Enum):
    """When a run needs a permission."""

    ALWAYS = "always"
    STEPS = "steps"  # only where the suite has steps
    TELLING = "telling"  # never: without it the report says less


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """A verb on a resource of an API group ("" is the core group); `resource` may be "pods/exec"."""

    group: str
    resource: str
    verb: str
    why: str = field(compare=False)
    need: Need = field(default=Need.ALWAYS, compare=False)

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"


FIXTURE: Final = (
    Permission("", "namespaces", "create", "the run's own namespaces"),
    Permission("", "namespaces", "get", "whose a namespace is that exists already"),
    Permission("", "namespaces", "list", "to find all of a run when it is removed"),
    Permission("", "namespaces", "patch", "labels, of steps and of canaries"),
    Permission("", "namespaces", "delete", "to remove the run's own namespaces"),
    Permission("", "pods", "create", "probe pods"),
    Permission("", "pods", "list", "to wait until they are ready"),
    Permission("", "pods", "watch", "to wait until they are ready"),
    Permission("", "pods", "deletecollection", "to end them before their namespace goes"),
    Permission("", "pods", "patch", "labels of pods, of steps", Need.STEPS),
    # Execs by websocket are a GET; Kubernetes 1.35 and later ask for "create" as well.
    Permission("", "pods/exec", "get", "probes"),
    Permission("", "pods/exec", "create", "probes"),
    Permission(NETWORKING, "networkpolicies", "create", "the suite's policies and the canaries'"),
    Permission(NETWORKING, "networkpolicies", "get", "to change the canaries' policy"),
    Permission(NETWORKING, "networkpolicies", "update", "to change the canaries' policy"),
    Permission(NETWORKING, "networkpolicies", "delete", "policies, of steps", Need.STEPS),
    Permission(NETWORKING, "networkpolicies", "list", "policies that others put into them", Need.TELLING),
    Permission(COORDINATION, "leases", "create", "the sign that the run lives"),
    Permission(COORDINATION, "leases", "get", "whether another run lives"),
    Permission(COORDINATION, "leases", "patch", "the sign that the run lives"),
    Permission("", "events", "list", "why a pod does not become ready", Need.TELLING),
    Permission("", "nodes", "list", "how many nodes there are", Need.TELLING),
    Permission("apps", "daemonsets", "list", "which network plugin there is", Need.TELLING),
)
"""A run with its own pods, in namespaces of its own."""

CONFORMANCE: Final = (
    *(
        Permission(p.group, p.resource, p.verb, p.why, Need.ALWAYS if p.need is Need.STEPS else p.need)
        for p in FIXTURE
    ),
    Permission("", "pods", "delete", "pods that a case makes while its policies are there"),
    Permission("", "services", "create", "the Service of each fixture"),
    Permission("", "services", "get", "its address"),
)
"""A run of the conformance suite; manifests/nightly/rbac.yaml grants it."""

IN_PLACE: Final = (
    *(p for p in FIXTURE if p.need is Need.ALWAYS),
    Permission("", "pods", "delete", "shadow pods, each by itself"),
    Permission(NETWORKING, "networkpolicies", "list", "the policies that are in force"),
    Permission("", "services", "list", "Services that would see a shadow pod"),
    Permission("", "nodes", "list", "where pods may be placed"),
    Permission("batch", "jobs", "list", "workloads that would adopt a shadow pod; what dead runs left"),
    Permission("batch", "jobs", "create", "the owner that ends shadow pods at the deadline"),
    Permission("batch", "jobs", "delete", "the owner that ends shadow pods at the deadline"),
    Permission("apps", "deployments", "list", "whose pods are whose"),
    Permission("apps", "replicasets", "list", "workloads that would adopt a shadow pod"),
    Permission("apps", "statefulsets", "list", "workloads that would adopt a shadow pod"),
    Permission("apps", "daemonsets", "list", "workloads that would adopt a shadow pod"),
    Permission("policy", "poddisruptionbudgets", "list", "budgets that would count a shadow pod"),
    Permission("", "resourcequotas", "list", "quotas that would count a shadow pod"),
    Permission("", "events", "list", "why a pod does not become ready", Need.TELLING),
)
"""A run beside the workloads of others, with shadow pods in their namespaces."""


async def missing(cluster: ClusterAPI, wanted: Iterable[Permission]) -> tuple[Permission, ...]:
    """Those of the permissions that these credentials lack; ClusterError where the server does not tell."""
    asked = tuple(wanted)
    allowed = await asyncio.gather(*(_allowed(cluster, permission) for permission in asked))
    return tuple(permission for permission, may in zip(asked, allowed, strict=True) if not may)


async def require(cluster: ClusterAPI, *, steps: bool, wanted: Iterable[Permission] = FIXTURE) -> None:
    """ForbiddenError where a run would be refused half-way; nothing has been made then.

    A server that does not answer such questions is not asked again: what is missing fails by itself.
    """
    needs = {Need.ALWAYS, Need.STEPS} if steps else {Need.ALWAYS}
    try:
        lacking = await missing(cluster, (p for p in wanted if p.need in needs))
    except ClusterError:
        return
    if lacking:
        raise ForbiddenError(
            f"these credentials lack {len(lacking)} of the permissions that the run needs in the whole "
            f"cluster: {'; '.join(f'{p} ({p.why})' for p in lacking)}. Nothing was created. "
            "`netprobe doctor` prints what is missing as YAML; manifests/rbac/ holds all of it"
        )


async def _allowed(cluster: ClusterAPI, permission: Permission) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {"verb": permission.verb, "group": permission.group, "resource": resource}
    if subresource:
        attributes["subresource"] = subresource
    review = await cluster.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "metadata": {},
            "spec": {"resourceAttributes": attributes},
        }
    )
    return bool((review.get("status") or {}).get("allowed"))


def rules(permissions: Iterable[Permission]) -> list[Object]:
    """The rules of a role that grants the permissions: one for each resource, in the order given."""
    verbs: dict[tuple[str, str], list[str]] = {}
    for permission in permissions:
        verbs.setdefault((permission.group, permission.resource), []).append(permission.verb)
    return [
        {"apiGroups": [group], "resources": [resource], "verbs": granted}
        for (group, resource), granted in verbs.items()
    ]


def grant(permissions: Iterable[Permission], user: str, name: str = "netprobe") -> list[Object]:
    """A ClusterRole with the permissions, and its binding to `user` as the API server calls it."""
    api = "rbac.authorization.k8s.io"
    parts = user.split(":")
    subject: Object = {"kind": "User", "name": user, "apiGroup": api}
    if parts[:2] == ["system", "serviceaccount"] and len(parts) == 4:
        subject = {"kind": "ServiceAccount", "namespace": parts[2], "name": parts[3]}
    meta = {"name": name}
    return [
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRole",
            "metadata": meta,
            "rules": rules(permissions),
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        },
    ]
