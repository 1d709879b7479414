"""What a shadow pod would do to the Services, workloads and budgets of others, before it is created. Pure.

Policies are not the only readers of labels. This is what each reader did on a real cluster (Kubernetes 1.33;
tests/cluster/test_in_place.py and test_watchers.py try each of them):

    Service                  lists the pod as not ready, and sends it nothing; with publishNotReadyAddresses
                             it gets traffic                                                        HARM
    ReplicaSet, DaemonSet,   adopt a pod that no controller owns, and delete one that is too many;  HARM
    Job                      a Deployment's ReplicaSets do not: they require pod-template-hash too
    StatefulSet              adopts by selector and name; no shadow has such a name
    PodDisruptionBudget      leaves a pod without a controller out of its count
    another controller       its selector is not known                                              HARM
    required (anti-)affinity a shadow pod next to a real one that the term matches too changes
                             nothing; elsewhere it decides where real pods may run                  HARM
    a spread, DoNotSchedule  counts the pod                                                         HARM
    ResourceQuota            counts the pod; if that leaves no room for another one                 HARM
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import read_selector
from netprobe.probe.guest_workbench import Shadow
from netprobe.probe.run_objects import RESOURCES
from netprobe.probe.surroundings import Surroundings

ADOPTERS: Final = ("ReplicaSet", "DaemonSet", "Job")
KNOWN_CONTROLLERS: Final = frozenset({*ADOPTERS, "StatefulSet", "Node"})  # a Node "controls" static pods
SELECTING: Final = {
    **dict.fromkeys(ADOPTERS, ("would adopt the pod, and delete a surplus one", True)),
    "StatefulSet": ("selects the pod, but adopts only pods with its own names", False),
    "Deployment": (
        "selects the pod, but does not adopt it; an autoscaler may count one more unready pod",
        False,
    ),
    "PodDisruptionBudget": ("selects the pod, but does not count it", False),
}
"""What an object does that selects a shadow pod, and whether it is harmful."""

TEMPLATED: Final = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True)
class SideEffect:
    """What a shadow pod would do to an object of others; `watcher` as "Service shop/web"."""

    watcher: str
    shadow: Shadow
    effect: str
    harmful: bool

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.shadow.labels.items()))
        return f"{self.watcher} {self.effect} (the shadow pod of {self.shadow.stands_for[0]}, {labels})"


def side_effects(shadows: Iterable[Shadow], around: Surroundings) -> tuple[SideEffect, ...]:
    """Every effect of the shadow pods on objects of others, the harmful first."""
    placed_by_others = tuple(_placed_by_others(around))
    shadows = tuple(shadows)
    guests = Counter(shadow.ref.namespace for shadow in shadows)
    found = [
        SideEffect(watcher, shadow, effect, harmful)
        for shadow in shadows
        for watcher, effect, harmful in (
            *_services(shadow, around),
            *_workloads(shadow, around),
            *_unknown_controllers(shadow, around),
            *_placement(shadow, around, placed_by_others),
            *_quotas(shadow, around, guests),
        )
    ]
    return tuple(sorted(found, key=lambda one: not one.harmful))


Found: TypeAlias = Iterator[tuple[str, str, bool]]
"""Watcher, effect, whether it is harmful."""

PodSpec: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""An object, its namespace, and the spec of its pods."""


def _services(shadow: Shadow, around: Surroundings) -> Found:
    for obj in around.of("Service", shadow.ref.namespace):
        spec = obj.get("spec") or {}
        wanted = spec.get("selector") or {}
        if not wanted or spec.get("type") == "ExternalName" or not wanted.items() <= shadow.labels.items():
            continue
        notes = obj["metadata"].get("annotations") or {}
        unready = spec.get("publishNotReadyAddresses") or (
            notes.get("service.alpha.kubernetes.io/tolerate-unready-endpoints") == "true"
        )
        effect = (
            "publishes addresses that are not ready: clients would reach the shadow pod"
            if unready
            else "would list the pod as not ready, and send it no traffic"
        )
        yield _name(obj), effect, bool(unready)


def _workloads(shadow: Shadow, around: Surroundings) -> Found:
    """Workloads and budgets that select the pod."""
    for kind, (effect, harmful) in SELECTING.items():
        for obj in around.of(kind, shadow.ref.namespace):
            if selects((obj.get("spec") or {}).get("selector"), shadow.labels):
                yield _name(obj), effect, harmful


def _unknown_controllers(shadow: Shadow, around: Surroundings) -> Found:
    """Controllers of other kinds: their selector is not known, but it is part of the labels of their pods."""
    found = set()
    for obj in around.of("Pod", shadow.ref.namespace):
        labels = obj["metadata"].get("labels") or {}
        for owner in obj["metadata"].get("ownerReferences") or ():
            watcher = f"{owner['kind']} {shadow.ref.namespace}/{owner['name']}"
            if not owner.get("controller") or owner["kind"] in KNOWN_CONTROLLERS or watcher in found:
                continue
            if labels.items() & shadow.labels.items():
                found.add(watcher)
                yield watcher, "controls pods with such labels, and might adopt this one", True


def _placement(shadow: Shadow, around: Surroundings, specs: Iterable[PodSpec]) -> Found:
    neighbours = [
        obj["metadata"].get("labels") or {}
        for obj in around.of("Pod", shadow.ref.namespace)
        if (obj.get("spec") or {}).get("nodeName") == shadow.node
    ]
    for watcher, namespace, spec in specs:
        affinity = spec.get("affinity") or {}
        for kind in ("podAffinity", "podAntiAffinity"):
            terms = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
            for term in terms:
                if not _concerns(term, namespace, shadow, around):
                    continue
                alike = any(selects(term.get("labelSelector"), labels) for labels in neighbours)
                effect = (
                    f"has a required {kind} that matches the pod, next to a real one that it matches too"
                    if alike
                    else f"has a required {kind} that the pod would affect on {shadow.node}"
                )
                yield watcher, effect, not alike
        for constraint in spec.get("topologySpreadConstraints") or ():
            keys = set(constraint.get("matchLabelKeys") or ())
            if (
                constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
                and namespace == shadow.ref.namespace
                and keys <= shadow.labels.keys()
                and selects(constraint.get("labelSelector"), shadow.labels)
            ):
                yield watcher, "spreads its pods with DoNotSchedule, and would count this one", True


def _quotas(shadow: Shadow, around: Surroundings, guests: Mapping[str, int]) -> Found:
    for obj in around.of("ResourceQuota", shadow.ref.namespace):
        if found := counted(obj, guests[shadow.ref.namespace]):
            yield _name(obj), *found


def _concerns(term: Mapping[str, Any], namespace: str, shadow: Shadow, around: Surroundings) -> bool:
    """Whether an affinity term matches the namespace and labels of a shadow."""
    named, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    where = shadow.ref.namespace
    matches = where in named or (selector is not None and selects(selector, around.namespace_labels(where)))
    if not named and selector is None:
        matches = where == namespace
    keys = set(term.get("matchLabelKeys") or ())
    return matches and keys <= shadow.labels.keys() and selects(term.get("labelSelector"), shadow.labels)


def _placed_by_others(around: Surroundings) -> Iterator[PodSpec]:
    """Specs whose placement depends on other pods."""
    for watcher, namespace, spec in _pod_specs(around):
        if spec.get("affinity") or spec.get("topologySpreadConstraints"):
            yield watcher, namespace, spec


def _pod_specs(around: Surroundings) -> Iterator[PodSpec]:
    """Specs of pods that may still be scheduled: templates, and pods that no known workload creates."""
    for kind in TEMPLATED:
        for obj in around.of(kind):
            if "Deployment" not in _controllers(obj):  # a ReplicaSet of one repeats its template
                template = (obj.get("spec") or {}).get("template") or {}
                yield _name(obj), obj["metadata"]["namespace"], template.get("spec") or {}
    for obj in around.of("Pod"):
        if KNOWN_CONTROLLERS.isdisjoint(_controllers(obj)):
            yield _name(obj), obj["metadata"]["namespace"], obj.get("spec") or {}


def _controllers(obj: Object) -> set[str]:
    owners = obj["metadata"].get("ownerReferences") or ()
    return {str(owner["kind"]) for owner in owners if owner.get("controller")}


def selects(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """A LabelSelector of the API against labels; None selects nothing (metav1.LabelSelectorAsSelector).

    A requirement with an operator of a later API counts as met, so that nothing is overlooked.
    """
    return selector is not None and read_selector(Decoder(), selector, "selector").matches(labels)


def _name(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{obj['kind']} {meta['namespace']}/{meta['name']}"


USED: Final[Mapping[str, str]] = {
    # a resource that a quota may limit -> how much of it one shadow pod uses
    "pods": "1",
    "count/pods": "1",
    "cpu": RESOURCES["requests"]["cpu"],
    "requests.cpu": RESOURCES["requests"]["cpu"],
    "limits.cpu": RESOURCES["limits"]["cpu"],
    "memory": RESOURCES["requests"]["memory"],
    "requests.memory": RESOURCES["requests"]["memory"],
    "limits.memory": RESOURCES["limits"]["memory"],
}
OTHER_SCOPES: Final = frozenset({"BestEffort", "NotTerminating"})
"""Scopes that do not include a shadow pod: it has requests and a deadline."""

_UNITS: Final = {"m": 1e-3, "": 1.0} | {
    unit: factor
    for power, letter in enumerate(("k", "M", "G", "T", "P"), start=1)
    for unit, factor in ((letter, 1000.0**power), (f"{letter.upper()}i", 1024.0**power))
}


def counted(quota: Object, shadows: int) -> tuple[str, bool] | None:
    """What that many shadow pods do to a quota of their namespace, and whether it is harmful; None: nothing.

    Harmful: not even one more pod as small as they are would fit.
    """
    spec: Mapping[str, Any] = quota.get("spec") or {}
    if OTHER_SCOPES.intersection(spec.get("scopes") or ()):
        return None
    left = dict(_left(quota))
    if not left:
        return None
    short = sorted(name for name, rest in left.items() if rest < (shadows + 1) * amount(USED[name]))
    if short:
        return f"would have no room left for another pod ({', '.join(short)})", True
    return "would count the pod, and has room for more", False


def amount(quantity: str) -> float:
    """A resource quantity as a number: "500m", "64Mi", "2"; infinity if it cannot be read."""
    number = quantity.rstrip("kKMGTPim")
    try:
        return float(number) * _UNITS[quantity[len(number) :]]
    except (KeyError, ValueError):
        return float("inf")


def _left(quota: Object) -> Iterator[tuple[str, float]]:
    hard: Mapping[str, str] = (
        (quota.get("status") or {}).get("hard") or (quota.get("spec") or {}).get("hard") or {}
    )
    used: Mapping[str, str] = (quota.get("status") or {}).get("used") or {}
    for name, most in hard.items():
        if name in USED:
            yield name, amount(str(most)) - amount(str(used.get(name, "0")))
