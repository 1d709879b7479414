"""What a client is told of an object that the lab accepts and does less with than a cluster would.

kubectl prints each sentence as a warning, once: when the object, or what makes the sentence true, is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api import resources as r

Object = Mapping[str, Any]

_UNUSED = "the lab stores this and does not use it"
_UNENFORCED = "the lab stores this and does not enforce it"

_OF_A_KIND: dict[r.Resource, str] = {
    r.INGRESSES: f"{_UNUSED}: no ingress controller runs here, and hosts outside use node ports",
    r.AUTOSCALERS: f"{_UNUSED}: images are not run, so there is no load to scale by",
    r.CLAIMS: f"{_UNUSED}: images are not run, so volumes are not mounted",
    r.VOLUMES: f"{_UNUSED}: images are not run, so volumes are not mounted",
    r.RESOURCE_QUOTAS: _UNENFORCED,
    r.LIMIT_RANGES: _UNENFORCED,
    r.ROLE_BINDINGS: f"{_UNENFORCED}: whoever holds the lab's kubeconfig may do everything",
    r.CLUSTER_ROLE_BINDINGS: f"{_UNENFORCED}: whoever holds the lab's kubeconfig may do everything",
    r.JOBS: "the lab does not run images: the pods of a Job stay, and it never completes",
    r.CRON_JOBS: "the lab starts no Jobs by the clock; kubectl create job --from=cronjob/NAME starts one",
}
_POD_SECURITY = "pod-security.kubernetes.io/"


def notes(resource: r.Resource, obj: Object, old: Object | None) -> Iterator[str]:
    """The sentences for `obj` that were not true of `old` already."""
    before = set() if old is None else set(_all(resource, old))
    yield from (sentence for sentence in _all(resource, obj) if sentence not in before)


def _all(resource: r.Resource, obj: Object) -> Iterator[str]:
    if resource in _OF_A_KIND:
        yield _OF_A_KIND[resource]
    elif resource is r.SERVICES:
        yield from _of_service(obj.get("spec", {}))
    elif resource is r.NAMESPACES:
        labels = obj["metadata"].get("labels") or {}
        if any(key.startswith(_POD_SECURITY) for key in labels):
            yield f"the lab stores {_POD_SECURITY} labels and does not enforce Pod Security"


def _of_service(spec: Object) -> Iterator[str]:
    if spec.get("sessionAffinity", "None") != "None":
        yield "the lab does not do sessionAffinity: each connection goes to any endpoint"
    if spec.get("externalIPs"):
        yield "the lab does not do externalIPs: nothing answers on these addresses"
    if spec.get("type") == "LoadBalancer":
        yield "the lab has no load balancers: hosts outside reach this Service by its node port"
