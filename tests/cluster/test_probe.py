"""The prober where only a real cluster can show it: BusyBox in real pods, real admission, real kubelets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.errors import ClusterError
from netprobe.kube.client import KubeCluster
from netprobe.model.cluster import Namespace
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import Fixture, Prober, Workbench, netcat
from netprobe.probe.netcat import AnswerLine, FirstLine, LastLine, Target
from netprobe.probe.pace import Pace
from netprobe.probe.run_objects import RUN
from netprobe.probe.session import Session, Starts
from tests.cluster.conftest import Run
from tests.contract.world import CLOSED, PORTS, World

KINDS = ("Namespace", "Pod", "NetworkPolicy", "Lease", "ServiceAccount", "Job")
UDP = Protocol.UDP


async def of_run(cluster: KubeCluster, run: str) -> list[str]:
    found = [await cluster.find(kind, None, {RUN: run}) for kind in KINDS]
    return [f"{obj['kind']}/{obj['metadata']['name']}" for objects in found for obj in objects]


def test_pods_on_every_node_in_namespaces_that_enforce_the_restricted_standard(on_cluster: Run) -> None:
    world = World()
    level = "restricted"
    strict = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}

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
            assert len(bench.canaries.pairs) == min(len(nodes), 3), "one on each node with a pod of the run"
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


def test_a_policy_that_the_server_refuses_says_why_and_leaves_nothing(on_cluster: Run) -> None:
    world = World()
    wrong = world.close_db()
    wrong["spec"]["ingress"][0]["from"] = [{}]

    async def run(cluster: KubeCluster) -> None:
        bench = Workbench(cluster, world.fixture)
        with pytest.raises(ClusterError, match=r"calls it invalid: .*must specify a peer"):
            async with bench:
                await bench.apply(wrong)
        assert await of_run(cluster, bench.run) == []

    on_cluster(run)


def test_every_outcome_that_a_pod_can_see(on_cluster: Run) -> None:
    world = World()
    ref = PodRef(world.back, "api")
    fixture = Fixture((Namespace(world.back, {}),), (Pod(ref, {}, ports=PORTS),))

    async def run(cluster: KubeCluster) -> None:
        async with Workbench(cluster, fixture) as bench:
            station = bench.stations[ref]
            here = str(station.addresses[0])
            wanted = {
                Target(here, 8080): {Outcome.CONNECTED},
                Target(here, 8081): {Outcome.REFUSED},
                Target(here, 8053, UDP): {Outcome.CONNECTED},
                Target(here, 8054, UDP): {Outcome.REFUSED},
                Target("nosuch.invalid", 80): {Outcome.NO_SUCH_NAME},
                Target("nosuch.invalid", 80, UDP): {Outcome.NO_SUCH_NAME},
                Target("fd00::1", 80): {Outcome.NETWORK_UNREACHABLE, Outcome.TIMED_OUT},
                Target(here, 8080, Protocol.SCTP): {Outcome.SKIPPED},
            }
            for service in await cluster.find("Service", "kube-system", {"k8s-app": "kube-dns"}):
                wanted[Target(service["spec"]["clusterIP"], 53, UDP)] = {Outcome.CONNECTED}
            async with cluster.exec(ref.namespace, ref.name, "probe", netcat.command(Pace())) as execution:
                await execution.send("".join(netcat.line(n, t) for n, t in enumerate(wanted)) + netcat.CLOSE)
                begin, *answers, end = [netcat.read(line) async for line in execution.lines()]
            seen: dict[Target, Outcome] = {}
            for result in answers:
                assert isinstance(result, AnswerLine)
                target = list(wanted)[result.id]
                seen[target] = netcat.answer(target.protocol, result, fine_clock=True).outcome
            assert begin == FirstLine("busybox", fine_clock=True)
            assert end == LastLine(len(wanted))
            assert execution.finished is not None
            assert execution.finished.status == 0
            assert {t: o for t, o in seen.items() if o not in wanted[t]} == {}
            assert seen.keys() == wanted.keys()
            # One try after the other in one shell, as canaries make them.
            async with Session.opened(cluster, station, Pace(), Starts(16, 0.1)) as session:
                for port, outcome in ((8080, Outcome.CONNECTED), (8081, Outcome.REFUSED)):
                    tries = [await session.try_once(Target(here, port)) for _ in range(10)]
                    assert [one.outcome for one in tries] == [outcome] * 10

    on_cluster(run)
