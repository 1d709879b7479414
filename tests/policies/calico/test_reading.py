"""Calico's objects from files and live clusters: what becomes of them in a Cluster."""

from __future__ import annotations

from pathlib import Path

import yaml

from netprobe.cli.inputs import read_cluster
from netprobe.cli.parameters import TIER
from netprobe.manifests.load import from_objects, load
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import Action
from netprobe.simulate import Simulator
from tests.policies.calico.objects import CRD, calico

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}}
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}
STORED = {"projectcalico.org/metadata": '{"labels": {"role": "new", "more": "yes"}}'}
EVERYTHING = [
    NAMESPACE,
    calico("NetworkPolicy", "{tier: t1, order: 5}"),
    calico("GlobalNetworkPolicy", "{}"),
    calico("Tier", "{order: 5.5, defaultAction: Pass}", name="t1"),
    calico("NetworkSet", "{nets: [10.0.0.0/8]}", labels={"role": "old"}, annotations=STORED, version=CRD),
    calico("GlobalNetworkSet", "{nets: []}", labels={"role": "old"}),
    calico("StagedNetworkPolicy", "{stagedAction: Delete}"),
    calico("NetworkPolicy", "{}", name="knp.default.web"),
    calico("HostEndpoint", "{node: n1}"),
]


def test_a_list_as_kubectl_prints_it(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": EVERYTHING}))
    loaded = load([path])
    cluster = loaded.cluster
    assert [(str(policy.ref), policy.kind) for policy in cluster.policies] == [
        ("x/p", "NetworkPolicy.projectcalico.org"),
        ("p", "GlobalNetworkPolicy"),
    ], "without the copy of a Kubernetes NetworkPolicy"
    assert [tier.order for tier in cluster.tiers if tier.name == "t1"] == [5.5]
    assert [tier.default for tier in cluster.tiers if tier.name == "t1"] == [Action.PASS]
    assert [(each.namespace, dict(each.labels)) for each in cluster.network_sets] == [
        ("x", {"role": "new", "more": "yes"}),
        ("", {"role": "old"}),
    ]
    assert [(each.kind, str(each.policy.ref)) for each in cluster.staged] == [("StagedNetworkPolicy", "x/p")]
    assert [(str(each.ref), each.hosts) for each in cluster.unsimulated] == [("p", True)]


def test_live_objects_that_calico_ignores() -> None:
    cluster = from_objects(
        [NAMESPACE, calico("NetworkPolicy", "{selector: '=='}", version=CRD), calico("Tier", "{}", name="t1")]
    )
    assert not cluster.policies
    assert len(cluster.warnings) == 1
    assert "Calico ignores the whole object" in cluster.warnings[0]
    assert [tier.order for tier in cluster.tiers if tier.name == "t1"] == [1_000_000]


def test_kinds_that_may_not_be_listed_qualify_every_answer() -> None:
    cluster = from_objects([NAMESPACE], ["GlobalNetworkPolicy", "Tier"])
    assert [f"{each.ref.kind} {each.ref}" for each in cluster.unsimulated] == [
        "GlobalNetworkPolicy (may not be listed)"
    ]
    assert cluster.warnings == (
        "these credentials may not list GlobalNetworkPolicy, Tier: if there are some, they are not evaluated",
    )
    assert not cluster.tiers_known


def test_a_tier_that_manifests_do_not_contain(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    pods = [
        {**POD, "metadata": {"name": name, "namespace": "x", "labels": {"app": name}}} for name in ("a", "b")
    ]
    policy = calico("NetworkPolicy", "{tier: t1, selector: app == 'a', types: [Ingress]}")
    path.write_text(yaml.safe_dump_all([*pods, policy]))
    flow = Flow(PodRef("x", "b"), PodRef("x", "a"), 80)
    verdicts = [
        Simulator(read_cluster([str(path)], [TIER.convert(text, None, None)])).decide(flow).verdict.value
        for text in ("other=5", "t1=5:deny", "t1=5:pass")
    ]
    assert verdicts == ["unknown", "deny", "allow"]
