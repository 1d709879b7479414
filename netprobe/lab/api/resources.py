"""The kinds that the lab serves, as one table: discovery, routes, storage and printing all read it.

To add a kind, add a row here. Everything else is optional and has a default:

- its fields in schema.yaml (default: any field is stored);
- its defaults and checks in admission.py and defaults.py (default: none);
- its columns in table.py (default: name and age);
- what it does: a controller, or the enforcer (default: it is stored, so say so in `unused`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from netprobe.policies.kinds import SIMULATED, PolicyKind

EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource of the API.

    `short`: kubectl's short names, separated by blanks. `about`: what `kubectl explain` says.
    `plural`: the name in paths, by default the kind with an s. `cluster`: its objects have no namespace.
    `in_all`: `kubectl get all` lists it.
    `status` and `scale` say which subresources it has; `others` names further ones, for discovery only.
    `generation`: metadata.generation counts the changes of its spec.
    `unused`: the warning that a client gets, for a kind without, or with less, effect.
    `custom`: served while a CustomResourceDefinition for it exists.
    `same_as`: the resource of another version of the kind, which holds the objects of both.
    """

    api_version: str
    kind: str
    short: str = ""
    about: str = ""
    plural: str = ""
    cluster: bool = False
    in_all: bool = False
    status: bool = False
    scale: bool = False
    others: tuple[str, ...] = ()
    verbs: tuple[str, ...] = EVERY_VERB
    generation: bool = False
    unused: str = ""
    custom: bool = False
    same_as: Resource | None = None

    def __post_init__(self) -> None:
        if not self.plural:
            object.__setattr__(self, "plural", f"{self.singular}s")

    @property
    def group(self) -> str:
        """The API group; "" for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        return self.api_version.rpartition("/")[2]

    @property
    def namespaced(self) -> bool:
        return not self.cluster

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def qualified(self) -> str:
        """The name in messages: "pods", "networkpolicies.networking.k8s.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def subresources(self) -> list[str]:
        own = (*(["status"] if self.status else []), *(["scale"] if self.scale else []))
        return sorted((*self.others, *own))

    @property
    def stored(self) -> bool:
        return "get" in self.verbs

    @property
    def storage(self) -> Resource:
        """The resource that holds the objects: that of the storage version."""
        return self.same_as or self

    def __repr__(self) -> str:
        return self.qualified


# Kinds with an effect.

NAMESPACES = Resource(
    "v1", "Namespace", "ns", "A namespace; policies select it by its labels.", cluster=True, status=True
)
PODS = Resource(
    "v1",
    "Pod",
    "po",
    "A network namespace with an address. Images are not run: the lab serves the declared ports.",
    in_all=True,
    status=True,
    others=("attach", "ephemeralcontainers", "exec", "log", "portforward"),
    generation=True,
)
SERVICES = Resource(
    "v1",
    "Service",
    "svc",
    "One address for several pods; policies see the address of the pod, not of the Service.",
    in_all=True,
    status=True,
)
CONFIGMAPS = Resource("v1", "ConfigMap", "cm", "Data for containers.")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "sa", "The identity of a pod.")
EVENTS = Resource("v1", "Event", "ev", "What the lab did with an object.")
NODES = Resource(
    "v1", "Node", "no", "A node of the lab; traffic between nodes is routed.", cluster=True, status=True
)
NETWORK_POLICIES = Resource(
    "networking.k8s.io/v1",
    "NetworkPolicy",
    "netpol",
    "Which connections the selected pods may have. A pod that no policy selects in a direction is open in "
    "that direction.",
    plural="networkpolicies",
    generation=True,
)
DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS = (
    Resource(
        "apps/v1", kind, short, about, in_all=True, status=True, scale=kind != "DaemonSet", generation=True
    )
    for kind, short, about in (
        ("Deployment", "deploy", "Pods from a template, replaced step by step."),
        ("ReplicaSet", "rs", "A number of pods from a template."),
        ("StatefulSet", "sts", "Numbered pods from a template."),
        ("DaemonSet", "ds", "One pod on each node."),
    )
)
JOBS = Resource(
    "batch/v1",
    "Job",
    "",
    "Pods from a template. In the lab they stay, and the Job does not complete.",
    in_all=True,
    status=True,
    generation=True,
    unused="the lab does not run images: the pods of this Job stay, and it does not complete",
)
LEASES = Resource("coordination.k8s.io/v1", "Lease", "", "A sign of life.")
ENDPOINT_SLICES = Resource(
    "discovery.k8s.io/v1",
    "EndpointSlice",
    "",
    "The pods behind a Service, with their ports and readiness.",
    generation=True,
)
DEFINITIONS = Resource(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "crd crds",
    "A kind of your own. The lab stores its objects, and they have no effect.",
    cluster=True,
    status=True,
)
ACCESS_REVIEWS, RULES_REVIEWS, SUBJECT_REVIEWS = (
    Resource(api_version, kind, cluster=True, verbs=("create",))
    for api_version, kind in (
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
        ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
        ("authentication.k8s.io/v1", "SelfSubjectReview"),
    )
)
SCALE = Resource("autoscaling/v1", "Scale")
"""The kind of the subresource `scale`; it has no path of its own."""

# Kinds that are stored and have no effect.


def _unused(
    api_version: str, kind: str, short: str = "", *, plural: str = "", cluster: bool = False
) -> Resource:
    about = "The lab stores this kind and does not use it."
    return Resource(
        api_version,
        kind,
        short,
        about,
        plural,
        cluster=cluster,
        status=True,
        unused=f"the lab stores this {kind} and does not use it",
    )


_STORAGE = "storage.k8s.io/v1"
_RBAC = "rbac.authorization.k8s.io/v1"
_ADMISSION = "admissionregistration.k8s.io/v1"
_FLOW_CONTROL = "flowcontrol.apiserver.k8s.io/v1"

SECRETS = _unused("v1", "Secret")
_WITHOUT_EFFECT = (
    SECRETS,
    _unused("v1", "Endpoints", "ep", plural="endpoints"),
    _unused("v1", "ResourceQuota", "quota"),
    _unused("v1", "LimitRange", "limits"),
    _unused("v1", "PersistentVolumeClaim", "pvc"),
    _unused("v1", "PersistentVolume", "pv", cluster=True),
    _unused("v1", "PodTemplate"),
    _unused("v1", "ReplicationController", "rc"),
    _unused("apps/v1", "ControllerRevision"),
    _unused("batch/v1", "CronJob", "cj"),
    _unused("autoscaling/v2", "HorizontalPodAutoscaler", "hpa"),
    _unused("networking.k8s.io/v1", "Ingress", "ing", plural="ingresses"),
    _unused("networking.k8s.io/v1", "IngressClass", plural="ingressclasses", cluster=True),
    _unused("policy/v1", "PodDisruptionBudget", "pdb"),
    _unused(_RBAC, "Role"),
    _unused(_RBAC, "RoleBinding"),
    _unused(_RBAC, "ClusterRole", cluster=True),
    _unused(_RBAC, "ClusterRoleBinding", cluster=True),
    _unused(_STORAGE, "StorageClass", "sc", plural="storageclasses", cluster=True),
    _unused(_STORAGE, "CSIDriver", cluster=True),
    _unused(_STORAGE, "CSINode", cluster=True),
    _unused(_STORAGE, "CSIStorageCapacity", plural="csistoragecapacities"),
    _unused(_STORAGE, "VolumeAttachment", cluster=True),
    _unused("scheduling.k8s.io/v1", "PriorityClass", "pc", plural="priorityclasses", cluster=True),
    _unused("node.k8s.io/v1", "RuntimeClass", plural="runtimeclasses", cluster=True),
    _unused("certificates.k8s.io/v1", "CertificateSigningRequest", "csr", cluster=True),
    _unused("apiregistration.k8s.io/v1", "APIService", cluster=True),
    _unused(_FLOW_CONTROL, "FlowSchema", cluster=True),
    _unused(_FLOW_CONTROL, "PriorityLevelConfiguration", cluster=True),
    _unused(_ADMISSION, "MutatingWebhookConfiguration", cluster=True),
    _unused(_ADMISSION, "ValidatingWebhookConfiguration", cluster=True),
    _unused(_ADMISSION, "ValidatingAdmissionPolicy", plural="validatingadmissionpolicies", cluster=True),
    _unused(_ADMISSION, "ValidatingAdmissionPolicyBinding", cluster=True),
)

# Policies of other kinds than NetworkPolicy. Clusters have them by definitions, and so has the lab.

_SHORT = {"ClusterNetworkPolicy": "cnp", "AdminNetworkPolicy": "anp", "BaselineAdminNetworkPolicy": "banp"}


def _defined(kind: PolicyKind) -> Resource:
    return Resource(
        kind.api_version,
        kind.kind,
        _SHORT.get(kind.kind, ""),
        "Decides flows, in the order of tiers.",
        kind.plural,
        cluster=not kind.namespaced,
        status=kind.group.endswith(".k8s.io"),
        generation=True,
        custom=True,
    )


DEFINED: Final = {_defined(kind): kind for kind in SIMULATED if kind.group != NETWORK_POLICIES.group}
"""The kinds whose definitions a new lab has, each by the resource of its storage version."""


def older_versions(resource: Resource) -> Iterator[Resource]:
    """The other versions in which the objects of a kind are served."""
    kind = DEFINED.get(resource)
    for version in kind.versions[1:] if kind else ():
        yield replace(resource, api_version=f"{resource.group}/{version}", same_as=resource)


RESOURCES: tuple[Resource, ...] = (
    *(NAMESPACES, PODS, SERVICES, CONFIGMAPS, SERVICE_ACCOUNTS, EVENTS, NODES),
    *(DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS, DAEMON_SETS, JOBS),
    *(NETWORK_POLICIES, LEASES, ENDPOINT_SLICES, DEFINITIONS),
    *(ACCESS_REVIEWS, RULES_REVIEWS, SUBJECT_REVIEWS),
    *_WITHOUT_EFFECT,
)


class Catalog:
    """The resources that one server serves: the table above, and what CustomResourceDefinitions add."""

    def __init__(self, listed: Iterable[Resource] = RESOURCES) -> None:
        self._listed = {(r.group, r.version, r.plural): r for r in listed}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._listed.values())

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._listed.get((group, version, plural))

    def of_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((r for r in self if (r.api_version, r.kind) == (api_version, kind)), None)

    def groups(self) -> dict[str, list[str]]:
        """The named groups and their versions, in the order of the table."""
        found: dict[str, list[str]] = {}
        for resource in self:
            versions = found.setdefault(resource.group, []) if resource.group else []
            if resource.version not in versions:
                versions.append(resource.version)
        return found

    def of_version(self, group: str, version: str) -> list[Resource]:
        return [r for r in self if (r.group, r.version) == (group, version)]

    def add(self, resource: Resource) -> None:
        self._listed[resource.group, resource.version, resource.plural] = resource

    def remove(self, resource: Resource) -> None:
        self._listed.pop((resource.group, resource.version, resource.plural), None)


_BUILT_IN = Catalog((*RESOURCES, SCALE))


def of_kind(api_version: str, kind: str) -> Resource | None:
    """A built-in kind; custom ones are in the store's catalog."""
    return _BUILT_IN.of_kind(api_version, kind)
