"""The rows of a run in place, its guests, and the real pods that they are about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from netprobe.errors import ForbiddenError, UsageError
from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef, ServiceRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Verdict
from netprobe.probe.surroundings import PodState
from netprobe.run.cluster import OpenCluster, RunOptions
from netprobe.run.in_place import InPlaceMode
from netprobe.run.in_place_plan import InPlacePlan, cover, plan, unmet_ways
from netprobe.run.record import ClusterInfo
from netprobe.run.route import moved, unready
from netprobe.simulate import CALICO, Simulator
from netprobe.suite import load
from tests.probe.fake import FakeCluster
from tests.run.crowd import crowd, only_ready, pod


def here(cluster: Cluster, *flows: Flow, ways: tuple[Via, ...] = (), all_labels: bool = False) -> InPlacePlan:
    chosen = cover(cluster, None, CALICO, only_ready)
    declared = Matrix((flow, Verdict.ALLOW) for flow in flows)
    states = {
        ref: PodState(str(ref), tuple(map(str, pod.addresses)), frozenset({80}))
        for ref, pod in cluster.pods.items()
    }
    return plan(
        cluster, Simulator(cluster), chosen, declared, states, run="r1", ways=ways, all_labels=all_labels
    )


def test_a_shadow_pod_carries_what_policies_look_at_on_the_node_of_the_real_one() -> None:
    found = here(crowd(), Flow(PodRef("shop", "web-0"), PodRef("shop", "db-1"), 80))
    (shadow,) = found.guests.shadows
    assert shadow.labels == {"app": "web"}
    assert shadow.node == "n0"
    assert shadow.stands_for == (PodRef("shop", "web-0"),)
    assert set(found.guests.nodes) == {"n0", "n1"}, "policy-free pairs from its node to the destination's"


def test_where_policies_of_other_kinds_look_too_a_shadow_carries_all_that_it_may() -> None:
    web = pod("shop", "web-0", 0, app="web", team="blue", **{"pod-template-hash": "1"})
    plain = crowd(4)
    cluster = Cluster(plain.namespaces, {**plain.pods, web.ref: web}, plain.policies)
    found = here(cluster, Flow(web.ref, PodRef("shop", "db-1"), 80), all_labels=True)
    (shadow,) = found.guests.shadows
    assert shadow.labels == {"app": "web", "team": "blue"}


def test_no_rows_is_an_error() -> None:
    with pytest.raises(UsageError, match="nothing to probe"):
        here(crowd())


def with_service(node_port: int | None) -> Cluster:
    port = {"port": 5432, "targetPort": 80, **({"nodePort": node_port} if node_port else {})}
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
                "ports": [port],
            },
        },
    ]
    plain = crowd(4)
    return Cluster(plain.namespaces, plain.pods, plain.policies, from_objects(objects).services)


TO_DB = Flow(PodRef("shop", "web-0"), ServiceRef("shop", "db"), 5432, via=Via.SERVICE)


def test_a_readiness_probe_proves_every_backend_of_a_service_or_none() -> None:
    found = here(with_service(30007), TO_DB, ways=(Via.DNS, Via.NODE_PORT))
    assert not list(unmet_ways(found, (Via.DNS, Via.NODE_PORT)))
    rows = {row.via: row for row in found.simulated}
    assert {via: row.port for via, row in rows.items()} == {
        Via.SERVICE: 5432,
        Via.DNS: 5432,
        Via.NODE_PORT: 30007,
    }
    assert len(found.backends(rows[Via.SERVICE])) == 2
    assert found.listener(rows[Via.SERVICE]) == "readiness"
    one = PodRef("shop", "db-1")
    unproven = {**found.states, one: PodState("1", (), frozenset())}
    lame = replace(found, states=unproven)
    assert lame.listener(rows[Via.SERVICE]) is None


def test_a_way_that_a_service_does_not_have_is_reported() -> None:
    found = here(with_service(None), TO_DB, ways=(Via.NODE_PORT,))
    assert [row.via for row in found.simulated] == [Via.SERVICE]
    (output,) = unmet_ways(found, (Via.NODE_PORT,))
    assert output == "svc:shop/db has no node port for 5432/TCP: --via node-port has no effect there"


def test_a_pod_that_changed_during_the_run_proves_nothing() -> None:
    ref = PodRef("shop", "db-1")
    flow = Flow(PodRef("shop", "web-0"), ref, 80)
    found = here(crowd(), flow)
    db = found.states[ref]
    assert moved(found, found.states, flow) is unready(found, found.states, flow) is None
    for later in (replace(db, uid="another"), replace(db, addresses=("10.0.9.9",))):
        assert moved(found, {**found.states, ref: later}, flow)
    assert moved(found, {}, flow)
    for later in (replace(db, since="2026-11-23T07:00:00Z"), replace(db, proven=frozenset())):
        assert unready(found, {**found.states, ref: later}, flow), "silence may be its own"
        assert moved(found, {**found.states, ref: later}, flow) is None


async def test_all_missing_permissions_are_named_before_anything_is_read(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "apiVersion: netprobe/v1alpha1\nkind: ConnectivitySuite\nmetadata: {name: s}\n"
        "expect: {flows: [{from: a/b, to: a/c, port: 80, verdict: allow}]}\n"
    )
    api: Any = FakeCluster(forbidden=frozenset({"list services", "create jobs"}))
    mode = InPlaceMode(load(suite))
    with pytest.raises(ForbiddenError) as error:
        async with mode.prepared(OpenCluster(api, ClusterInfo()), RunOptions(), lambda _: None):
            raise AssertionError("entered")
    for words in ("lack 2 of the permissions", "list services", "create jobs.batch", "rbac/in-place.yaml"):
        assert words in str(error.value)
