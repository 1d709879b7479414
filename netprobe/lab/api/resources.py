"""The kinds that the lab serves, as data: discovery, routes, admission and printing all read this table."""

from __future__ import annotations

from dataclasses import dataclass

EVERY_VERB = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_ONLY = ("get", "list", "watch")
CREATE_ONLY = ("create",)


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One resource of the API. `short` are kubectl's short names.

    `status` and `scale` say which subresources it has; `others` names further ones, for discovery only.
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
    view_of: Resource | None = None  # the kind whose objects these are, under another name (views.py)

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


ALL = ("all",)

NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False, short=("ns",), status=True)
PODS = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    short=("po",),
    categories=ALL,
    status=True,
    others=("attach", "exec", "log", "eviction"),
)
SERVICES = Resource("", "v1", "Service", "services", short=("svc",), categories=ALL, status=True)
CONFIGMAPS = Resource("", "v1", "ConfigMap", "configmaps", short=("cm",))
SECRETS = Resource("", "v1", "Secret", "secrets")
SERVICE_ACCOUNTS = Resource("", "v1", "ServiceAccount", "serviceaccounts", short=("sa",), others=("token",))
EVENTS = Resource("", "v1", "Event", "events", short=("ev",))
NEW_EVENTS = Resource("events.k8s.io", "v1", "Event", "events", short=("ev",), view_of=EVENTS)
ENDPOINTS = Resource("", "v1", "Endpoints", "endpoints", short=("ep",))
NODES = Resource("", "v1", "Node", "nodes", namespaced=False, short=("no",), status=True)
RESOURCE_QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas", short=("quota",), status=True)
LIMIT_RANGES = Resource("", "v1", "LimitRange", "limitranges", short=("limits",))
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", short=("netpol",))
CLAIMS = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", short=("pvc",), status=True)
VOLUMES = Resource(
    "", "v1", "PersistentVolume", "persistentvolumes", namespaced=False, short=("pv",), status=True
)
STORAGE_CLASSES = Resource(
    "storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False, short=("sc",)
)
PRIORITY_CLASSES = Resource(
    "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", namespaced=False, short=("pc",)
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
)
MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS = (
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        f"{kind}WebhookConfiguration",
        f"{kind.lower()}webhookconfigurations",
        namespaced=False,
        categories=("api-extensions",),
    )
    for kind in ("Mutating", "Validating")
)
ADMISSION_POLICIES, ADMISSION_BINDINGS = (
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        f"ValidatingAdmissionPolicy{kind}",
        f"validatingadmissionpolic{plural}",
        namespaced=False,
        categories=("api-extensions",),
        status=not kind,
    )
    for kind, plural in (("", "ies"), ("Binding", "ybindings"))
)
INGRESSES = Resource("networking.k8s.io", "v1", "Ingress", "ingresses", short=("ing",), status=True)
INGRESS_CLASSES = Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", namespaced=False)
AUTOSCALERS = Resource(
    "autoscaling",
    "v2",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    short=("hpa",),
    categories=ALL,
    status=True,
)
DEPLOYMENTS = Resource(
    "apps", "v1", "Deployment", "deployments", short=("deploy",), categories=ALL, status=True, scale=True
)
REPLICA_SETS = Resource(
    "apps", "v1", "ReplicaSet", "replicasets", short=("rs",), categories=ALL, status=True, scale=True
)
STATEFUL_SETS = Resource(
    "apps", "v1", "StatefulSet", "statefulsets", short=("sts",), categories=ALL, status=True, scale=True
)
REPLICATION_CONTROLLERS = Resource(
    "",
    "v1",
    "ReplicationController",
    "replicationcontrollers",
    short=("rc",),
    categories=ALL,
    status=True,
    scale=True,
)
DAEMON_SETS = Resource("apps", "v1", "DaemonSet", "daemonsets", short=("ds",), categories=ALL, status=True)
CONTROLLER_REVISIONS = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
JOBS = Resource("batch", "v1", "Job", "jobs", categories=ALL, status=True)
CRON_JOBS = Resource("batch", "v1", "CronJob", "cronjobs", short=("cj",), categories=ALL, status=True)
LEASES = Resource("coordination.k8s.io", "v1", "Lease", "leases")
DISRUPTION_BUDGETS = Resource(
    "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", short=("pdb",), status=True
)
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
CLUSTER_ROLES = Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDINGS = Resource(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    namespaced=False,
    verbs=CREATE_ONLY,
)
RULES_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    namespaced=False,
    verbs=CREATE_ONLY,
)
SUBJECT_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
    namespaced=False,
    verbs=CREATE_ONLY,
)
LOCAL_ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=CREATE_ONLY
)
TOKEN_REVIEWS = Resource(
    "authentication.k8s.io", "v1", "TokenReview", "tokenreviews", namespaced=False, verbs=CREATE_ONLY
)
SUBJECT_REVIEWS = Resource(
    "authentication.k8s.io",
    "v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
    namespaced=False,
    verbs=CREATE_ONLY,
)

RESOURCES: tuple[Resource, ...] = (
    NAMESPACES,
    PODS,
    SERVICES,
    CONFIGMAPS,
    SECRETS,
    SERVICE_ACCOUNTS,
    EVENTS,
    ENDPOINTS,
    NODES,
    RESOURCE_QUOTAS,
    LIMIT_RANGES,
    CLAIMS,
    VOLUMES,
    REPLICATION_CONTROLLERS,
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    CONTROLLER_REVISIONS,
    JOBS,
    CRON_JOBS,
    AUTOSCALERS,
    NETWORK_POLICIES,
    INGRESSES,
    INGRESS_CLASSES,
    LEASES,
    NEW_EVENTS,
    DISRUPTION_BUDGETS,
    ENDPOINT_SLICES,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    STORAGE_CLASSES,
    PRIORITY_CLASSES,
    DEFINITIONS,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    ADMISSION_POLICIES,
    ADMISSION_BINDINGS,
    ACCESS_REVIEWS,
    RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    LOCAL_ACCESS_REVIEWS,
    SUBJECT_REVIEWS,
    TOKEN_REVIEWS,
)

STORED = tuple(resource for resource in RESOURCES if resource.stored and resource.view_of is None)

_BY_PATH = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_KIND = {(r.api_version, r.kind): r for r in RESOURCES}


def find(group: str, version: str, plural: str) -> Resource | None:
    return _BY_PATH.get((group, version, plural))


def of_kind(api_version: str, kind: str) -> Resource | None:
    return _BY_KIND.get((api_version, kind))


def groups() -> dict[str, str]:
    """The named groups and the one version that each has, in the order of the table."""
    return {r.group: r.version for r in RESOURCES if r.group}


def of_group(group: str) -> tuple[Resource, ...]:
    return tuple(r for r in RESOURCES if r.group == group)
