"""All pairs at once: who is in which group, and what is counted without being listed. Counts are by hand."""

from __future__ import annotations

import gc
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, PodRef, Protocol
from netprobe.model.policy import PodPeer, Policy, PolicyRef
from netprobe.simulate import CALICO, CILIUM, evaluate
from netprobe.simulate.profile import Treatment
from tests.semantics.stage import (
    OUT,
    also,
    app,
    pod,
    policy,
    rule,
    stage,
)

OWN = policy("x/p", ingress=[rule([PodPeer()])])  # x takes nothing from y, z and outside


def test_pods_are_distinguished_by_the_families_they_speak() -> None:
    pods = also(pod("x/b", {}, "fd00::1"), pod("x/e", {}, "10.244.1.3", "fd00::2"), pod("x/n", {}))
    for profile in (CALICO, CILIUM):
        found = [each.members for each in evaluate(stage(pods=pods), profile).groups]
        assert found[:4] == [(PodRef("x", name),) for name in "aben"]


def test_how_a_group_is_called() -> None:
    cluster = stage(policy("x/p", app("b"), ingress=()), policy("y/p", app("q"), ingress=()))
    pods = also(pod("x/c", {"app": "b"}, "10.244.1.4"), pod("x/m", {}, "10.244.1.5"))
    names = [str(each) for each in evaluate(stage(*cluster.policies, pods=pods)).groups]
    assert sorted(names) == [
        "x app (2 pods)",
        "x app=b (2 pods)",
        "x other pods (2 pods)",
        "y app (2 pods)",
        "z/a",
    ]


def test_counts_with_an_address_outside() -> None:
    evaluation = evaluate(stage(OWN), externals=[OUT, OUT])
    counts = evaluation.table(80).counts()
    # to and from 7 pods: 14 pairs more, 4 of them denied
    assert (counts.allow, counts.deny, counts.unknown) == (40, 16, 0)
    assert evaluation.ends[-1] == OUT
    two = evaluate(stage(), externals=[OUT, External(ip_address("198.51.100.1"))])
    assert two.table(80).counts().allow == 42 + 28


def test_counts_of_what_cannot_be_asked() -> None:
    pods = also(pod("z/a", {"app": "a"}, "fd00::1"), pod("z/b", {}, "10.244.3.2", "fd00::2"))
    evaluation = evaluate(stage(OWN, pods=pods))
    assert evaluation.families == evaluation.end_families == (4, 6)
    four, six = (evaluation.table(80, family=family).counts() for family in (4, 6))
    # IPv4: z/a is out, 7 others; x from y/a, y/b, z/b denied. IPv6: z/a and z/b alone
    assert (four.allow, four.deny, four.unknown) == (30, 12, 14)
    assert (six.allow, six.deny, six.unknown) == (2, 0, 54)
    with pytest.raises(UsageError, match="the pods have addresses of both families: specify one"):
        evaluation.table(80)


def test_counts_where_the_place_of_a_tier_is_not_known() -> None:
    unplaced = Policy(PolicyRef("x", "q"), ingress=(), tier="gone")
    cluster = replace(stage(unplaced, policy("z/p", ingress=())), tiers_known=False)
    counts = evaluate(cluster, externals=[OUT]).table(80).counts()
    # into each of the 4 pods of x: from 3 of x, 3 others, and from outside; as many not into z/a
    assert (counts.allow, counts.deny, counts.unknown) == (56 - 5 * 7, 7, 4 * 7)


def test_counts_of_a_node_where_the_place_of_a_tier_is_not_known() -> None:
    unplaced = Policy(PolicyRef("y", "q"), ingress=(), tier="gone")
    cluster = replace(stage(unplaced), tiers_known=False)
    counts = evaluate(cluster, externals=[External(ip_address("172.31.255.2"))]).table(80).counts()
    # into each of the 2 pods of y: from 1 of y and 5 others; their own node gets in
    assert (counts.allow, counts.deny, counts.unknown) == (56 - 12, 0, 12)


def test_counts_where_nobody_is_let_in() -> None:
    counts = evaluate(stage(*(policy(f"{name}/p", ingress=()) for name in "xyz"))).table(80).counts()
    assert (counts.allow, counts.deny, counts.unknown) == (0, 42, 0)


def test_the_own_node_is_counted_where_a_plugin_never_holds_it_back() -> None:
    profile = replace(CALICO, own_node=Treatment.ALWAYS)
    pods = [
        pod("x/a", {}, "10.244.1.1"),
        pod("x/b", {}, "10.244.1.2", node="n2"),
        pod("z/h", {}, "172.31.255.1", host_network=True),
    ]
    evaluation = evaluate(stage(policy("x/p", egress=()), pods=pods), profile)
    counts = evaluation.table(80).counts()
    # out of x only x/a gets, to its own node; z/h gets to both
    assert (counts.allow, counts.deny) == (3, 3)


def test_a_node_s_address_outside_counts_as_the_node() -> None:
    node = External(ip_address("172.31.255.2"))
    evaluation = evaluate(stage(policy("y/p", ingress=(), egress=())), externals=[node])
    table = evaluation.table(80)
    assert [table.verdict(node, PodRef(*name)).mark for name in (("y", "a"), ("y", "b"))] == [".", "."]
    assert table.undefined(PodRef("y", "a"), node)
    assert not table.undefined(PodRef("x", "a"), node)
    # 42 pairs of pods less 2*5 in, 5*2 out, 2 within; the node to and from 5 others, and to y
    assert (table.counts().allow, table.counts().deny) == (20 + 10 + 2, 22 + 2)


def test_pairs_come_in_the_order_of_the_ends() -> None:
    evaluation = evaluate(stage(OWN), externals=[OUT])
    a, b = PodRef("y", "b"), PodRef("x", "a")
    pairs = list(evaluation.pairs(80, sources=[a, OUT, b], destinations=[OUT, b]))
    assert [f"{p.source}>{p.destination} {p.verdict.mark}" for p in pairs] == [
        "y/b>out .",
        "y/b>x/a X",
        "out>x/a X",
        "x/a>out .",
    ]
    everything = list(evaluation.pairs(80))
    assert len(everything) == 56
    assert [str(p.destination) for p in everything[:7]] == ["x/b", "x/e", "x/n", "y/a", "y/b", "z/a", "out"]
    assert len(list(evaluation.pairs(80, include_self=True))) == 63


def test_an_external_that_is_a_pod_is_in_its_group() -> None:
    alias = External(ip_address("10.244.1.2"))
    evaluation = evaluate(stage(policy("x/p", ingress=())), externals=[alias])
    assert evaluation.group_of(alias) == evaluation.group_of(PodRef("x", "b"))
    assert evaluation.verdict(alias, PodRef("x", "b"), 80).mark == "."
    assert evaluation.verdict(alias, PodRef("x", "a"), 80).mark == "X"


def test_a_family_that_an_end_lacks() -> None:
    pods = also(pod("x/b", {}, "10.244.1.2", "fd00::1"), pod("x/n", {}))
    evaluation = evaluate(stage(pods=pods))
    a, b, n = (PodRef("x", name) for name in "abn")
    assert [evaluation.verdict(a, b, 80, family=family).mark for family in (None, 4, 6)] == [".", ".", "?"]
    assert [evaluation.verdict(n, n, 80, family=family).mark for family in (None, 4, 6)] == [".", ".", "."]
    six = evaluation.table(80, family=6)
    assert [six.verdict(*pair).mark for pair in ((a, b), (b, a), (a, a), (b, b), (b, n))] == list("???..")


def test_a_table_can_be_had_without_a_family_where_there_is_but_one() -> None:
    evaluation = evaluate(stage())
    assert evaluation.table(80) is evaluation.table(80, family=4)
    assert evaluation.table(80) is not evaluation.table(81)
    assert evaluation.table(80) is not evaluation.table(80, Protocol.UDP)


def test_strangers() -> None:
    evaluation = evaluate(stage())
    message = "out is neither a pod of the cluster nor an external of this evaluation"
    with pytest.raises(UsageError, match=message):
        evaluation.verdict(OUT, PodRef("x", "a"), 80)
    with pytest.raises(UsageError, match="x/gone is neither"):
        evaluation.group_of(PodRef("x", "gone"))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    try:
        if not enabled:
            gc.disable()
        evaluate(stage(OWN)).table(80)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


def test_an_empty_cluster() -> None:
    evaluation = evaluate(Cluster())
    assert evaluation.end_families == (None,)
    counts = evaluation.table(80).counts()
    assert (counts.allow, counts.deny, counts.unknown) == (0, 0, 0)
