"""What a client is told of an object that the lab accepts and does less with than a cluster would.

kubectl prints each sentence as a warning, once: when the object, or what makes the sentence true, is new.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lab.api import resources as r
from netprobe.model.objects import ReadOnlyObject

COMPLETES = "netprobe.dev/completes-after"
"""On a pod that is not restarted always: seconds after which it has succeeded. Without it nothing ends it."""


_UNUSED = "the lab stores this and does not use it"

_OF_A_KIND: dict[r.Resource, str] = {
    r.INGRESSES: f"{_UNUSED}: no ingress controller runs here, and hosts outside use node ports",
    r.AUTOSCALERS: f"{_UNUSED}: images are not run, so there is no load to scale by",
    r.CLAIMS: f"{_UNUSED}: images are not run, so volumes are not mounted",
    r.VOLUMES: f"{_UNUSED}: images are not run, so volumes are not mounted",
    r.DEFINITIONS: f"{_UNUSED}: custom resources are not served, and objects of this kind are refused",
    r.MUTATING_WEBHOOKS: f"{_UNUSED}: webhooks are not called",
    r.VALIDATING_WEBHOOKS: f"{_UNUSED}: webhooks are not called",
    r.ADMISSION_POLICIES: f"{_UNUSED}: admission policies are not evaluated, and nothing is refused by them",
}


def notes(resource: r.Resource, obj: ReadOnlyObject, old: ReadOnlyObject | None) -> Iterator[str]:
    """The sentences for `obj` that were not true of `old` already."""
    before = set() if old is None else set(_all(resource, old))
    yield from (sentence for sentence in _all(resource, obj) if sentence not in before)


def _all(resource: r.Resource, obj: ReadOnlyObject) -> Iterator[str]:
    if resource in _OF_A_KIND:
        yield _OF_A_KIND[resource]
    elif resource in {r.JOBS, r.CRON_JOBS}:
        spec = obj["spec"]["jobTemplate"]["spec"] if resource is r.CRON_JOBS else obj["spec"]
        if sentence := of_template(spec["template"]):
            yield sentence
    elif resource is r.SERVICES:
        yield from _of_service(obj.get("spec", {}))


def of_template(template: ReadOnlyObject) -> str:
    """What becomes of a Job with this template; "" where it completes."""
    if COMPLETES in (template.get("metadata", {}).get("annotations") or {}):
        return ""
    return (
        "the lab does not run images: this Job's pods stay and it does not complete, unless its template "
        f"has the annotation {COMPLETES}: SECONDS"
    )


def _of_service(spec: ReadOnlyObject) -> Iterator[str]:
    if spec.get("externalIPs"):
        yield "externalIPs of the lab are reached from pods and nodes: nobody leads hosts outside to them"
    if spec.get("type") == "LoadBalancer":
        yield "the lab has no load balancers: hosts outside reach this Service by its node port"
