"""What a run must be permitted to do: each verb with its reason, checked before anything is created.

The lists are the source of manifests/rbac/. All are checked for the whole cluster, because a run's namespaces
do not exist yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from netprobe.errors import ClusterError, ForbiddenError
from netprobe.model.objects import Object
from netprobe.policies.kinds import NETWORK_POLICY, SIMULATED, PolicyKind
from netprobe.probe.api import ClusterAPI

NETWORKING, COORDINATION = "networking.k8s.io", "coordination.k8s.io"


class Need(Enum):
    """When a run needs a permission."""

    ALWAYS = "always"
    STEPS = "steps"  # only if the suite has steps
    OPTIONAL = "telling"  # never: without it the report says less (the value is in doctor's JSON)


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


READ_POLICIES: Final = (
    Permission("", "serviceaccounts", "list", "to read accounts that policies select by", Need.OPTIONAL),
    *(
        Permission(group, kind.plural, verb, f"to read each {kind.kind} in force", Need.OPTIONAL)
        for kind in SIMULATED
        if kind is not NETWORK_POLICY
        for group in kind.groups
        for verb in ("get", "list")
    ),
)
"""Without these, policies of other kinds may be in force, and the report can only say so."""


def write_policies(kinds: Iterable[PolicyKind]) -> Iterator[Permission]:
    """What a run must be permitted to do with objects of these kinds, which a suite applies."""
    for kind in kinds:
        for verb in ("create", "get", "list", "update", "delete"):
            yield Permission(kind.group, kind.plural, verb, f"{kind.kind} objects of the suite")


FIXTURE: Final = (
    Permission("", "namespaces", "create", "the run's own namespaces"),
    Permission("", "namespaces", "get", "to find out whose an existing namespace is"),
    Permission("", "namespaces", "list", "to find everything of a run when it is removed"),
    Permission("", "namespaces", "patch", "to label namespaces, for steps and canaries"),
    Permission("", "namespaces", "delete", "to remove the run's own namespaces"),
    Permission("", "pods", "create", "probe pods"),
    Permission("", "pods", "list", "to wait until they are ready"),
    Permission("", "pods", "watch", "to wait until they are ready"),
    Permission("", "pods", "deletecollection", "to end them before their namespace is removed"),
    Permission("", "pods", "patch", "to label pods, for steps and canaries", Need.STEPS),
    # Execs by websocket are a GET; Kubernetes 1.35 and later ask for "create" as well.
    Permission("", "pods/exec", "get", "probes"),
    Permission("", "pods/exec", "create", "probes"),
    Permission(NETWORKING, "networkpolicies", "create", "policies of the suite and of the canaries"),
    Permission(NETWORKING, "networkpolicies", "get", "to change the canaries' policy"),
    Permission(NETWORKING, "networkpolicies", "update", "to change the canaries' policy"),
    Permission(NETWORKING, "networkpolicies", "delete", "to delete policies, for steps", Need.STEPS),
    Permission(
        NETWORKING, "networkpolicies", "list", "to report policies that controllers add", Need.OPTIONAL
    ),
    Permission(COORDINATION, "leases", "create", "to show that the run is alive"),
    Permission(COORDINATION, "leases", "get", "to see whether another run is alive"),
    Permission(COORDINATION, "leases", "patch", "to show that the run is alive"),
    Permission("", "events", "list", "to report why a pod is not ready", Need.OPTIONAL),
    Permission("", "nodes", "list", "to report the number of nodes", Need.OPTIONAL),
    Permission("apps", "daemonsets", "list", "to report the network plugin", Need.OPTIONAL),
)
"""A run with its own pods, in its own namespaces."""

_CASES_OF_OTHER_KINDS: Final = (
    ("policy.networking.k8s.io", ("clusternetworkpolicies",)),
    *(
        (group, ("tiers", "networkpolicies", "globalnetworkpolicies", "stagedglobalnetworkpolicies"))
        for group in ("projectcalico.org", "crd.projectcalico.org")
    ),
)

CONFORMANCE: Final = (
    *(
        Permission(p.group, p.resource, p.verb, p.why, Need.ALWAYS if p.need is Need.STEPS else p.need)
        for p in FIXTURE
    ),
    Permission("", "pods", "delete", "to remove the pods that a case adds"),
    Permission("", "services", "create", "the Service of each fixture"),
    Permission("", "services", "get", "the address of that Service"),
    *(
        Permission(group, resource, verb, "cases of this kind, which are skipped otherwise", Need.OPTIONAL)
        for group, resources in _CASES_OF_OTHER_KINDS
        for resource in resources
        for verb in ("create", "get", "update", "delete")
    ),
)
"""A run of the conformance suite; manifests/nightly/rbac.yaml grants it."""

_LOOK_AROUND: Final = (
    Permission(NETWORKING, "networkpolicies", "list", "to read the policies in force"),
    Permission("", "services", "list", "to find Services that would list a shadow pod"),
    Permission("", "nodes", "list", "to place shadow pods"),
    Permission(
        "batch", "jobs", "list", "to find Jobs that would adopt a shadow pod, and what dead runs left"
    ),
    Permission("apps", "deployments", "list", "to find out which pods belong to which workload"),
    Permission("apps", "replicasets", "list", "to find workloads that would adopt a shadow pod"),
    Permission("apps", "statefulsets", "list", "to find workloads that would adopt a shadow pod"),
    Permission("apps", "daemonsets", "list", "to find workloads that would adopt a shadow pod"),
    Permission("policy", "poddisruptionbudgets", "list", "to find budgets that would count a shadow pod"),
    Permission("", "resourcequotas", "list", "to find quotas that would count a shadow pod"),
)

IN_PLACE: Final = (
    *(p for p in FIXTURE if p.need is Need.ALWAYS),
    *_LOOK_AROUND,
    Permission("", "pods", "delete", "to remove shadow pods"),
    Permission("batch", "jobs", "create", "the Job that ends shadow pods at the deadline"),
    Permission("batch", "jobs", "delete", "the Job that ends shadow pods at the deadline"),
    Permission("", "events", "list", "to report why a pod is not ready", Need.OPTIONAL),
)
"""A run next to the workloads of others, with shadow pods in their namespaces."""

COPY: Final = (*(p for p in FIXTURE if p.need is Need.ALWAYS), *_LOOK_AROUND)
"""A run in a copy of pods that are in the cluster, in its own namespaces."""

COPY_ACCOUNTS: Final = Permission("", "serviceaccounts", "create", "the accounts of copies")
"""Needed for a copy too if policies of the cluster select pods by their service accounts."""


DEBUG: Final = (
    *(
        p
        for p in IN_PLACE
        if (p.resource, p.verb)
        not in {("namespaces", "patch"), ("networkpolicies", "get"), ("networkpolicies", "update")}
    ),
    Permission("discovery.k8s.io", "endpointslices", "list", "to read endpoints", Need.OPTIONAL),
    Permission("", "serviceaccounts", "list", "to read what some policies select by", Need.OPTIONAL),
)
"""A diagnosis (`netprobe debug`) with a shadow pod."""

EPHEMERAL: Final = (
    Permission("", "pods", "get", "to see when an ephemeral container runs"),
    Permission("", "pods/ephemeralcontainers", "patch", "to add one"),
    # Attaching by websocket is a GET; Kubernetes 1.35 and later ask for "create" as well.
    Permission("", "pods/attach", "get", "to send its input and read its output"),
    Permission("", "pods/attach", "create", "to send its input and read its output"),
)
"""What `netprobe debug --ephemeral` needs besides."""


FILES: Final = {
    "manifests/rbac/fixture.yaml": FIXTURE,
    "manifests/rbac/in-place.yaml": tuple(dict.fromkeys((*IN_PLACE, *COPY, COPY_ACCOUNTS))),
    "manifests/rbac/debug.yaml": DEBUG,
    "manifests/rbac/debug-ephemeral.yaml": EPHEMERAL,
}
"""The manifests that grant each list."""


async def missing(cluster: ClusterAPI, wanted: Iterable[Permission]) -> tuple[Permission, ...]:
    """The permissions that these credentials lack; ClusterError if the server does not answer."""
    checked = tuple(wanted)
    allowed = await asyncio.gather(*(_allowed(cluster, permission) for permission in checked))
    return tuple(permission for permission, may in zip(checked, allowed, strict=True) if not may)


async def require(cluster: ClusterAPI, *, steps: bool, wanted: Iterable[Permission] = FIXTURE) -> None:
    """ForbiddenError if a run would be refused half-way; nothing has been created then.

    If the server does not answer access reviews, the run continues, and fails later if one is missing.
    """
    wanted = tuple(wanted)
    needs = {Need.ALWAYS, Need.STEPS} if steps else {Need.ALWAYS}
    try:
        lacking = await missing(cluster, (p for p in wanted if p.need in needs))
    except ClusterError:
        return
    if lacking:
        names = [f"{permission} ({permission.why})" for permission in lacking]
        lines = f" {names[0]}. " if len(names) == 1 else "".join(f"\n  {name}" for name in names) + "\n"
        raise ForbiddenError(
            f"these credentials lack {len(lacking)} of the permissions that the run needs in the whole "
            f"cluster:{lines}Nothing was created. {' and '.join(_files(wanted))} grants everything; "
            "`netprobe doctor -o rbac` prints only what is missing"
        )


def _files(wanted: Iterable[Permission]) -> list[str]:
    """The manifests that grant permissions: one for all of them if there is one."""
    needed = {*wanted}
    whole = [name for name, granted in FILES.items() if needed <= {*granted}]
    return whole[:1] or [name for name, granted in FILES.items() if needed >= {*granted}]


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
        {"apiVersion": f"{api}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules(permissions)},
        {
            "apiVersion": f"{api}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": meta,
            "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": name},
            "subjects": [subject],
        },
    ]
