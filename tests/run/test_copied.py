"""The copy in which policies are tried."""

from __future__ import annotations

from ipaddress import ip_address

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Flow, Pod, PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PolicyRef, Rule, Subject
from netprobe.policies.networkpolicy import dump_policy
from netprobe.run.copied import copied
from netprobe.simulate import CALICO, Simulator
from tests.run.crowd import pod


def test_a_copy_names_the_flows_that_hang_on_the_name_of_a_namespace() -> None:
    by_name = PodPeer(namespaces=Selector.of({"kubernetes.io/metadata.name": "shop"}))
    by_label = PodPeer(namespaces=Selector.of({"tier": "front"}))
    cluster = Cluster(
        {"shop": Namespace("shop", {"tier": "front", "owner": "x"}), "data": Namespace("data", {})},
        {
            one.ref: one
            for one in (
                pod("shop", "web", 1, app="web"),
                pod("data", "one", 2, app="one", team="blue"),
                pod("data", "two", 3, app="two"),
            )
        },
        (
            Policy(
                PolicyRef("data", "one"), Subject(Selector.of({"app": "one"})), ingress=(Rule((by_name,)),)
            ),
            Policy(
                PolicyRef("data", "two"), Subject(Selector.of({"app": "two"})), ingress=(Rule((by_label,)),)
            ),
        ),
    )
    web = PodRef("shop", "web")
    hangs, stays = Flow(web, PodRef("data", "one"), 80), Flow(web, PodRef("data", "two"), 80)
    simulated = Simulator(cluster).matrix([hangs, stays])
    manifests = {policy.ref: dump_policy(policy) for policy in cluster.policies}
    made = copied(cluster, simulated, manifests, "r1")
    assert dict(made.names) == {"shop": "netprobe-r1-shop", "data": "netprobe-r1-data"}
    labels = {one.name: one.labels for one in made.namespaces}
    assert "owner" not in labels["netprobe-r1-shop"], "nobody looks at it"
    assert labels["netprobe-r1-shop"]["tier"] == "front"
    assert made.pods[PodRef("data", "one")].labels == {"app": "one"}
    assert {one["metadata"]["namespace"] for one in made.manifests} == {"netprobe-r1-data"}
    full = copied(cluster, simulated, manifests, "r1", all_labels=True)
    assert full.pods[PodRef("data", "one")].labels == {"app": "one", "team": "blue"}
    assert full.namespaces[0].labels == {
        "tier": "front",
        "owner": "x",
        "kubernetes.io/metadata.name": "netprobe-r1-shop",
    }
    placed = {
        one.ref: Pod(one.ref, one.labels, (ip_address("10.9.0.1") + index,), one.ports)
        for index, one in enumerate(made.pods.values())
    }
    differing = made.decided_otherwise(simulated, cluster, placed, CALICO)
    assert list(differing) == [hangs]
    assert "kubernetes.io/metadata.name" in differing[hangs]
