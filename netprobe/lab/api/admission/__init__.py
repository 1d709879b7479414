"""What the server adds to an object and what it refuses, by kind, before the object is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api.admission import (
    limits,
    maps,
    pods,
    policies,
    priorities,
    roles,
    scopes,
    security,
    services,
    workloads,
)
from netprobe.lab.api.resources import (
    AUTOSCALERS,
    CLAIMS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    CONFIGMAPS,
    CRON_JOBS,
    DAEMON_SETS,
    DEFINITIONS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    JOBS,
    LIMIT_RANGES,
    NAMESPACES,
    NETWORK_POLICIES,
    PODS,
    PRIORITY_CLASSES,
    REPLICA_SETS,
    REPLICATION_CONTROLLERS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from netprobe.lab.api.status import Cause

Check = Callable[[Mapping[str, Any], Mapping[str, Any] | None], Iterable[Cause]]


@dataclass(frozen=True, slots=True)
class Rules:
    """`default` fills an object in, in place; `check` says what is wrong with it (and with the change)."""

    default: Callable[[dict[str, Any]], None] = lambda _: None
    check: Check = lambda _new, _old: ()


def _default_claim(claim: dict[str, Any]) -> None:
    claim["spec"].setdefault("volumeMode", "Filesystem")
    claim["status"].setdefault("phase", "Pending")


def _default_autoscaler(autoscaler: dict[str, Any]) -> None:
    """pkg/apis/autoscaling/v2/defaults.go"""
    spec = autoscaler["spec"]
    spec.setdefault("minReplicas", 1)
    target = {"type": "Utilization", "averageUtilization": 80}
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _default_definition(definition: dict[str, Any]) -> None:
    """It waits to be established for ever: nothing serves what it defines."""
    text = "the lab serves no custom resources"
    condition = {"type": "Established", "status": "False", "reason": "NotServed", "message": text}
    names = definition["spec"].get("names", {})
    definition["status"] = {"conditions": [condition], "acceptedNames": names, "storedVersions": []}


def _check_namespace(namespace: Mapping[str, Any], _: Mapping[str, Any] | None) -> Iterable[Cause]:
    return security.check_labels(namespace["metadata"].get("labels") or {})


RULES: dict[Resource, Rules] = {
    NAMESPACES: Rules(check=_check_namespace),
    PODS: Rules(pods.default_pod, pods.check_pod),
    SERVICES: Rules(services.default_service, services.check_service),
    NETWORK_POLICIES: Rules(policies.default_policy, policies.check_policy),
    DEPLOYMENTS: Rules(workloads.default_deployment, workloads.check_workload),
    REPLICA_SETS: Rules(workloads.default_replica_set, workloads.check_workload),
    REPLICATION_CONTROLLERS: Rules(workloads.default_replication_controller, workloads.check_workload),
    PRIORITY_CLASSES: Rules(priorities.default_class),
    RESOURCE_QUOTAS: Rules(check=scopes.check_quota),
    STATEFUL_SETS: Rules(workloads.default_stateful_set, workloads.check_workload),
    DAEMON_SETS: Rules(workloads.default_daemon_set, workloads.check_workload),
    JOBS: Rules(workloads.default_job, workloads.check_job),
    CRON_JOBS: Rules(workloads.default_cron_job, workloads.check_cron_job),
    ENDPOINT_SLICES: Rules(services.default_slice),
    CLAIMS: Rules(_default_claim),
    AUTOSCALERS: Rules(_default_autoscaler),
    DEFINITIONS: Rules(_default_definition),
    LIMIT_RANGES: Rules(limits.default_limit_range),
    SECRETS: Rules(maps.default_secret, maps.check_secret),
    CONFIGMAPS: Rules(check=maps.check_map),
    ROLES: Rules(check=roles.check_role),
    CLUSTER_ROLES: Rules(check=roles.check_role),
    ROLE_BINDINGS: Rules(roles.default_binding, roles.check_binding),
    CLUSTER_ROLE_BINDINGS: Rules(roles.default_binding, roles.check_binding),
}
NONE = Rules()


def rules_of(resource: Resource) -> Rules:
    return RULES.get(resource, NONE)
