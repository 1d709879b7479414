"""What admission made of a run's objects, in sentences."""

from __future__ import annotations

import pytest

from netprobe.model.objects import Object
from netprobe.probe import run_objects
from netprobe.probe.run_objects import CHANGE, RUN


def pod(*containers: str, init: tuple[Object, ...] = ()) -> Object:
    return {"spec": {"containers": [{"name": name} for name in containers], "initContainers": list(init)}}


def policy(name: str, run: str | None) -> Object:
    return {"metadata": {"namespace": "shop", "name": name, "labels": {RUN: run} if run else None}}


def test_labels_are_those_that_policies_see() -> None:
    labels = {RUN: "r1", CHANGE: "1", "app": "web", "team": "x"}
    assert run_objects.live_labels({"metadata": {"labels": labels}}) == {"app": "web", "team": "x"}
    assert run_objects.live_labels({"metadata": {}}) == {}


def test_only_containers_next_to_the_probe_are_strange() -> None:
    waiting, beside = {"name": "init"}, {"name": "native", "restartPolicy": "Always"}
    assert run_objects.sidecar_warnings([pod("probe"), pod("probe", init=(waiting,))]) == []
    (sentence,) = run_objects.sidecar_warnings([pod("proxy", "probe"), pod("probe", "proxy", init=(beside,))])
    assert "native (1), proxy (2)" in sentence


def test_labels_that_were_changed_are_reported_once_a_namespace() -> None:
    def of(namespace: str, **labels: str) -> Object:
        return {"metadata": {"namespace": namespace, "labels": {RUN: "r1", **labels}}}

    asked = of("shop", app="web")
    assert run_objects.label_warnings([(asked, asked)]) == []
    pairs = [(asked, of("shop", app="api")), (asked, of("shop", app="web", mesh="on")), (asked, of("data"))]
    first, second = run_objects.label_warnings(pairs)
    assert first.startswith("admission changed labels of shadow pods in shop: app, mesh.")
    assert second.startswith("admission changed labels of shadow pods in data: app.")


@pytest.mark.parametrize(
    ("refusal", "too_much"),
    [
        ("exceeded quota: q, requested: limits.cpu=500m, used: limits.cpu=0, limited: limits.cpu=1", True),
        ("maximum cpu usage per Container is 200m, but limit is 500m", True),
        ("minimum memory usage per Pod is 64Mi, but request is 16Mi", True),
        ("memory max limit to request ratio per Container is 4, but provided ratio is 8.0", True),
        ("violates PodSecurity", False),
    ],
)
def test_what_a_pod_is_refused_for(refusal: str, too_much: bool) -> None:
    assert run_objects.is_too_much(refusal) is too_much


def test_only_policies_of_others_are_strange() -> None:
    assert run_objects.policy_warnings([policy("canary", "r1")], "r1") == []
    (sentence,) = run_objects.policy_warnings(
        [policy("a", "r1"), policy("b", "r2"), policy("deny", None)], "r1"
    )
    assert "new namespaces: shop/b and shop/deny." in sentence
