"""Who would see a shadow pod, found before any is made, and what they would make of it. Pure.

Labels have more readers than policies. For each this module holds what was seen on a real cluster (Kubernetes
1.33; tests/cluster/test_in_place.py tries each of them):

    Service                  lists the pod as not ready, and sends it nothing; with publishNotReadyAddresses
                             it gets traffic                                                        HARM
    ReplicaSet, DaemonSet,   adopt a pod that no controller owns, and delete one that is too many;  HARM
    Job                      a Deployment's ReplicaSets do not, they ask for pod-template-hash too
    StatefulSet              adopts by selector and name; no shadow has such a name
    PodDisruptionBudget      leaves a pod without a controller out of its count
    another controller       its selector is not known here                                        HARM
    required (anti-)affinity a shadow pod beside a real one that the term sees too changes nothing;
                             elsewhere it decides where real pods may run                           HARM
    a spread, DoNotSchedule  counts the pod                                                         HARM
    ResourceQuota            counts the pod; where it leaves no room for one of theirs              HARM
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from netprobe.model.labels import Labels
from netprobe.model.objects import Object
from netprobe.probe.guests import quota
from netprobe.probe.guests.shadows import Shadow
from netprobe.probe.guests.surroundings import Surroundings

ADOPTERS: Final = ("ReplicaSet", "DaemonSet", "Job")
KNOWN_CONTROLLERS: Final = frozenset({*ADOPTERS, "StatefulSet", "Node"})  # a Node "controls" static pods
TEMPLATED: Final = ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True)
class SideEffect:
    """Somebody who would see a shadow pod; `watcher` as "Service shop/web"."""

    watcher: str
    shadow: Shadow
    sees: str
    harmful: bool

    def __str__(self) -> str:
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.shadow.labels.items()))
        return f"{self.watcher} {self.sees} (the shadow pod of {self.shadow.stands_for[0]}, {labels})"


def side_effects(shadows: Iterable[Shadow], around: Surroundings) -> tuple[SideEffect, ...]:
    """Everybody who would see a shadow pod, the harmful first."""
    demanding = tuple(_demanding(around))
    shadows = tuple(shadows)
    guests = Counter(shadow.ref.namespace for shadow in shadows)
    found = [
        SideEffect(watcher, shadow, sees, harmful)
        for shadow in shadows
        for watcher, sees, harmful in (
            *_services(shadow, around),
            *_workloads(shadow, around),
            *_budgets(shadow, around),
            *_strangers(shadow, around),
            *_placement(shadow, around, demanding),
            *_quotas(shadow, around, guests),
        )
    ]
    return tuple(sorted(found, key=lambda one: not one.harmful))


Seen: TypeAlias = Iterator[tuple[str, str, bool]]
Demand: TypeAlias = tuple[str, str, Mapping[str, Any]]
"""Who, in which namespace, and the spec of its pods."""


def _services(shadow: Shadow, around: Surroundings) -> Seen:
    for obj in around.of("Service", shadow.ref.namespace):
        spec = obj.get("spec") or {}
        wanted = spec.get("selector") or {}
        if not wanted or spec.get("type") == "ExternalName" or not wanted.items() <= shadow.labels.items():
            continue
        notes = obj["metadata"].get("annotations") or {}
        unready = spec.get("publishNotReadyAddresses") or (
            notes.get("service.alpha.kubernetes.io/tolerate-unready-endpoints") == "true"
        )
        sees = (
            "publishes addresses that are not ready: clients would be sent to the shadow pod"
            if unready
            else "would list the pod as not ready, and send it nothing"
        )
        yield _name(obj), sees, bool(unready)


def _workloads(shadow: Shadow, around: Surroundings) -> Seen:
    for kind in ADOPTERS:
        for obj in around.of(kind, shadow.ref.namespace):
            if selects((obj.get("spec") or {}).get("selector"), shadow.labels):
                yield _name(obj), "would adopt the pod, and delete one that is then too many", True
    for obj in around.of("StatefulSet", shadow.ref.namespace):
        if selects((obj.get("spec") or {}).get("selector"), shadow.labels):
            yield _name(obj), "selects the pod, but adopts only pods of its own names", False
    for obj in around.of("Deployment", shadow.ref.namespace):
        if selects((obj.get("spec") or {}).get("selector"), shadow.labels):
            sees = (
                "selects the pod, but adopts none; an autoscaler of it may count one more that is not ready"
            )
            yield _name(obj), sees, False


def _budgets(shadow: Shadow, around: Surroundings) -> Seen:
    for obj in around.of("PodDisruptionBudget", shadow.ref.namespace):
        if selects((obj.get("spec") or {}).get("selector"), shadow.labels):
            yield _name(obj), "selects the pod, and leaves it out of its count", False


def _strangers(shadow: Shadow, around: Surroundings) -> Seen:
    """Controllers of kinds that were not listed: their selector lies within the labels of their pods."""
    told = set()
    for obj in around.of("Pod", shadow.ref.namespace):
        labels = obj["metadata"].get("labels") or {}
        for owner in obj["metadata"].get("ownerReferences") or ():
            watcher = f"{owner['kind']} {shadow.ref.namespace}/{owner['name']}"
            if not owner.get("controller") or owner["kind"] in KNOWN_CONTROLLERS or watcher in told:
                continue
            if labels.items() & shadow.labels.items():
                told.add(watcher)
                yield watcher, "controls pods with such labels, and may adopt this one: who knows", True


def _placement(shadow: Shadow, around: Surroundings, demanding: Iterable[Demand]) -> Seen:
    beside = [
        obj["metadata"].get("labels") or {}
        for obj in around.of("Pod", shadow.ref.namespace)
        if (obj.get("spec") or {}).get("nodeName") == shadow.node
    ]
    for watcher, namespace, spec in demanding:
        affinity = spec.get("affinity") or {}
        for kind in ("podAffinity", "podAntiAffinity"):
            terms = (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()
            for term in terms:
                if not _concerns(term, namespace, shadow, around):
                    continue
                alike = any(selects(term.get("labelSelector"), labels) for labels in beside)
                sees = (
                    f"has a required {kind} that sees the pod, beside a real one that it sees too"
                    if alike
                    else f"has a required {kind} that the pod would decide on {shadow.node}"
                )
                yield watcher, sees, not alike
        for constraint in spec.get("topologySpreadConstraints") or ():
            keys = set(constraint.get("matchLabelKeys") or ())
            if (
                constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
                and namespace == shadow.ref.namespace
                and keys <= shadow.labels.keys()
                and selects(constraint.get("labelSelector"), shadow.labels)
            ):
                yield watcher, "spreads its pods with DoNotSchedule, and would count this one", True


def _quotas(shadow: Shadow, around: Surroundings, guests: Mapping[str, int]) -> Seen:
    for obj in around.of("ResourceQuota", shadow.ref.namespace):
        if told := quota.counted(obj, guests[shadow.ref.namespace]):
            yield _name(obj), *told


def _concerns(term: Mapping[str, Any], namespace: str, shadow: Shadow, around: Surroundings) -> bool:
    """Whether an affinity term looks at the shadow's namespace and matches its labels."""
    named, selector = term.get("namespaces") or (), term.get("namespaceSelector")
    where = shadow.ref.namespace
    looks = where in named or (selector is not None and selects(selector, around.namespace_labels(where)))
    if not named and selector is None:
        looks = where == namespace
    keys = set(term.get("matchLabelKeys") or ())
    return looks and keys <= shadow.labels.keys() and selects(term.get("labelSelector"), shadow.labels)


def _demanding(around: Surroundings) -> Iterator[Demand]:
    """Those who look at other pods to be placed."""
    for watcher, namespace, spec in _pod_specs(around):
        if spec.get("affinity") or spec.get("topologySpreadConstraints"):
            yield watcher, namespace, spec


def _pod_specs(around: Surroundings) -> Iterator[Demand]:
    """Whose pods are still to be scheduled: templates, and pods that no listed workload makes."""
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
    """A LabelSelector of the API against labels; None selects nothing (metav1.LabelSelectorAsSelector)."""
    if selector is None:
        return False
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    return all(_holds(one, labels) for one in selector.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Labels) -> bool:
    value = labels.get(requirement["key"])
    values = requirement.get("values") or ()
    match requirement["operator"]:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:  # a later API's operator: taken for a match, so that nobody is overlooked
            return True


def _name(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{obj['kind']} {meta['namespace']}/{meta['name']}"
