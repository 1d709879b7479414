"""The kinds that the lab serves, as one table: discovery, routes, storage and printing all read it.

To add a kind, add a row here. Everything else is optional and has a default:

- its fields in schema.yaml (default: any field is stored);
- its defaults and checks in admission/ (default: none);
- its columns in table/columns.py (default: name and age);
- what it does: a controller, or the enforcer (default: it is stored, so say so in `unused`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_ALL = ("all",)
_UNUSED = "the lab stores this and does not use it"


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource of the API. `short` are kubectl's short names.

    `status` and `scale` say which subresources it has; `others` names further ones, for discovery only.
    `generation`: metadata.generation counts the changes of its spec.
    `unused`: the warning that a client gets, for a kind without effect. `about`: what `kubectl explain` says.
    `custom`: defined by a CustomResourceDefinition.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    status: bool = False
    scale: bool = False
    others: tuple[str, ...] = ()
    verbs: tuple[str, ...] = EVERY_VERB
    generation: bool = False
    unused: str = ""
    about: str = ""
    custom: bool = False

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in messages: "pods", "networkpolicies.networking.k8s.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def stored(self) -> bool:
        return "get" in self.verbs

    def __repr__(self) -> str:
        return self.qualified


def _workload(kind: str, short: str, *, scale: bool = True, about: str) -> Resource:
    return Resource(
        "apps",
        "v1",
        kind,
        f"{kind.lower()}s",
        short=(short,),
        categories=_ALL,
        status=True,
        scale=scale,
        generation=True,
        about=about,
    )


# Kinds with an effect.

NAMESPACES = Resource(
    "",
    "v1",
    "Namespace",
    "namespaces",
    namespaced=False,
    short=("ns",),
    status=True,
    about="A namespace; policies select it by its labels.",
)
PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    short=("po",),
    categories=_ALL,
    status=True,
    others=("attach", "ephemeralcontainers", "exec", "log", "portforward"),
    generation=True,
    about="A network namespace with an address. Images are not run: the lab serves the declared ports.",
)
SERVICES = Resource(
    "",
    "v1",
    "Service",
    "services",
    short=("svc",),
    categories=_ALL,
    status=True,
    about="One address for several pods; policies see the address of the pod, not of the Service.",
)
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", short=("cm",), about="Data for containers.")
SERVICE_ACCOUNTS = Resource(
    "", "v1", "ServiceAccount", "serviceaccounts", short=("sa",), about="The identity of a pod."
)
EVENTS = Resource("", "v1", "Event", "events", short=("ev",), about="What the lab did with an object.")
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", short=("ep",), about="The pods behind a Service.")
NODES = Resource(
    "",
    "v1",
    "Node",
    "nodes",
    namespaced=False,
    short=("no",),
    status=True,
    about="A node of the lab; traffic between nodes is routed.",
)
NETWORK_POLICIES = Resource(
    "networking.k8s.io",
    "v1",
    "NetworkPolicy",
    "networkpolicies",
    short=("netpol",),
    generation=True,
    about="Which connections the selected pods may have. A pod that no policy selects in a direction is open "
    "in that direction.",
)
DEPLOYMENTS = _workload("Deployment", "deploy", about="Pods from a template, replaced step by step.")
REPLICA_SETS = _workload("ReplicaSet", "rs", about="A number of pods from a template.")
STATEFUL_SETS = _workload("StatefulSet", "sts", about="Numbered pods from a template.")
DAEMON_SETS = _workload("DaemonSet", "ds", scale=False, about="One pod on each node.")
JOBS = Resource(
    "batch",
    "v1",
    "Job",
    "jobs",
    categories=_ALL,
    status=True,
    generation=True,
    about="Pods that may end. In the lab they stay until netprobe.dev/completes-after has passed.",
)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases", about="A sign of life.")
ENDPOINT_SLICES = Resource(
    "discovery.k8s.io",
    "v1",
    "EndpointSlice",
    "endpointslices",
    generation=True,
    about="The pods behind a Service, with their ports and readiness.",
)
DEFINITIONS = Resource(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
    short=("crd", "crds"),
    categories=("api-extensions",),
    status=True,
    about="A kind of your own. The lab stores its objects, and they have no effect.",
)
ACCESS_REVIEWS, RULES_REVIEWS, SUBJECT_REVIEWS = (
    Resource(group, "v1", kind, f"{kind.lower()}s", namespaced=False, verbs=("create",))
    for group, kind in (
        ("authorization.k8s.io", "SelfSubjectAccessReview"),
        ("authorization.k8s.io", "SelfSubjectRulesReview"),
        ("authentication.k8s.io", "SelfSubjectReview"),
    )
)

SCALE = Resource("autoscaling", "v1", "Scale", "scales")
"""The kind of the subresource `scale`; it has no path of its own."""

# Kinds that are stored and have no effect.


def _unused(
    group: str, kind: str, plural: str = "", *short: str, cluster: bool = False, why: str = "", v: str = "v1"
) -> Resource:
    """`cluster`: its objects have no namespace. `why` continues the warning; `v` is the version."""
    return Resource(
        group,
        v,
        kind,
        plural or f"{kind.lower()}s",
        namespaced=not cluster,
        short=short,
        status=True,
        unused=f"{_UNUSED}: {why}" if why else _UNUSED,
        about="The lab stores this kind and does not use it.",
    )


_NO_VOLUMES = "images are not run, so volumes are not mounted"
_NO_ACCOUNTS = "whoever has the lab's kubeconfig may do everything"
_NO_LIMITS = "nothing is limited"
_NO_WEBHOOKS = "admission webhooks and policies are not called"

SECRETS = _unused("", "Secret", why="images are not run, so nothing reads it")
CONTROLLER_REVISIONS = _unused("apps", "ControllerRevision")
_STORAGE, _RBAC, _ADMISSION = (
    "storage.k8s.io",
    "rbac.authorization.k8s.io",
    "admissionregistration.k8s.io",
)
_WITHOUT_EFFECT = (
    SECRETS,
    CONTROLLER_REVISIONS,
    _unused("", "ResourceQuota", "", "quota", why=_NO_LIMITS),
    _unused("", "LimitRange", "", "limits", why=_NO_LIMITS),
    _unused("", "PersistentVolumeClaim", "", "pvc", why=_NO_VOLUMES),
    _unused("", "PersistentVolume", "", "pv", cluster=True, why=_NO_VOLUMES),
    _unused("", "PodTemplate"),
    _unused("", "ReplicationController", "", "rc", why="use a Deployment or a ReplicaSet"),
    _unused("batch", "CronJob", "", "cj", why="it starts no Jobs"),
    _unused("autoscaling", "HorizontalPodAutoscaler", "", "hpa", why="there is no load", v="v2"),
    _unused("networking.k8s.io", "Ingress", "ingresses", "ing", why="no ingress controller runs here"),
    _unused("networking.k8s.io", "IngressClass", "ingressclasses", cluster=True),
    _unused("policy", "PodDisruptionBudget", "", "pdb", why="nothing is evicted"),
    _unused(_RBAC, "Role", why=_NO_ACCOUNTS),
    _unused(_RBAC, "RoleBinding", why=_NO_ACCOUNTS),
    _unused(_RBAC, "ClusterRole", cluster=True, why=_NO_ACCOUNTS),
    _unused(_RBAC, "ClusterRoleBinding", cluster=True, why=_NO_ACCOUNTS),
    _unused(_STORAGE, "StorageClass", "storageclasses", "sc", cluster=True, why=_NO_VOLUMES),
    _unused(_STORAGE, "CSIDriver", cluster=True, why=_NO_VOLUMES),
    _unused(_STORAGE, "CSINode", cluster=True, why=_NO_VOLUMES),
    _unused(_STORAGE, "CSIStorageCapacity", "csistoragecapacities", why=_NO_VOLUMES),
    _unused(_STORAGE, "VolumeAttachment", cluster=True, why=_NO_VOLUMES),
    _unused("scheduling.k8s.io", "PriorityClass", "priorityclasses", "pc", cluster=True),
    _unused("node.k8s.io", "RuntimeClass", "runtimeclasses", cluster=True),
    _unused("certificates.k8s.io", "CertificateSigningRequest", "", "csr", cluster=True),
    _unused("apiregistration.k8s.io", "APIService", cluster=True, why="other API servers are not called"),
    _unused("flowcontrol.apiserver.k8s.io", "FlowSchema", cluster=True),
    _unused("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", cluster=True),
    _unused(_ADMISSION, "MutatingWebhookConfiguration", cluster=True, why=_NO_WEBHOOKS),
    _unused(_ADMISSION, "ValidatingWebhookConfiguration", cluster=True, why=_NO_WEBHOOKS),
    _unused(
        _ADMISSION,
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        cluster=True,
        why=_NO_WEBHOOKS,
    ),
    _unused(_ADMISSION, "ValidatingAdmissionPolicyBinding", cluster=True, why=_NO_WEBHOOKS),
)

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES,
    PODS,
    SERVICES,
    CONFIGMAPS,
    SERVICE_ACCOUNTS,
    EVENTS,
    ENDPOINTS,
    NODES,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    JOBS,
    NETWORK_POLICIES,
    LEASES,
    ENDPOINT_SLICES,
    DEFINITIONS,
    ACCESS_REVIEWS,
    RULES_REVIEWS,
    SUBJECT_REVIEWS,
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


STORED = tuple(resource for resource in RESOURCES if resource.stored)
_BUILT_IN = Catalog((*RESOURCES, SCALE))


def of_kind(api_version: str, kind: str) -> Resource | None:
    """A built-in kind; custom ones are in the store's catalog."""
    return _BUILT_IN.of_kind(api_version, kind)
