"""The prober where only a real cluster can show it: real images, real admission, real kubelets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

import pytest

from netprobe.errors import ClusterError, WorkbenchError
from netprobe.kube.client import KubeCluster
from netprobe.kube.facts import facts
from netprobe.model.cluster import Namespace
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import Deadlines, Fixture, PodOptions, Prober, Workbench, clean
from netprobe.probe.run_objects import RUN
from tests.cluster.conftest import Run
from tests.contract.world import CLOSED, World

KINDS = ("Namespace", "Pod", "NetworkPolicy", "Lease", "ServiceAccount", "Job")


async def of_run(cluster: KubeCluster, run: str) -> list[str]:
    found: list[str] = []
    for kind in KINDS:
        found += [f"{kind}/{o['metadata']['name']}" for o in await cluster.find(kind, None, {RUN: run})]
    return found


def test_what_the_cluster_is(on_cluster: Run) -> None:
    async def run(cluster: KubeCluster) -> None:
        found = await facts(cluster)
        assert found.server_version.startswith("v1.")
        assert not found.lab
        assert found.nodes

    on_cluster(run)


def test_pods_on_every_node_in_namespaces_that_enforce_the_restricted_standard(on_cluster: Run) -> None:
    world = World()
    strict = {
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }

    async def run(cluster: KubeCluster) -> None:
        nodes = [node["metadata"]["name"] for node in await cluster.find("Node")]
        made = world.fixture
        fixture = Fixture(
            tuple(replace(one, labels={**one.labels, **strict}) for one in made.namespaces),
            tuple(replace(pod, node=nodes[i % len(nodes)]) for i, pod in enumerate(made.pods)),
        )
        async with (
            Workbench(cluster, fixture) as bench,
            Prober(cluster, bench.stations, world.flows, canaries=bench.canaries) as prober,
        ):
            await prober.baseline()
            seen = await prober.observe(lambda: bench.apply(world.close_db()))
            assert bench.canaries is not None
            pairs = bench.canaries.pairs
            assert len(pairs) == min(len(nodes), 3), "one on each node that has a pod of the run"
        assert world.picture(seen.matrix) == CLOSED
        assert await of_run(cluster, bench.run) == []

    on_cluster(run)


def test_default_deny_both_ways_still_lets_a_pod_prove_its_own_listeners(on_cluster: Run) -> None:
    world = World()
    deny: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": world.back},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }

    async def run(cluster: KubeCluster) -> None:
        async with (
            Workbench(cluster, world.fixture) as bench,
            Prober(cluster, bench.stations, world.flows, canaries=bench.canaries) as prober,
        ):
            await prober.baseline()
            seen = await prober.observe(lambda: bench.apply(deny))
        assert {cell.verdict for cell in seen.matrix.values()} == {Verdict.DENY}
        assert {cell.control.listener for cell in seen.matrix.values()} == {"self"}

    on_cluster(run)


def test_what_cannot_be_proven_is_unknown(on_cluster: Run) -> None:
    world = World()
    web = PodRef(world.front, "web")
    undeclared = Flow(web, PodRef(world.back, "api"), 9999)
    sctp = Flow(web, PodRef(world.back, "api"), 8080, Protocol.SCTP)
    documentation = Flow(External(ip_address("198.51.100.7")), web, 8080)

    async def run(cluster: KubeCluster) -> None:
        flows = (undeclared, sctp, documentation)
        async with (
            Workbench(cluster, world.fixture) as bench,
            Prober(cluster, bench.stations, flows, canaries=bench.canaries) as prober,
        ):
            await prober.baseline()
            seen = await prober.observe()
        assert {cell.verdict for cell in seen.matrix.values()} == {Verdict.UNKNOWN}
        assert seen.matrix[undeclared].outcome is Outcome.REFUSED
        assert (seen.matrix[undeclared].reason or "").startswith("listener:")
        assert seen.matrix[sctp].outcome is Outcome.SKIPPED
        assert seen.matrix[documentation].outcome is Outcome.SKIPPED

    on_cluster(run)


def test_an_image_that_is_not_there_is_named(on_cluster: Run) -> None:
    world = World()
    options = PodOptions(image="registry.invalid/alpine:3.20")

    async def run(cluster: KubeCluster) -> None:
        bench = Workbench(
            cluster, world.fixture, options=options, deadlines=Deadlines(ready_s=40, removed_s=60)
        )
        with pytest.raises(WorkbenchError, match=r"registry\.invalid/alpine"):
            async with bench:
                raise AssertionError("entered")
        assert await of_run(cluster, bench.run) == []

    on_cluster(run)


def test_a_node_that_does_not_exist_is_named(on_cluster: Run) -> None:
    world = World()
    pods = tuple(replace(pod, node="nowhere") for pod in world.fixture.pods[:1])

    async def run(cluster: KubeCluster) -> None:
        fixture = Fixture(world.fixture.namespaces, pods)
        # No kubelet ends this pod: the cluster's own garbage collection does, a minute or two later.
        bench = Workbench(cluster, fixture, deadlines=Deadlines(ready_s=5, removed_s=150))
        with pytest.raises((WorkbenchError, ClusterError), match="web"):
            async with bench:
                raise AssertionError("entered")
        assert await of_run(cluster, bench.run) == []

    on_cluster(run)


def test_a_policy_that_the_server_refuses_says_why_and_leaves_nothing(on_cluster: Run) -> None:
    world = World()
    wrong = world.close_db()
    wrong["spec"]["ingress"][0]["from"] = [{}]

    async def run(cluster: KubeCluster) -> None:
        bench = Workbench(cluster, world.fixture)

        async def probe() -> None:
            async with bench, Prober(cluster, bench.stations, world.flows) as prober:
                await prober.baseline()
                await prober.observe(lambda: bench.apply(wrong))

        with pytest.raises(ClusterError, match=r"calls it invalid: .*must specify a peer"):
            await probe()
        assert await of_run(cluster, bench.run) == []

    on_cluster(run)


def test_a_namespace_that_is_not_ours_stays_as_it_is(on_cluster: Run) -> None:
    fixture = Fixture((Namespace("default", {}),), ())

    async def run(cluster: KubeCluster) -> None:
        before = await cluster.get("Namespace", "default")
        with pytest.raises(ClusterError, match="default already exists and was not created"):
            async with Workbench(cluster, fixture):
                raise AssertionError("entered")
        assert await cluster.get("Namespace", "default") == before

    on_cluster(run)


@contextmanager
def victim(kubeconfig: str, world: World) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A run in a process of its own that has begun to probe, and its id."""
    command = [sys.executable, "-m", "tests.cluster.victim", kubeconfig, world.tag]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("run "), line
            yield process, line.split()[1]
        finally:
            process.kill()


def test_a_run_that_was_killed_is_cleaned_up_and_a_living_one_is_spared(
    kubeconfig: str, on_cluster: Run
) -> None:
    dead, living = World(), World()
    with victim(kubeconfig, living) as (_, spared), victim(kubeconfig, dead) as (process, killed):
        process.kill()
        process.wait()

        async def run(cluster: KubeCluster) -> None:
            with pytest.raises(ClusterError, match=f"left by run {killed}, which is dead"):
                async with Workbench(cluster, dead.fixture):
                    raise AssertionError("entered")
            would = await clean(cluster, killed, dry_run=True)
            assert [left.run for left in would.removed] == [killed]
            assert f"Namespace/{dead.back}" in would.removed[0].objects
            assert await of_run(cluster, killed), "a dry run removes nothing"
            done = await clean(cluster)
            assert killed in {left.run for left in done.removed}
            assert spared in {left.run for left in done.spared}
            assert await of_run(cluster, killed) == []
            assert await of_run(cluster, spared)
            assert (await clean(cluster, spared)).removed == (), "living: spared even when it is named"

        on_cluster(run)

    async def after(cluster: KubeCluster) -> None:
        await clean(cluster, spared)
        assert await of_run(cluster, spared) == []

    on_cluster(after)
