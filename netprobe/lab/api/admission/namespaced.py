"""What depends on the namespace that an object comes to: its limits, its quotas, its Pod Security labels.

For the objects of clients, and for the pods that the lab's own controllers make for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netprobe.lab.api.admission import limits, priorities, quotas, security
from netprobe.lab.api.lifecycle import qos
from netprobe.lab.api.resources import LIMIT_RANGES, NAMESPACES, PODS, SERVICE_ACCOUNTS, Resource
from netprobe.lab.api.status import forbidden
from netprobe.lab.api.store import Key, Store
from netprobe.model.objects import Object


def complete(resource: Resource, obj: Object, store: Store) -> None:
    """What a namespace fills in to a new object."""
    if resource is PODS:
        limits.default_resources(obj, _ranges(obj, store))
        obj["status"]["qosClass"] = qos(obj["spec"])
        if why := priorities.complete(obj, store):
            raise forbidden(resource, obj["metadata"]["name"], why)


def require(resource: Resource, obj: Object, old: Object | None, store: Store) -> None:
    """ApiError 403 where the namespace does not let the object be stored, in the order of a real server."""
    name = obj["metadata"]["name"]
    if resource is PODS and old is None:
        if why := _account(obj, store):
            raise forbidden(resource, name, why)
        if found := limits.problems(obj, _ranges(obj, store)):
            raise forbidden(resource, name, found[0] if len(found) == 1 else f"[{', '.join(found)}]")
        require_security(resource, obj, store)
    if resource.namespaced and (why := quotas.problem(resource, obj, old, store)):
        raise forbidden(resource, name, why)


def require_security(resource: Resource, pod: Object, store: Store) -> None:
    """ApiError 403 where the namespace's Pod Security level forbids the pod."""
    level, violated = security.violated(_namespace(pod, store), "enforce", pod["spec"])
    if violated:
        told = ", ".join(map(str, violated))
        raise forbidden(resource, pod["metadata"]["name"], f'violates PodSecurity "{level}": {told}')


def warnings(resource: Resource, obj: Object, old: Object | None, store: Store) -> Iterator[str]:
    """What Pod Security has to say of an object that is stored all the same."""
    if resource is NAMESPACES:
        if old is not None:
            yield from _of_relabelled(obj, old, store)
        return
    spec = security.template_of(resource, obj)
    if spec is None or (old is not None and spec == security.template_of(resource, old)):
        return
    level, violated = security.violated(_namespace(obj, store), "warn", spec)
    if violated:
        yield f'would violate PodSecurity "{level}": {", ".join(map(str, violated))}'


def _of_relabelled(obj: Object, old: Object, store: Store) -> Iterator[str]:
    """A new level, and the pods that are there already."""
    key = f"{security.PREFIX}enforce"
    if (obj["metadata"].get("labels") or {}).get(key) == (old["metadata"].get("labels") or {}).get(key):
        return
    name, level, found = obj["metadata"]["name"], "", []
    for stored in store.items(PODS, name):
        level, violated = security.violated(obj, "enforce", stored.object["spec"])
        if violated:
            reasons = ", ".join(violation.reason for violation in violated)
            found.append(f"{stored.object['metadata']['name']}: {reasons}")
    if found:
        yield f'existing pods in namespace "{name}" violate the new PodSecurity enforce level "{level}"'
        yield from found


def _namespace(obj: Object, store: Store) -> Object:
    stored = store.get(NAMESPACES, Key("", obj["metadata"]["namespace"]))
    return {"metadata": {}} if stored is None else stored.object


def _ranges(pod: Object, store: Store) -> list[Any]:
    return [stored.object for stored in store.items(LIMIT_RANGES, pod["metadata"]["namespace"])]


def _account(pod: Object, store: Store) -> str:
    namespace, account = pod["metadata"]["namespace"], pod["spec"]["serviceAccountName"]
    if account == "default" or store.get(SERVICE_ACCOUNTS, Key(namespace, account)) is not None:
        return ""
    return f'error looking up service account {namespace}/{account}: serviceaccount "{account}" not found'
