"""Scopes of ResourceQuotas: which pods a quota speaks of."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lab.api.admission.names import invalid, required
from netprobe.lab.api.lifecycle import qos
from netprobe.lab.api.resources import PODS, Resource
from netprobe.lab.api.status import Cause
from netprobe.model.objects import ReadOnlyObject

_SCOPES = {
    "BestEffort",
    "NotBestEffort",
    "Terminating",
    "NotTerminating",
    "PriorityClass",
    "CrossNamespacePodAffinity",
}


def concerns(quota: ReadOnlyObject, resource: Resource, obj: ReadOnlyObject) -> bool:
    """Is it within the scopes of a quota?"""
    terms = list(_terms(quota["spec"]))
    if not terms:
        return True
    return resource is PODS and all(_within(obj["spec"], *term) for term in terms)


def _terms(spec: ReadOnlyObject) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Scope, operator and values, of the old list and of the new one."""
    yield from ((scope, "Exists", ()) for scope in spec.get("scopes") or ())
    for term in (spec.get("scopeSelector") or {}).get("matchExpressions") or ():
        yield term["scopeName"], term["operator"], tuple(term.get("values") or ())


def _within(spec: ReadOnlyObject, scope: str, operator: str, values: tuple[str, ...]) -> bool:
    """Is a pod in a scope (pkg/quota/v1/evaluator/core/pods.go)?"""
    match scope:
        case "BestEffort" | "NotBestEffort":
            return (qos(dict(spec)) == "BestEffort") is (scope == "BestEffort")
        case "Terminating" | "NotTerminating":
            return (spec.get("activeDeadlineSeconds") is not None) is (scope == "Terminating")
        case "PriorityClass":
            return _of_class(spec.get("priorityClassName", ""), operator, values)
        case _:
            return any(map(_crosses, _affinity_terms(spec)))


def _of_class(name: str, operator: str, values: tuple[str, ...]) -> bool:
    match operator:
        case "In":
            return name in values
        case "NotIn":
            return name not in values
        case _:
            return bool(name) is (operator == "Exists")


def _affinity_terms(spec: ReadOnlyObject) -> Iterator[ReadOnlyObject]:
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        own = affinity.get(kind) or {}
        yield from own.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        weighted = own.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        yield from (term.get("podAffinityTerm") or {} for term in weighted)


def _crosses(term: ReadOnlyObject) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None


def check_quota(quota: ReadOnlyObject, old: ReadOnlyObject | None) -> Iterator[Cause]:
    """pkg/apis/core/validation: which scopes there are, what may be said of them, and that they stay."""
    spec = quota["spec"]
    for index, scope in enumerate(spec.get("scopes") or ()):
        if scope not in _SCOPES:
            yield invalid(f"spec.scopes[{index}]", scope, "unsupported scope")
    for index, (scope, operator, values) in enumerate(_terms({**spec, "scopes": ()})):
        place = f"spec.scopeSelector.matchExpressions[{index}]"
        if scope not in _SCOPES:
            yield invalid(f"{place}.scopeName", scope, "unsupported scope")
        elif scope != "PriorityClass" and operator != "Exists":
            problem = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
            problem += "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
            problem += "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
            yield invalid(f"{place}.operator", operator, problem)
        elif operator in {"In", "NotIn"} and not values:
            problem = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
            yield required(f"{place}.values", problem)
    if old is not None and list(old["spec"].get("scopes") or ()) != list(spec.get("scopes") or ()):
        yield invalid("spec.scopes", spec.get("scopes") or (), "field is immutable")
