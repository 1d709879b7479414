"""How objects begin and end: initial status, graceful deletion, finalizers, propagation."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api.resources import NAMESPACES, PODS, SERVICES, Resource
from netprobe.lab.api.status import bad_request
from netprobe.model.objects import Object

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
_PROPAGATION = ("Orphan", "Foreground", "Background")


@dataclass(frozen=True, slots=True)
class Deletion:
    """DeleteOptions. `grace_s` None: the pod's own grace period. `propagation` "": background."""

    grace_s: int | None = None
    propagation: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False

    @classmethod
    def read(cls, options: dict[str, Any]) -> Deletion:
        """From DeleteOptions; ApiError 400 for values that do not exist."""
        preconditions = options.get("preconditions") or {}
        propagation = options.get("propagationPolicy") or ""
        if propagation and propagation not in _PROPAGATION:
            raise bad_request(f'invalid DeleteOptions: propagationPolicy: Unsupported value: "{propagation}"')
        if options.get("orphanDependents") is True:
            propagation = "Orphan"
        if (dry_run := options.get("dryRun") or []) not in ([], ["All"]):
            raise bad_request(f"invalid DeleteOptions: dryRun: Unsupported value: {dry_run}")
        grace = options.get("gracePeriodSeconds")
        return cls(
            None if grace is None else max(0, int(grace)),
            propagation,
            preconditions.get("uid") or "",
            preconditions.get("resourceVersion") or "",
            dry_run == ["All"],
        )


def initial(resource: Resource, obj: Object) -> None:
    """What a new object starts with."""
    if resource.generation:
        obj["metadata"]["generation"] = 1
    if resource is PODS:
        obj["status"] = {"phase": "Pending"}
    elif resource is NAMESPACES:
        obj["spec"] = {"finalizers": ["kubernetes"]}
        obj["status"] = {"phase": "Active"}
    elif resource is SERVICES:
        obj["status"] = {"loadBalancer": {}}
    elif resource.status:
        obj.setdefault("status", {})


def marked(resource: Resource, old: Object, deletion: Deletion, at: str) -> Object | None:
    """`old` with the marks of its deletion; None if nothing holds it and it can be removed at once."""
    metadata = old["metadata"]
    finalizers = [f for f in metadata.get("finalizers", ()) if f not in {ORPHAN, FOREGROUND}]
    if deletion.propagation == "Orphan":
        finalizers.append(ORPHAN)
    elif deletion.propagation == "Foreground":
        finalizers.append(FOREGROUND)
    elif not deletion.propagation:
        finalizers = list(metadata.get("finalizers", ()))
    grace = _grace(old, deletion) if resource is PODS else 0
    if not finalizers and not grace and resource is not NAMESPACES:
        return None
    obj = copy.deepcopy(old)
    marks = obj["metadata"]
    if finalizers:
        marks["finalizers"] = finalizers
    else:
        marks.pop("finalizers", None)
    if "deletionTimestamp" not in marks:
        marks["deletionTimestamp"] = at
        marks["deletionGracePeriodSeconds"] = grace
        if "generation" in marks:
            marks["generation"] += 1
    elif resource is PODS:
        marks["deletionGracePeriodSeconds"] = min(grace, marks.get("deletionGracePeriodSeconds", grace))
    if resource is NAMESPACES:
        marks.pop("deletionGracePeriodSeconds", None)
        obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    return obj


def _grace(pod: Object, deletion: Deletion) -> int:
    """Seconds; 0 for a pod that is on no node or has ended (pkg/registry/core/pod/strategy.go)."""
    if "nodeName" not in pod["spec"] or pod["status"].get("phase") in {"Succeeded", "Failed"}:
        return 0
    if deletion.grace_s is not None:
        return deletion.grace_s
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))


def settled(resource: Resource, obj: Object) -> bool:
    """Has a deletion begun, with nothing left that holds the object?"""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if resource is PODS:
        return not metadata.get("deletionGracePeriodSeconds", 0)
    if resource is NAMESPACES:
        return not obj.get("spec", {}).get("finalizers")
    return True
