"""What the steps of a suite make of a simulated cluster."""

from __future__ import annotations

import pytest

from netprobe.errors import InputError
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import Policy, PolicyRef, Subject
from netprobe.suite import ApplyPolicies, DeletePolicies, SetMetadata, apply

WEB = PodRef("a", "web-0")
CLUSTER = Cluster(
    {"a": Namespace("a", {NAME_LABEL: "a", "team": "one"})},
    {WEB: Pod(WEB, {"app": "web"}, workload="Pod/web"), PodRef("a", "db"): Pod(PodRef("a", "db"), {})},
    (Policy(PolicyRef("a", "p")), Policy(PolicyRef("a", "q"))),
)


def test_labels_of_a_namespace_are_set_and_removed() -> None:
    after = apply(CLUSTER, SetMetadata({"tier": "x", "team": None, NAME_LABEL: None}, namespace="a"))
    assert dict(after.namespaces["a"].labels) == {NAME_LABEL: "a", "tier": "x"}, "the server sets the name"
    assert dict(CLUSTER.namespaces["a"].labels)["team"] == "one", "the cluster before is not touched"


@pytest.mark.parametrize("name", ["web", "web-0"])
def test_labels_of_pods_by_their_name_or_that_of_all_replicas(name: str) -> None:
    after = apply(CLUSTER, SetMetadata({"app": "shop"}, pod=PodRef("a", name)))
    assert {str(ref): dict(pod.labels) for ref, pod in after.pods.items()} == {
        "a/web-0": {"app": "shop"},
        "a/db": {},
    }


def test_annotations_change_nothing_that_is_simulated() -> None:
    assert apply(CLUSTER, SetMetadata({"x": "y"}, pod=WEB, annotations=True)) == CLUSTER


def test_a_policy_is_replaced_in_its_place_or_added_or_deleted() -> None:
    new = Policy(PolicyRef("a", "p"), Subject(Selector.of({"app": "web"})))
    more = Policy(PolicyRef("a", "r"))
    after = apply(CLUSTER, ApplyPolicies((), (new, more)))
    assert after.policies == (new, CLUSTER.policies[1], more)
    assert apply(CLUSTER, DeletePolicies(PolicyRef("a", "p"))).policies == CLUSTER.policies[1:]


def test_a_policy_of_a_missing_namespace_is_an_error() -> None:
    """What else may be missing: STEPS in test_load.py."""
    with pytest.raises(InputError, match="there is no namespace b for b/p"):
        apply(CLUSTER, ApplyPolicies((), (Policy(PolicyRef("b", "p")),)))
