"""The warnings about objects that have less effect in the lab than in a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lab.api import resources as r
from netprobe.model.objects import ReadOnlyObject

COMPLETES = "netprobe.dev/completes-after"
"""On a pod of a Job: the seconds after which it succeeds. Without it, the pod stays."""


def notes(resource: r.Resource, obj: ReadOnlyObject) -> Iterator[str]:
    """Every warning that applies to an object as it is."""
    if resource.unused:
        yield resource.unused
    elif resource is r.JOBS:
        if sentence := of_template(obj["spec"]["template"]):
            yield sentence
    elif resource is r.SERVICES:
        yield from _of_service(obj.get("spec", {}))


def of_template(template: ReadOnlyObject) -> str:
    """What to say about a Job with this template; "" if it completes."""
    if COMPLETES in (template.get("metadata", {}).get("annotations") or {}):
        return ""
    return (
        "the lab does not run images: this Job's pods stay and it does not complete, unless its template "
        f"has the annotation {COMPLETES}: SECONDS"
    )


def _of_service(spec: ReadOnlyObject) -> Iterator[str]:
    if spec.get("externalIPs"):
        yield "in the lab, externalIPs are reached from pods and nodes only, not from external hosts"
    if spec.get("type") == "LoadBalancer":
        yield "the lab has no load balancers: external hosts reach this Service by its node port"
