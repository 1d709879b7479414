"""Runs in place on a real cluster, in namespaces full of other people's workloads."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.account import account, published
from tests.cluster.neighbours import SUITE, Neighbours, neighbours, until
from tests.run.netprobe import Ended, kubectl, netprobe, started

OURS = "namespaces,pods,jobs,networkpolicies,configmaps,leases,services,serviceaccounts"


@pytest.fixture(scope="module")
def next_door(kubeconfig: str) -> Iterator[Neighbours]:
    with neighbours(kubeconfig) as made:
        yield made


@pytest.fixture
def suite(next_door: Neighbours, tmp_path: Path) -> Path:
    path = tmp_path / "suite.yaml"
    path.write_text(next_door.text(SUITE))
    return path


def visit(next_door: Neighbours, suite: Path, *options: object) -> Ended:
    return netprobe("run", suite, "--in-place", "--kubeconfig", next_door.kubeconfig, *options)


def of_run(next_door: Neighbours, run: str) -> list[str]:
    return kubectl(
        next_door.kubeconfig, "get", OURS, "-A", "-l", f"netprobe.dev/run={run}", "-o", "name"
    ).split()


def ours(next_door: Neighbours) -> list[str]:
    """What any run has in the neighbours' namespaces."""
    found = []
    for namespace in (next_door.shop, next_door.data):
        found += kubectl(
            next_door.kubeconfig, "-n", namespace, "get", OURS, "-l", "netprobe.dev/run", "-o", "name"
        ).split()
    return [name for name in found if not name.startswith("namespace/")]


def runs(next_door: Neighbours) -> set[str]:
    """The ids of the runs that have guests next door."""
    items = next_door.get("jobs", "-n", next_door.shop, "-l", "netprobe.dev/run")["items"]
    items += next_door.get("jobs", "-n", next_door.data, "-l", "netprobe.dev/run")["items"]
    return {str(obj["metadata"]["labels"]["netprobe.dev/run"]) for obj in items}


def test_real_pods_are_probed_and_nothing_of_others_is_touched(next_door: Neighbours, suite: Path) -> None:
    before = next_door.everything()
    ended = visit(next_door, suite, "-o", "json", "--via", "dns")
    assert ended.status == 0, ended.err or ended.out
    assert next_door.everything() == before
    report = ended.report
    assert of_run(next_door, report["run"]["id"]) == []
    assert {row["status"] for row in report["flows"]} == {"as_expected"}
    denied = [row for row in report["flows"] if row["observed"] == "deny"]
    assert {(row["via"], row["outcome"]) for row in denied} == {
        ("pod", "timed_out"),
        ("service", "timed_out"),
        ("dns", "timed_out"),
    }
    # Where nobody may connect, the pod's own readiness is what shows the listener; the path is a pair's.
    assert {row["control"]["path"] for row in denied} == {"pair"}
    assert {row["control"]["listener"] for row in denied} <= {"readiness", "peer"}
    real = {f"{obj['metadata']['namespace']}/{obj['metadata']['name']}" for obj in before.values()}
    for row in report["flows"]:
        assert row["from"] in real
        assert row["to"].removeprefix("svc:") in real
    stood_for = {one["pod"]: one for one in report["in_place"]["stood_for"]}
    assert all(stood_for[row["from"]]["shadow"] for row in report["flows"])
    webs = [one for one in stood_for.values() if one["pod"].startswith(f"{next_door.shop}/web")]
    assert {len(one["pods"]) for one in webs} == {2}, "one of the two replicas stands for both"


HOST = """
apiVersion: v1
kind: Namespace
metadata: {name: SHOP-host, labels: {pod-security.kubernetes.io/enforce: privileged}}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: SHOP-host}
spec:
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: docker.io/library/alpine:3.20
      command: [nc, -lk, -p, "19376", -e, "true"]
      ports: [{containerPort: 19376}]
      readinessProbe: {tcpSocket: {port: 19376}}
"""
BY_NODE = """flows:
    - {from: SHOP/web, to: SHOP-host/agent, port: 19376, verdict: allow}
    - {from: SHOP-host/agent, to: DATA/db, port: 5432, verdict: deny}
    - {from: DATA/db, to: SHOP-host/agent, port: 19376, verdict: allow}
"""


def test_a_pod_on_its_nodes_network_is_reached_by_the_node(next_door: Neighbours, tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(next_door.text(SUITE[: SUITE.index("flows:")] + BY_NODE))
    where = ("-n", f"{next_door.shop}-host")
    with next_door.applied(HOST):
        kubectl(next_door.kubeconfig, *where, "wait", "pod/agent", "--for=condition=Ready", "--timeout=60s")
        ended = visit(next_door, path, "-o", "json")
    there = [row for row in ended.report["flows"] if row["to"].endswith("/agent")]
    assert [(row["via"], row["observed"], row["status"]) for row in there] == [
        ("host", "allow", "as_expected"),
        ("host", "allow", "as_expected"),
    ]
    back = next(row for row in ended.report["flows"] if row["from"].endswith("/agent"))
    assert (back["status"], back["observed"]) == ("undefined", None), "no shadow pod of it: needs privileges"


def test_a_node_port_is_a_row_of_its_own_that_nobody_is_blamed_for(
    next_door: Neighbours, suite: Path
) -> None:
    ended = visit(next_door, suite, "-o", "json", "--via", "node-port")
    assert ended.status == 0, ended.err or ended.out
    rows = [row for row in ended.report["flows"] if row["via"] == "node-port"]
    assert {row["status"] for row in rows} == {"undefined"}, (
        "the source's address may be rewritten on the way"
    )
    assert {row["observed"] for row in rows if row["simulated"] == "allow"} == {"allow"}
    assert all(row["port"] >= 30000 for row in rows)


def test_a_dns_server_proves_that_udp_reaches_it(next_door: Neighbours, tmp_path: Path) -> None:
    services = next_door.get("services", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"]
    if not services:
        pytest.skip("this cluster has no DNS")
    name = services[0]["metadata"]["name"]
    path = tmp_path / "suite.yaml"
    row = f"    - {{from: SHOP/web, to: svc:kube-system/{name}, port: 53/UDP, verdict: allow}}\n"
    path.write_text(next_door.text(SUITE[: SUITE.index("flows:")] + "flows:\n" + row))
    ended = visit(next_door, path, "-o", "json")
    assert {(row["observed"], row["outcome"]) for row in ended.report["flows"]} == {("allow", "connected")}


def test_a_dry_run_needs_get_and_list_and_prints_what_a_run_creates(
    next_door: Neighbours, suite: Path, tmp_path: Path
) -> None:
    reader = [doc for doc in published("fixture.yaml") if doc["kind"] != "ClusterRole"]
    reader.append(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "netprobe-fixture"},
            "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}],
        }
    )
    with account(next_door.kubeconfig, reader, tmp_path) as user:
        ended = netprobe("run", suite, "--in-place", "--dry-run", "--kubeconfig", user.kubeconfig)
    assert ended.status == 0, ended.err
    objects = [obj for obj in yaml.safe_load_all(ended.out) if obj]
    kinds = sorted({obj["kind"] for obj in objects})
    assert kinds == ["Job", "Lease", "Namespace", "NetworkPolicy", "Pod"]
    run = objects[0]["metadata"]["labels"]["netprobe.dev/run"]
    assert of_run(next_door, run) == []
    # What it prints is what a server takes: as it stands, admission included.
    shadows = [o for o in objects if o["kind"] == "Pod" and o["metadata"]["namespace"] == next_door.shop]
    assert shadows
    for pod in shadows:
        kubectl(next_door.kubeconfig, "create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(pod))


GOSSIP = """
apiVersion: v1
kind: Service
metadata: {name: gossip, namespace: SHOP}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: batch}, ports: [{port: 8080}]}
"""


def test_if_another_workload_would_be_disturbed_nothing_is_created_without_disturb(
    next_door: Neighbours, suite: Path
) -> None:
    message = next_door.text("Service SHOP/gossip publishes addresses that are not ready")
    with next_door.applied(GOSSIP):
        refused = visit(next_door, suite)
        assert refused.status == 3
        assert message in refused.err
        assert "nothing was created" in refused.err
        assert ours(next_door) == []
        rehearsed = visit(next_door, suite, "--dry-run")
        assert rehearsed.status == 3
        assert f"# HARM: {message}" in rehearsed.out
        ended = visit(next_door, suite, "--disturb", "-o", "json")
        assert ended.status == 0, ended.err or ended.out
        (note,) = [note for note in ended.report["in_place"]["notes"] if message in note]
        assert "allowed by --disturb" in note


def test_killed_at_random_moments_and_cleaned(next_door: Neighbours, suite: Path) -> None:
    before = next_door.everything()
    arguments = ("run", suite, "--in-place", "--kubeconfig", next_door.kubeconfig)
    moments = random.Random(6)  # noqa: S311 (moments, not secrets)
    seen = 0
    for _ in range(4):
        with started(*arguments) as run:
            until(lambda: bool(ours(next_door)))
            (name,) = runs(next_door)
            end = time.monotonic() + moments.uniform(0, 4)
            while time.monotonic() < end and run.poll() is None:
                pass
            run.kill()
            run.wait()
        seen += bool(ours(next_door))
        cleaned = netprobe("clean", "--kubeconfig", next_door.kubeconfig, "--run", name)
        assert cleaned.status == 0, cleaned.err
        assert of_run(next_door, name) == []
        assert next_door.everything() == before
    assert seen, "every run was over before it was killed"


def test_killed_and_never_cleaned_the_cluster_itself_removes_the_guests(
    next_door: Neighbours, suite: Path
) -> None:
    before = next_door.everything()
    arguments = ("run", suite, "--in-place", "--lifetime", "10s", "--kubeconfig", next_door.kubeconfig)
    with started(*arguments) as run:
        until(lambda: any(name.startswith("pod/") for name in ours(next_door)))
        (name,) = runs(next_door)
        run.kill()
    until(lambda: ours(next_door) == [])
    assert next_door.everything() == before
    assert netprobe("clean", "--kubeconfig", next_door.kubeconfig, "--run", name).status == 0
    assert of_run(next_door, name) == []


def test_a_policy_tried_in_a_copy_touches_nothing_real(next_door: Neighbours, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        next_door.text("""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: close, namespace: SHOP}
spec:
  podSelector: {matchLabels: {app: batch}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: DATA}}}]}]
""")
    )
    before = next_door.everything()
    where = ("--kubeconfig", next_door.kubeconfig)
    ended = netprobe("run", "-f", policy, "--in-place", "--shadow-namespace", *where, "-o", "json")
    assert ended.status == 0, ended.err or ended.out
    assert next_door.everything() == before
    assert of_run(next_door, ended.report["run"]["id"]) == []
    batch = f"{next_door.shop}/batch"
    rows = [row for row in ended.report["flows"] if row["to"].startswith(batch)]
    closed = [row for row in rows if row["from"].startswith(next_door.shop)]
    assert closed
    assert {(row["observed"], row["simulated"]) for row in closed} == {("deny", "deny")}
    astray = [row for row in rows if row["from"].startswith(next_door.data)]
    assert [(row["status"], row["simulated"], row["observed"]) for row in astray] == [
        ("skipped", "allow", None)
    ]
    assert "kubernetes.io/metadata.name" in astray[0]["reason"]
