"""What admission made of a run's objects, in sentences."""

from __future__ import annotations

from netprobe.probe import admitted
from netprobe.probe.api import Object
from netprobe.probe.bench import RUN, change_label


def pod(*containers: str, init: tuple[Object, ...] = ()) -> Object:
    return {"spec": {"containers": [{"name": name} for name in containers], "initContainers": list(init)}}


def policy(name: str, run: str | None) -> Object:
    return {"metadata": {"namespace": "shop", "name": name, "labels": {RUN: run} if run else None}}


def test_labels_are_those_that_policies_see() -> None:
    labels = {RUN: "r1", change_label(1): "r1", "app": "web", "team": "x"}
    assert admitted.labels({"metadata": {"labels": labels}}) == {"app": "web", "team": "x"}
    assert admitted.labels({"metadata": {}}) == {}


def test_only_containers_beside_the_probe_are_strange() -> None:
    waiting, beside = {"name": "init"}, {"name": "native", "restartPolicy": "Always"}
    assert admitted.sidecars([pod("probe"), pod("probe", init=(waiting,))]) == []
    (sentence,) = admitted.sidecars([pod("proxy", "probe"), pod("probe", "proxy", init=(beside,))])
    assert "native (1), proxy (2)" in sentence


def test_only_policies_of_others_are_strange() -> None:
    assert admitted.policies([policy("canary", "r1")], "r1") == []
    (sentence,) = admitted.policies([policy("a", "r1"), policy("b", "r2"), policy("deny", None)], "r1")
    assert "new namespaces: shop/b, shop/deny." in sentence
