"""ResourceQuotas: what a namespace may have, and what it has.

Counted anew from the objects whenever it is asked for: with everything in one process there is nothing to lag
behind. Words and rules are those of the plugin ResourceQuota and of the evaluators in pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from netprobe.lab.api import resources as r
from netprobe.lab.api.admission import quantity, scopes
from netprobe.lab.api.admission.quantity import Amounts
from netprobe.lab.api.store import Store
from netprobe.model.objects import ReadOnlyObject

_COUNTED = {  # under their plain names; every kind is also counted as count/NAME
    r.PODS: "pods",
    r.SERVICES: "services",
    r.CONFIGMAPS: "configmaps",
    r.SECRETS: "secrets",
    r.CLAIMS: "persistentvolumeclaims",
    r.RESOURCE_QUOTAS: "resourcequotas",
}
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_ENDED = {"Succeeded", "Failed"}
_ONE = Fraction(1)


def usage(resource: r.Resource, obj: ReadOnlyObject) -> Amounts:
    """What one object takes."""
    spec = obj.get("spec") or {}
    if resource is r.PODS and (obj.get("status") or {}).get("phase") in _ENDED:
        return {"count/pods": _ONE}
    found = {f"count/{resource.qualified}": _ONE}
    if resource in _COUNTED:
        found[_COUNTED[resource]] = _ONE
    if resource is r.PODS:
        for name, amount in quantity.of_pod(spec, "requests").items():
            found |= {f"requests.{name}": amount, **({name: amount} if name in _COMPUTE else {})}
        found |= {f"limits.{name}": amount for name, amount in quantity.of_pod(spec, "limits").items()}
    elif resource is r.SERVICES:
        ports = Fraction(len(spec.get("ports") or ()))
        exposed = spec.get("type") in {"NodePort", "LoadBalancer"}
        found["services.nodeports"] = ports if exposed else Fraction(0)
        found["services.loadbalancers"] = Fraction(spec.get("type") == "LoadBalancer")
    elif resource is r.CLAIMS:
        wanted = quantity.amounts((spec.get("resources") or {}).get("requests"))
        found["requests.storage"] = wanted.get("storage", Fraction(0))
    return found


def hard(quota: ReadOnlyObject) -> Amounts:
    return quantity.amounts(quota["spec"].get("hard"))


def used(quota: ReadOnlyObject, store: Store) -> Amounts:
    """What there is of everything that a quota limits."""
    limited = hard(quota)
    namespace = quota["metadata"]["namespace"]
    sums = dict.fromkeys(limited, Fraction(0))
    for resource in _kinds(limited):
        for stored in store.items(resource, namespace):
            if scopes.concerns(quota, resource, stored.object):
                for name, amount in usage(resource, stored.object).items():
                    if name in sums:
                        sums[name] += amount
    return sums


def _kinds(limited: Amounts) -> Iterator[r.Resource]:
    """The kinds that can take something of what is limited."""
    for resource in r.STORED:
        names = {f"count/{resource.qualified}", _COUNTED.get(resource, "")}
        compute = resource is r.PODS and any(_is_compute(name) for name in limited)
        services = resource is r.SERVICES and any(name.startswith("services.") for name in limited)
        storage = resource is r.CLAIMS and "requests.storage" in limited
        if resource.namespaced and (compute or services or storage or names & limited.keys()):
            yield resource


def _is_compute(name: str) -> bool:
    return name in _COMPUTE or name.startswith(("requests.", "limits."))


def problem(resource: r.Resource, obj: ReadOnlyObject, old: ReadOnlyObject | None, store: Store) -> str:
    """Why the quotas of its namespace do not let an object be stored; "" where they do."""
    namespace = obj["metadata"].get("namespace", "")
    for stored in store.items(r.RESOURCE_QUOTAS, namespace):
        quota = stored.object
        name = quota["metadata"]["name"]
        if not scopes.concerns(quota, resource, obj):
            continue
        limited = hard(quota)
        before = {} if old is None else usage(resource, old)
        more = {
            key: amount - before.get(key, Fraction(0))
            for key, amount in usage(resource, obj).items()
            if key in limited and amount > before.get(key, Fraction(0))
        }
        if resource is r.PODS and old is None and (silent := _unsaid(obj, limited)):
            return f"failed quota: {name}: must specify {silent}"
        if not more:
            continue
        now = used(quota, store)
        over = sorted(key for key in more if now[key] + more[key] > limited[key])
        if over:
            told = [
                f"{word}: {','.join(f'{key}={quantity.render(values[key])}' for key in over)}"
                for word, values in (("requested", more), ("used", now), ("limited", limited))
            ]
            return f"exceeded quota: {name}, {', '.join(told)}"
    return ""


def _unsaid(pod: ReadOnlyObject, limited: Amounts) -> str:
    """What the containers of a pod must say and do not: a quota of it counts nothing else."""
    found = []
    for key in sorted(filter(_is_compute, limited)):
        kind, _, name = key.rpartition(".")
        names = [
            c["name"]
            for c in (*(pod["spec"].get("initContainers") or ()), *(pod["spec"].get("containers") or ()))
            if name not in ((c.get("resources") or {}).get(kind or "requests") or {})
        ]
        if names and name != "storage":
            found.append(f"{key} for: {','.join(sorted(names))}")
    return "; ".join(found)
