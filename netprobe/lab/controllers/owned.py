"""Pods that belong to a workload: found, adopted, made from its template, taken away."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import PODS, Resource
from netprobe.lab.api.selectors import matches, selector_of
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import Key
from netprobe.lab.podstatus import is_ready
from netprobe.model.objects import Object

_TOLD_AT_ZERO = {
    "replicas",
    "desiredNumberScheduled",
    "currentNumberScheduled",
    "numberReady",
    "numberMisscheduled",
}
_OWN_ANNOTATIONS = {
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
}
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


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
    """The one owner that controls an object."""
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

    One without a controller becomes its own; one that it controls and that is no longer such is let go, as
    PodControllerRefManager (pkg/controller/controller_ref_manager.go) does.
    """
    metadata = owner["metadata"]
    found = []
    for stored in operations.store.items(PODS, metadata["namespace"]):
        pod = stored.object
        ref = controller(pod)
        own = ref is not None and ref["uid"] == metadata["uid"]
        if not own and ref is not None:
            continue
        mine = _selected(owner, pod) and fits(pod)
        if own == mine or "deletionTimestamp" in pod["metadata"]:
            found += [pod] if own else []
            continue
        others = [r for r in pod["metadata"].get("ownerReferences", ()) if r["uid"] != metadata["uid"]]
        references = [*others, reference(resource, owner)] if mine else others
        changed = {**pod, "metadata": {**pod["metadata"], "ownerReferences": references}}
        if not references:
            del changed["metadata"]["ownerReferences"]
        stored_now = operations.replace(PODS, pod, changed, lab_itself())
        found += [stored_now] if mine else []
    return found


def _selected(owner: Object, pod: Object) -> bool:
    return matches(selector_of(owner), pod["metadata"].get("labels") or {})


def alive(pod: Object) -> bool:
    """Counts as one of the workload's pods."""
    return "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] not in {
        "Succeeded",
        "Failed",
    }


def ready(pods: list[Object]) -> int:
    return sum(is_ready(pod) for pod in pods)


def make(
    operations: Operations,
    resource: Resource,
    owner: Object,
    *,
    name: str = "",
    labels: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Object:
    """Create a pod from the owner's template; without a name one is generated from the owner's."""
    template = copy.deepcopy(owner["spec"]["template"])
    given = template.get("metadata", {})
    metadata: Object = {
        "labels": {**given.get("labels", {}), **(labels or {})},
        "ownerReferences": [reference(resource, owner)],
        **({"name": name} if name else {"generateName": f"{owner['metadata']['name']}-"}),
    }
    if annotations := given.get("annotations"):
        metadata["annotations"] = annotations
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**template["spec"], **(spec or {})},
    }
    made = operations.create(PODS, owner["metadata"]["namespace"], pod, lab_itself())
    _tell(operations, resource, owner, made, "create")
    return made


def make_many(
    operations: Operations, resource: Resource, owner: Object, count: int
) -> tuple[list[Object], ApiError | None]:
    """As many pods as can be had, and why no more; the caller tells of the first, then raises the other."""
    made: list[Object] = []
    while len(made) < count:
        try:
            made.append(make(operations, resource, owner))
        except ApiError as error:
            return made, error
    return made, None


def remove(operations: Operations, pod: Object) -> None:
    metadata = pod["metadata"]
    deletion = Deletion(uid=metadata["uid"])
    operations.delete(PODS, metadata["namespace"], metadata["name"], deletion, lab_itself())
    ref = controller(pod)
    if ref is not None and (owner := operations.store.by_uid(ref["uid"])) is not None:
        _tell(operations, owner[0], owner[1].object, pod, "delete")


def _tell(operations: Operations, resource: Resource, owner: Object, pod: Object, verb: str) -> None:
    """The event about a pod that came or went by its owner's will."""
    name = pod["metadata"]["name"]
    text = f"{verb.title()}d pod: {name}"
    if resource.kind == "StatefulSet":
        text = f"{verb} Pod {name} in StatefulSet {owner['metadata']['name']} successful"
    component = f"{resource.singular.removesuffix('controller')}-controller"
    events.record(operations, owner, f"Successful{verb.title()}", text, component=component)


def template_hash(template: Mapping[str, Any]) -> str:
    """A short name for a template: equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


def passed_on(owner: Object) -> dict[str, str]:
    """The annotations of a workload that its revisions carry too, the cause of a change among them."""
    given = owner["metadata"].get("annotations") or {}
    return {key: value for key, value in given.items() if key not in _OWN_ANNOTATIONS}


def set_status(operations: Operations, resource: Resource, obj: Object, status: Object) -> None:
    """Write a status where it is another one; zeros are left out as the API does."""
    told = {k: v for k, v in status.items() if k in _TOLD_AT_ZERO or v not in (0, None, [])}
    key = Key(obj["metadata"]["namespace"], obj["metadata"]["name"])
    stored = operations.store.get(resource, key)
    if stored is not None and stored.object.get("status") != told:
        replacement = {**stored.object, "metadata": dict(stored.object["metadata"]), "status": told}
        operations.replace(resource, stored.object, replacement, lab_itself(), "status")
