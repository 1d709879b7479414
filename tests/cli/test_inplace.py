"""Runs in place as far as no cluster is needed: what is refused, who stands for whom, what a copy is not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml

from netprobe.campaign.copy import copy
from netprobe.campaign.cover import cover
from netprobe.campaign.scene import Scene, faltered, gone, scene
from netprobe.errors import UsageError
from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef, ServiceRef, Via
from netprobe.model.labels import Selector
from netprobe.model.matrix import Matrix
from netprobe.model.policy import PodPeer, Policy, PolicyRef, Rule
from netprobe.model.verdict import Verdict
from netprobe.probe.guest_view import Standing
from netprobe.simulate import CALICO, Simulator
from netprobe.suite import load
from tests.cli.conftest import Program

HTTP = (ContainerPort(80),)
SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: there}
expect: {default: allow}
"""


def suite(folder: Path, text: str = SUITE) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path


def pod(namespace: str, name: str, number: int, **labels: str) -> Pod:
    return Pod(
        PodRef(namespace, name), labels, (ip_address("10.0.0.0") + number,), HTTP, node=f"n{number % 3}"
    )


def crowd(count: int = 12) -> Cluster:
    """web and db in turn; db lets only web in, and nobody looks at `team`."""
    pods = [
        pod("shop", f"{app}-{number}", number, app=app, team=f"t{number}")
        for number in range(count)
        for app in ("web", "db")[number % 2 :][:1]
    ]
    rule = Rule((PodPeer(Selector.of({"app": "web"})),))
    policy = Policy(PolicyRef("shop", "db"), Selector.of({"app": "db"}), ingress=(rule,))
    return Cluster({"shop": Namespace("shop", {})}, {one.ref: one for one in pods}, (policy,))


def only_ready(pod: Pod) -> int:
    return int(pod.ready)


# what is refused


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--in-place",), "about a cluster that is there"),
        (("--shadow-namespace",), "it needs --in-place too"),
        (("-f", "x.yaml"), "it needs --in-place --shadow-namespace"),
        (("--in-place", "--lifetime", "1s"), "must be 10s at least"),
        (("--in-place", "--shadow-namespace", "--kubeconfig", "x"), "name them by -f, or in the suite"),
    ],
)
def test_options_that_do_not_go_together(
    program: Program, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    ended = program("run", str(suite(tmp_path)), *options)
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr


def test_a_suite_without_topology_is_about_a_cluster(program: Program, tmp_path: Path) -> None:
    ended = program("run", str(suite(tmp_path)))
    assert ended.returncode == 2
    assert "about a cluster that is there" in ended.stderr


def test_options_for_runs_in_place_only(program: Program) -> None:
    ended = program("run", "manifests/two-tier/suite.yaml", "--dry-run")
    assert ended.returncode == 2
    assert "--dry-run is for runs in place" in ended.stderr


def test_nothing_to_run(program: Program) -> None:
    ended = program("run")
    assert ended.returncode == 2
    assert "SUITE" in ended.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("steps: [{name: label it, do: [{label: {namespace: shop, set: {a: b}}}]}]", "(label it)"),
        ("policies: [policy.yaml]", "a run in place applies none"),
    ],
)
def test_what_changes_the_cluster_is_refused_before_it_is_asked(
    program: Program, tmp_path: Path, more: str, told: str
) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": {}},
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    path = suite(tmp_path, f"{SUITE}{more}\n")
    ended = program("run", str(path), "--in-place", "--kubeconfig", "/nonexistent")
    assert ended.returncode == 2
    assert told in ended.stderr


# who stands for whom


def test_one_pod_stands_for_all_that_nobody_can_tell_apart() -> None:
    chosen = cover(crowd(), [], CALICO, only_ready)
    assert [len(kind.members) for kind in chosen.kinds] == [6, 6]
    web, db = (kind.first for kind in chosen.kinds)
    assert chosen.stands_for(web) == chosen.kinds[0].members
    assert chosen.keeps(Flow(web, db, 80))
    assert not chosen.keeps(Flow(chosen.kinds[0].members[3], db, 80))


def test_between_two_of_a_kind_there_is_one_row() -> None:
    chosen = cover(crowd(), [], CALICO, only_ready)
    reduced = chosen.reduced(crowd())
    kept = [
        flow
        for source in reduced.pods
        for destination in reduced.pods
        if source != destination and chosen.keeps(flow := Flow(source, destination, 80))
    ]
    assert len(kept) == 4, "web -> web, web -> db, db -> web, db -> db"


def test_a_row_of_the_suite_tells_pods_apart_that_policies_do_not(tmp_path: Path) -> None:
    text = SUITE.replace("{default: allow}", "{flows: [{from: shop/web-0, to: shop/db-1, verdict: allow}]}")
    expectation = load(suite(tmp_path, text)).expectation
    chosen = cover(crowd(), [expectation], CALICO, only_ready)
    assert sorted(len(kind.members) for kind in chosen.kinds) == [1, 1, 5, 5]


def test_the_best_destination_stands_for_the_others() -> None:
    best = PodRef("shop", "web-4")
    chosen = cover(crowd(), [], CALICO, lambda pod: int(pod.ref == best))
    assert chosen.kinds[0].first == best


def test_a_sample_is_drawn_beside_them_and_again_by_its_seed() -> None:
    chosen = cover(crowd(), [], CALICO, only_ready, sample=3, seed=7)
    assert len(chosen.sampled) == 3
    assert chosen.sampled == cover(crowd(), [], CALICO, only_ready, sample=3, seed=7).sampled
    assert chosen.sampled != cover(crowd(), [], CALICO, only_ready, sample=3, seed=8).sampled
    assert not {kind.first for kind in chosen.kinds} & set(chosen.sampled)
    assert chosen.keeps(Flow(chosen.sampled[0], chosen.kinds[1].first, 80))
    told = chosen.told([chosen.kinds[0].first, chosen.sampled[0]])
    assert "drawn at random (--seed 7)" in told


def test_a_sample_larger_than_the_cluster_is_the_cluster() -> None:
    chosen = cover(crowd(), [], CALICO, only_ready, sample=1000)
    assert set(chosen.sampled) | {kind.first for kind in chosen.kinds} == set(crowd().pods)


def test_thousands_of_pods_come_to_a_handful_of_rows(tmp_path: Path) -> None:
    cluster = crowd(5_000)
    chosen = cover(cluster, [], CALICO, only_ready, sample=5)
    declared = load(suite(tmp_path)).declared(chosen.reduced(cluster))[0]
    kept = [flow for flow in declared if chosen.keeps(flow)]
    assert len(chosen.kinds) == 2
    assert len(kept) < 60


# the scene


def here(cluster: Cluster, *flows: Flow, ways: tuple[Via, ...] = ()) -> Scene:
    chosen = cover(cluster, [], CALICO, only_ready)
    declared = Matrix((flow, Verdict.ALLOW) for flow in flows)
    standings = {
        ref: Standing(str(ref), tuple(map(str, pod.addresses)), frozenset({80}))
        for ref, pod in cluster.pods.items()
    }
    return scene(cluster, Simulator(cluster), chosen, declared, standings, run="r1", ways=ways)


def test_a_shadow_pod_carries_what_policies_look_at_on_the_node_of_the_real_one() -> None:
    found = here(crowd(), Flow(PodRef("shop", "web-0"), PodRef("shop", "db-1"), 80))
    (shadow,) = found.party.shadows
    assert shadow.labels == {"app": "web"}
    assert shadow.node == "n0"
    assert shadow.stands_for == (PodRef("shop", "web-0"),)
    assert set(found.party.nodes) == {"n0", "n1"}, "policy-free pairs from its node to the destination's"


def test_no_rows_is_an_error() -> None:
    with pytest.raises(UsageError, match="no flow to probe"):
        here(crowd())


def test_a_readiness_probe_proves_every_backend_of_a_service_or_none() -> None:
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "db", "namespace": "shop"},
            "spec": {
                "clusterIP": "10.96.0.9",
                "clusterIPs": ["10.96.0.9"],
                "selector": {"app": "db"},
                "ports": [{"port": 5432, "targetPort": 80, "nodePort": 30007}],
            },
        },
    ]
    services = from_objects(objects).services
    plain = crowd(4)
    cluster = Cluster(plain.namespaces, plain.pods, plain.policies, services)
    flow = Flow(PodRef("shop", "web-0"), ServiceRef("shop", "db"), 5432, via=Via.SERVICE)
    found = here(cluster, flow, ways=(Via.DNS, Via.NODE_PORT))
    rows = {row.via: row for row in found.simulated}
    assert {via: row.port for via, row in rows.items()} == {
        Via.SERVICE: 5432,
        Via.DNS: 5432,
        Via.NODE_PORT: 30007,
    }
    assert len(found.backends(rows[Via.SERVICE])) == 2
    assert found.listener(rows[Via.SERVICE]) == "readiness"
    one = PodRef("shop", "db-1")
    unproven = {**found.standings, one: Standing("1", (), frozenset())}
    lame = replace(found, standings=unproven)
    assert lame.listener(rows[Via.SERVICE]) is None


def test_a_pod_that_moved_meanwhile_is_not_the_one_that_was_meant() -> None:
    ref = PodRef("shop", "db-1")
    flow = Flow(PodRef("shop", "web-0"), ref, 80)
    found = here(crowd(), flow)
    db = found.standings[ref]
    assert gone(found, found.standings, flow) is None
    for later in (replace(db, uid="another"), replace(db, addresses=("10.0.9.9",))):
        assert gone(found, {**found.standings, ref: later}, flow)
    assert gone(found, {}, flow)


def test_a_pod_that_was_not_ready_for_a_moment_may_have_been_silent_itself() -> None:
    ref = PodRef("shop", "db-1")
    flow = Flow(PodRef("shop", "web-0"), ref, 80)
    found = here(crowd(), flow)
    db = found.standings[ref]
    assert faltered(found, found.standings, flow) is None
    for later in (replace(db, since="2026-11-23T07:00:00Z"), replace(db, proven=frozenset())):
        assert faltered(found, {**found.standings, ref: later}, flow)
        assert gone(found, {**found.standings, ref: later}, flow) is None


# the copy


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
            Policy(PolicyRef("data", "one"), Selector.of({"app": "one"}), ingress=(Rule((by_name,)),)),
            Policy(PolicyRef("data", "two"), Selector.of({"app": "two"}), ingress=(Rule((by_label,)),)),
        ),
    )
    web = PodRef("shop", "web")
    hangs, stays = Flow(web, PodRef("data", "one"), 80), Flow(web, PodRef("data", "two"), 80)
    simulated = Simulator(cluster).matrix([hangs, stays])
    manifests = {
        policy.ref: {"metadata": {"name": policy.ref.name}, "spec": {"podSelector": {}}}
        for policy in cluster.policies
    }
    made = copy(cluster, simulated, manifests, "r1")
    assert dict(made.names) == {"shop": "netprobe-r1-shop", "data": "netprobe-r1-data"}
    labels = {one.name: one.labels for one in made.namespaces}
    assert "owner" not in labels["netprobe-r1-shop"], "nobody looks at it"
    assert labels["netprobe-r1-shop"]["tier"] == "front"
    assert made.pods[PodRef("data", "one")].labels == {"app": "one"}
    assert {one["metadata"]["namespace"] for one in made.manifests} == {"netprobe-r1-data"}
    placed = {
        one.ref: Pod(one.ref, one.labels, (ip_address("10.9.0.1") + index,), one.ports)
        for index, one in enumerate(made.pods.values())
    }
    astray = made.astray(simulated, cluster, placed, CALICO)
    assert list(astray) == [hangs]
    assert "kubernetes.io/metadata.name" in astray[hangs]
