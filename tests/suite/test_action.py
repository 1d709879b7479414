"""What the steps of a suite make of a simulated cluster."""

from __future__ import annotations

import pytest

from netprobe.errors import InputError
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import Policy, PolicyRef, Subject
from netprobe.suite import Apply, Change, Delete, apply

WEB = PodRef("a", "web-0")
CLUSTER = Cluster(
    {"a": Namespace("a", {"kubernetes.io/metadata.name": "a", "team": "one"})},
    {WEB: Pod(WEB, {"app": "web"}, workload="Pod/web"), PodRef("a", "db"): Pod(PodRef("a", "db"), {})},
    (Policy(PolicyRef("a", "p")), Policy(PolicyRef("a", "q"))),
)


def test_labels_of_a_namespace_are_set_and_removed() -> None:
    after = apply(CLUSTER, Change({"tier": "x", "team": None}, namespace="a"))
    assert dict(after.namespaces["a"].labels) == {"kubernetes.io/metadata.name": "a", "tier": "x"}
    assert dict(CLUSTER.namespaces["a"].labels)["team"] == "one", "the cluster before is not touched"


def test_the_name_label_is_what_the_server_makes_it() -> None:
    after = apply(CLUSTER, Change({"kubernetes.io/metadata.name": None}, namespace="a"))
    assert after.namespaces["a"].labels["kubernetes.io/metadata.name"] == "a"


@pytest.mark.parametrize("name", ["web", "web-0"])
def test_labels_of_pods_by_their_name_or_that_of_all_replicas(name: str) -> None:
    after = apply(CLUSTER, Change({"app": "shop"}, pod=PodRef("a", name)))
    assert {str(ref): dict(pod.labels) for ref, pod in after.pods.items()} == {
        "a/web-0": {"app": "shop"},
        "a/db": {},
    }


def test_annotations_change_nothing_that_is_simulated() -> None:
    assert apply(CLUSTER, Change({"x": "y"}, pod=WEB, annotations=True)) == CLUSTER


def test_a_policy_is_replaced_in_its_place_or_added() -> None:
    new = Policy(PolicyRef("a", "p"), Subject(Selector.of({"app": "web"})))
    more = Policy(PolicyRef("a", "r"))
    after = apply(CLUSTER, Apply((), (new, more)))
    assert after.policies == (new, CLUSTER.policies[1], more)


def test_a_policy_is_deleted() -> None:
    assert apply(CLUSTER, Delete(PolicyRef("a", "p"))).policies == CLUSTER.policies[1:]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Change({}, namespace="b", place="f:1", path="do"), "f:1: do: there is no namespace b"),
        (Change({}, pod=PodRef("a", "x")), "there is no pod a/x"),
        (Delete(PolicyRef("a", "x")), "there is no NetworkPolicy a/x at this point (there are: a/p, a/q)"),
        (Apply((), (Policy(PolicyRef("b", "p")),)), "there is no namespace b for b/p"),
    ],
)
def test_what_is_not_there_is_named(action: Change | Delete | Apply, message: str) -> None:
    with pytest.raises(InputError) as caught:
        apply(CLUSTER, action)
    assert str(caught.value) == message
