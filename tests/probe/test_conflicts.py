"""Who would see a shadow pod: one row a watcher. Each is tried on a real cluster in tests/cluster too."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe.conflicts import selects, side_effects
from netprobe.probe.guest_workbench import Shadow
from netprobe.probe.run_objects import RUN
from netprobe.probe.surroundings import Surroundings

SHADOW = Shadow(PodRef("shop", "netprobe-r1-0"), {"app": "web"}, "n1", (PodRef("shop", "web-1"),))
WEB: Object = {"matchLabels": {"app": "web"}}
HASHED: Object = {"matchLabels": {"app": "web", "pod-template-hash": "abc"}}


def obj(kind: str, spec: Object, namespace: str = "shop", **meta: Any) -> Object:
    return {"kind": kind, "metadata": {"name": "it", "namespace": namespace, **meta}, "spec": spec}


def real(labels: dict[str, str], node: str = "n1", **meta: Any) -> Object:
    return obj("Pod", {"nodeName": node}, labels=labels, **meta)


def owned(kind: str) -> list[Object]:
    return [{"kind": kind, "name": "boss", "controller": True}]


def anti(selector: Object, **term: Any) -> Object:
    required = [{"labelSelector": selector, "topologyKey": "kubernetes.io/hostname", **term}]
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return {"template": {"spec": {"affinity": affinity}}}


def spread(**constraint: Any) -> Object:
    entry = {"labelSelector": WEB, "topologyKey": "zone", "maxSkew": 1, **constraint}
    return {"template": {"spec": {"topologySpreadConstraints": [entry]}}}


HARM, SEEN, UNSEEN = True, False, None
P = pytest.param


def quota(hard: Object, used: Object, **spec: Any) -> Object:
    made = obj("ResourceQuota", {"hard": hard, **spec})
    return {**made, "status": {"hard": hard, "used": used}}


CASES = [
    P([quota({"pods": "10"}, {"pods": "4"})], SEEN, id="a quota with room counts it"),
    P([quota({"pods": "10"}, {"pods": "9"})], HARM, id="a quota that it takes the last pod of"),
    P([quota({"pods": "10"}, {"pods": "8"})], SEEN, id="a quota that has room for one more next to it"),
    P([quota({"limits.cpu": "4"}, {"limits.cpu": "3500m"})], HARM, id="a quota with half a processor left"),
    P([quota({"memory": "1Gi"}, {"memory": "500Mi"})], SEEN, id="a quota with memory left"),
    P([quota({"limits.memory": "1Gi"}, {"limits.memory": "1G"})], HARM, id="1G of 1Gi leaves too little"),
    P([quota({"services": "1"}, {"services": "1"})], UNSEEN, id="a quota of other things"),
    P(
        [quota({"pods": "1"}, {"pods": "1"}, scopes=["BestEffort"])],
        UNSEEN,
        id="a quota of pods without requests",
    ),
    P([obj("Service", {"selector": {"app": "web"}})], SEEN, id="a Service lists it as not ready"),
    P(
        [obj("Service", {"selector": {"app": "web"}, "publishNotReadyAddresses": True})],
        HARM,
        id="a Service with publishNotReadyAddresses sends it traffic",
    ),
    P(
        [
            obj(
                "Service",
                {"selector": {"app": "web"}},
                annotations={"service.alpha.kubernetes.io/tolerate-unready-endpoints": "true"},
            )
        ],
        HARM,
        id="the same by the old annotation",
    ),
    P([obj("Service", {"selector": {"app": "web", "team": "b"}})], UNSEEN, id="a Service that asks for more"),
    P([obj("Service", {})], UNSEEN, id="a Service without a selector selects nobody"),
    P([obj("Service", {"selector": {"app": "web"}}, "data")], UNSEEN, id="a Service of another namespace"),
    P([obj("ReplicaSet", {"selector": WEB})], HARM, id="a bare ReplicaSet adopts"),
    P([obj("ReplicaSet", {"selector": HASHED})], UNSEEN, id="a Deployment's ReplicaSet asks for the hash"),
    P([obj("DaemonSet", {"selector": WEB})], HARM, id="a DaemonSet adopts"),
    P([obj("Job", {"selector": WEB})], HARM, id="a Job with a selector of its own adopts"),
    P([obj("Job", {"selector": {"matchLabels": {"uid": "1"}}})], UNSEEN, id="a Job asks for its uid"),
    P([obj("StatefulSet", {"selector": WEB})], SEEN, id="a StatefulSet adopts by name only"),
    P([obj("Deployment", {"selector": WEB})], SEEN, id="a Deployment adopts none"),
    P([obj("PodDisruptionBudget", {"selector": WEB})], SEEN, id="a budget leaves it out"),
    P([obj("PodDisruptionBudget", {"selector": {}})], SEEN, id="a budget for everybody"),
    P([obj("PodDisruptionBudget", {})], UNSEEN, id="a budget for nobody"),
    P([real({"app": "web"}, ownerReferences=owned("CloneSet"))], HARM, id="a controller that nobody knows"),
    P([real({"app": "db"}, ownerReferences=owned("CloneSet"))], UNSEEN, id="the same of other pods"),
    P([real({"app": "web"}, ownerReferences=owned("Node"))], UNSEEN, id="a static pod"),
    P([real({"app": "web"}, ownerReferences=owned("ReplicaSet"))], UNSEEN, id="a ReplicaSet is asked itself"),
    P([obj("Deployment", anti(WEB))], HARM, id="a required anti-affinity"),
    P(
        [obj("Deployment", anti(WEB)), real({"app": "web"}, ownerReferences=owned("ReplicaSet"))],
        SEEN,
        id="the same where a real pod on the node is seen as well",
    ),
    P(
        [obj("Deployment", anti(WEB)), real({"app": "web"}, "n2", ownerReferences=owned("ReplicaSet"))],
        HARM,
        id="a real pod on another node does not help",
    ),
    P([obj("Deployment", anti(WEB), "data")], UNSEEN, id="an anti-affinity looks at its own namespace"),
    P([obj("Deployment", anti(WEB, namespaces=["shop"]), "data")], HARM, id="unless it names another"),
    P([obj("Deployment", anti(WEB, namespaceSelector={}), "data")], HARM, id="or all of them"),
    P([obj("Deployment", spread())], HARM, id="a spread counts it"),
    P([obj("ReplicaSet", spread())], HARM, id="that of a bare ReplicaSet"),
    P(
        [obj("ReplicaSet", spread(), ownerReferences=owned("Deployment"))],
        UNSEEN,
        id="a Deployment's ReplicaSet is not asked twice",
    ),
    P(
        [real({"app": "db"}, ownerReferences=owned("CloneSet")) | {"spec": spread()["template"]["spec"]}],
        HARM,
        id="that of a pod whose template nobody lists",
    ),
    P(
        [obj("Deployment", spread(whenUnsatisfiable="ScheduleAnyway"))],
        UNSEEN,
        id="a mere preference",
    ),
    P([obj("Deployment", spread(matchLabelKeys=["pod-template-hash"]))], UNSEEN, id="a spread by template"),
    P([obj("ReplicaSet", {"selector": WEB}, labels={RUN: "r0"})], UNSEEN, id="what a run made"),
]


@pytest.mark.parametrize(("objects", "expected"), CASES)
def test_who_sees_a_shadow_pod(objects: list[Object], expected: bool | None) -> None:
    seen = side_effects([SHADOW], Surroundings.of_objects(objects))
    assert (any(one.harmful for one in seen) if seen else None) is expected, list(map(str, seen))


def test_the_harmful_come_first_and_name_the_real_pod() -> None:
    objects = [obj("Service", {"selector": {"app": "web"}}), obj("DaemonSet", {"selector": WEB})]
    first, second = side_effects([SHADOW], Surroundings.of_objects(objects))
    assert (first.harmful, second.harmful) == (True, False)
    assert str(first).startswith("DaemonSet shop/it would adopt the pod")
    assert "shop/web-1" in str(first)
    assert "app=web" in str(first)


def test_which_selectors_count() -> None:
    later = {"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]}
    cases = [(None, False), ({}, True), ({"matchLabels": {"app": ""}}, False), (later, True)]
    for selector, matches in cases:
        assert selects(selector, {"app": "web"}) is matches, selector
