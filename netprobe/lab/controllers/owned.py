"""The pods of a workload: found by selector, adopted, made from the template, removed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import PODS, Resource
from netprobe.lab.api.selectors import matches, selector_of
from netprobe.lab.api.store import ObjectKey
from netprobe.model.objects import Object

_SHOWN_AT_ZERO = {
    "replicas",
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "numberMisscheduled",
}


@dataclass(frozen=True, slots=True)
class Slot:
    """A pod that a workload wants: what its template lacks.

    `key` tells the pods of one workload apart (a name, a node, an index); it is "" if they are all alike.
    A pod without a `name` gets a generated one that starts with `prefix`, by default the workload's name.
    """

    key: str = ""
    name: str = ""
    prefix: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)


def reference(resource: Resource, owner: Object) -> Object:
    """The controller reference that a dependent carries."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to the one owner that controls an object."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)


def dependents(operations: Operations, resource: Resource, owner: Object) -> list[Object]:
    """The objects of a kind that an owner controls."""
    metadata = owner["metadata"]
    return [
        stored.object
        for stored in operations.store.items(resource, metadata["namespace"])
        if (ref := controller(stored.object)) is not None and ref["uid"] == metadata["uid"]
    ]


def claim(
    operations: Operations,
    resource: Resource,
    owner: Object,
    fits: Callable[[Object], bool] = lambda _pod: True,
) -> list[Object]:
    """The pods of an owner: those that its selector matches and that fit.

    A matching pod without a controller is adopted; one that no longer matches is released
    (kubernetes, pkg/controller/controller_ref_manager.go, PodControllerRefManager).
    """
    metadata = owner["metadata"]
    found = []
    for stored in operations.store.items(PODS, metadata["namespace"]):
        pod = stored.object
        ref = controller(pod)
        own = ref is not None and ref["uid"] == metadata["uid"]
        if not own and ref is not None:
            continue
        wanted = matches(selector_of(owner), pod["metadata"].get("labels") or {}) and fits(pod)
        if own == wanted or "deletionTimestamp" in pod["metadata"]:
            found += [pod] if own else []
            continue
        others = [r for r in pod["metadata"].get("ownerReferences", ()) if r["uid"] != metadata["uid"]]
        references = [*others, reference(resource, owner)] if wanted else others
        changed = {**pod, "metadata": {**pod["metadata"], "ownerReferences": references}}
        if not references:
            del changed["metadata"]["ownerReferences"]
        changed = operations.replace(PODS, pod, changed, lab_itself())
        found += [changed] if wanted else []
    return found


def alive(pod: Object) -> bool:
    """Whether a pod counts as one of its workload's."""
    return "deletionTimestamp" not in pod["metadata"] and not finished(pod)


def finished(pod: Object) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def make(operations: Operations, resource: Resource, owner: Object, slot: Slot) -> Object:
    """Create a pod from the owner's template, with what the slot adds."""
    template = copy.deepcopy(owner["spec"]["template"])
    given = template.get("metadata", {})
    prefix = slot.prefix or f"{owner['metadata']['name']}-"
    metadata: Object = {
        "labels": {**given.get("labels", {}), **slot.labels},
        "ownerReferences": [reference(resource, owner)],
        **({"name": slot.name} if slot.name else {"generateName": prefix}),
    }
    if annotations := {**given.get("annotations", {}), **slot.annotations}:
        metadata["annotations"] = annotations
    spec = {**template["spec"], **slot.spec}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    made = operations.create(PODS, owner["metadata"]["namespace"], pod, lab_itself())
    _record(operations, resource, owner, made, "create")
    return made


def remove(operations: Operations, resource: Resource, owner: Object, pod: Object) -> None:
    metadata = pod["metadata"]
    deletion = Deletion(uid=metadata["uid"])
    operations.delete(PODS, metadata["namespace"], metadata["name"], deletion, lab_itself())
    _record(operations, resource, owner, pod, "delete")


def _record(operations: Operations, resource: Resource, owner: Object, pod: Object, verb: str) -> None:
    """The event about a pod that the workload has created or deleted."""
    text = f"{verb.title()}d pod: {pod['metadata']['name']}"
    component = f"{resource.singular}-controller"
    events.record(operations, owner, f"Successful{verb.title()}", text, component=component)


def set_status(operations: Operations, resource: Resource, obj: Object, status: Object) -> None:
    """Write a status if it differs; like the API, leave out most fields that are zero or empty."""
    shown = {k: v for k, v in status.items() if k in _SHOWN_AT_ZERO or v not in (0, None, [])}
    key = ObjectKey(obj["metadata"]["namespace"], obj["metadata"]["name"])
    stored = operations.store.get(resource, key)
    if stored is not None and stored.object.get("status") != shown:
        replacement = {**stored.object, "metadata": dict(stored.object["metadata"]), "status": shown}
        operations.replace(resource, stored.object, replacement, lab_itself(), "status")
