"""What a change is put on, and what stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.errors import UsageError
from netprobe.impact import Snapshot, revise
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer
from tests.impact.world import WORLD, allow

ONE, TWO = (allow(name, Selector.of({"app": "web"}), PodPeer()) for name in ("one", "two"))
ELSEWHERE = allow("one", Selector(), PodPeer(), namespace="data")
ALL = frozenset(WORLD.namespaces)


def names(cluster: Cluster) -> set[str]:
    return {str(policy.ref) for policy in cluster.policies}


def test_what_a_change_does_not_mention_stays() -> None:
    changed = replace(ONE, ingress=())
    revision = revise(
        Snapshot(replace(WORLD, policies=(ONE, TWO)), ALL), Snapshot(Cluster(policies=(changed,)))
    )
    assert names(revision.after) == {"shop/one", "shop/two"}
    assert (revision.added, revision.changed, revision.deleted) == ((), (ONE.ref,), ())


def test_prune_deletes_what_a_complete_set_lacks_where_it_is_complete() -> None:
    old = Snapshot(replace(WORLD, policies=(ONE, TWO, ELSEWHERE)), ALL)
    new = Snapshot(Cluster(policies=(TWO,)))
    everywhere = revise(old, new, prunes=lambda _: True)
    assert everywhere.deleted == (ELSEWHERE.ref, ONE.ref)
    here = revise(old, new, prunes=lambda ref: ref.namespace == "shop")
    assert here.deleted == (ONE.ref,)


def test_what_is_to_be_deleted_must_be_there_and_not_in_the_change() -> None:
    old = Snapshot(replace(WORLD, policies=(ONE,)), ALL)
    with pytest.raises(UsageError, match=r"cannot delete policy shop/two: not found .*shop/one"):
        revise(old, Snapshot(Cluster()), delete=[TWO.ref])
    assert revise(old, Snapshot(Cluster()), delete=[ONE.ref]).after.policies == ()
    with pytest.raises(UsageError, match="-f contains it"):
        revise(old, Snapshot(Cluster(policies=(ONE,))), delete=[ONE.ref])


def test_a_namespace_that_is_only_mentioned_keeps_its_labels() -> None:
    labelled = Namespace("shop", {NAME_LABEL: "shop", "tier": "front"})
    old = Snapshot(replace(WORLD, namespaces={**WORLD.namespaces, "shop": labelled}), ALL)
    mentioned = Snapshot(Cluster({"shop": Namespace("shop", {NAME_LABEL: "shop"})}, policies=(ONE,)))
    assert revise(old, mentioned).after.namespaces["shop"] == labelled
    described = Snapshot(mentioned.cluster, frozenset(["shop"]))
    assert revise(old, described).after.namespaces["shop"].labels == {NAME_LABEL: "shop"}
    assert revise(old, described).relabelled == 1


def test_labels_that_only_the_change_knows_hold_for_both_states() -> None:
    """A folder of policies against a folder of policies, and the namespaces in a third."""
    old = Snapshot(Cluster({"shop": Namespace("shop", {NAME_LABEL: "shop"})}, policies=(ONE,)))
    labelled = Namespace("shop", {NAME_LABEL: "shop", "tier": "front"})
    revision = revise(old, Snapshot(Cluster({"shop": labelled}, WORLD.pods), frozenset(["shop"])))
    assert revision.before.namespaces["shop"] == revision.after.namespaces["shop"] == labelled
    assert revision.relabelled == 0


def test_a_pod_that_only_the_change_has_is_in_both_states() -> None:
    fresh = Pod(PodRef("shop", "new"), {"app": "new"})
    revision = revise(Snapshot(WORLD, ALL), Snapshot(Cluster(pods={fresh.ref: fresh})))
    assert revision.before.pods[fresh.ref] == revision.after.pods[fresh.ref] == fresh
    assert revision.new_pods == 1


def test_a_workload_in_the_change_represents_its_pods() -> None:
    template = Pod(
        PodRef("shop", "api"), {"app": "api2"}, ports=(ContainerPort(9000),), workload="Deployment/api"
    )
    hashed = {
        ref: replace(one, labels={**one.labels, "pod-template-hash": "1"}) for ref, one in WORLD.pods.items()
    }
    revision = revise(
        Snapshot(replace(WORLD, pods=hashed), ALL), Snapshot(Cluster(pods={template.ref: template}))
    )
    assert revision.new_pods == 0
    for name in ("api-1", "api-2"):
        pod = revision.after.pods[PodRef("shop", name)]
        assert pod.labels == {"app": "api2", "pod-template-hash": "1"}
        assert (pod.ports, pod.addresses) == (template.ports, WORLD.pods[pod.ref].addresses)
    assert revision.relabelled == 2
