"""pods/eviction: a deletion that asks disruption budgets (pkg/registry/core/pod/storage/eviction.go)."""

from __future__ import annotations

from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, Writer, lab_itself
from netprobe.lab.api.resources import DISRUPTION_BUDGETS, PODS
from netprobe.lab.api.selectors import matches
from netprobe.lab.api.status import ApiError, Cause
from netprobe.model.objects import Object

_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
_SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def evict(operations: Operations, namespace: str, name: str, deletion: Deletion, by: Writer) -> None:
    """Delete a pod; ApiError 429 where its budget does not let it go now."""
    pod = operations.get(PODS, namespace, name).object
    over = pod["status"].get("phase") in {"Succeeded", "Failed", "Pending"}
    if not over and "deletionTimestamp" not in pod["metadata"]:
        labels = pod["metadata"].get("labels") or {}
        budgets = [
            stored.object
            for stored in operations.store.items(DISRUPTION_BUDGETS, namespace)
            if matches(stored.object["spec"].get("selector"), labels)
        ]
        if len(budgets) > 1:
            raise ApiError(500, "InternalError", f"Internal error occurred: {_SEVERAL}")
        for budget in budgets:
            _spend(operations, budget, pod, dry_run=by.dry_run or deletion.dry_run)
    operations.delete(PODS, namespace, name, deletion, by)


def _spend(operations: Operations, budget: Object, pod: Object, *, dry_run: bool) -> None:
    """Take one of the disruptions that a budget allows; a pod that is not ready may cost nothing."""
    status, metadata = budget.get("status") or {}, budget["metadata"]
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not _is_ready(pod):
        free = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if free or (desired > 0 and healthy >= desired):
            return
    if status.get("observedGeneration", 0) < metadata["generation"]:
        why = f"The disruption budget {metadata['name']} is still being processed by the server."
        raise _refusal(why, retry_after_s=10)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed <= 0:
        needs = f"needs {desired} healthy pods and has {healthy} currently"
        raise _refusal(f"The disruption budget {metadata['name']} {needs}")
    if not dry_run:
        spent = {
            **budget,
            "metadata": dict(metadata),
            "status": {**status, "disruptionsAllowed": allowed - 1},
        }
        operations.replace(DISRUPTION_BUDGETS, budget, spent, lab_itself(), "status")


def _refusal(why: str, *, retry_after_s: int = 0) -> ApiError:
    cause = Cause("", why, "DisruptionBudget")
    return ApiError(429, "TooManyRequests", _REFUSED, causes=[cause], retry_after_s=retry_after_s)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
