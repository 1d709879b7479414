"""probe.sh and canary.sh in a real alpine pod: BusyBox's shell, nc and clock."""

from __future__ import annotations

import pytest

from netprobe.kube.client import KubeCluster
from netprobe.model.cluster import Namespace
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import Fixture, Workbench, netcat
from netprobe.probe.netcat import Begin, End, Said, Target
from tests.cluster.conftest import Run
from tests.contract.world import PORTS, World

UDP = Protocol.UDP


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
            async with cluster.exec(ref.namespace, ref.name, "probe", netcat.command(wait_s=1)) as execution:
                await execution.send("".join(netcat.line(n, t) for n, t in enumerate(wanted)) + netcat.CLOSE)
                begin, *answers, end = [netcat.read(line) async for line in execution.lines()]
            seen: dict[Target, Outcome] = {}
            for said in answers:
                assert isinstance(said, Said)
                target = list(wanted)[said.id]
                seen[target] = netcat.answer(target.protocol, said, fine_clock=True).outcome
            assert begin == Begin("busybox", fine_clock=True)
            assert end == End(len(wanted))
            assert execution.finished is not None
            assert execution.finished.status == 0
            assert {t: o for t, o in seen.items() if o not in wanted[t]} == {}
            assert seen.keys() == wanted.keys()

    on_cluster(run)


@pytest.mark.parametrize(("port", "opens"), [(8080, True), (8081, False)])
def test_a_canary(on_cluster: Run, port: int, opens: bool) -> None:
    world = World()
    ref = PodRef(world.back, "api")
    fixture = Fixture((Namespace(world.back, {}),), (Pod(ref, {}, ports=PORTS),))

    async def run(cluster: KubeCluster) -> None:
        async with Workbench(cluster, fixture) as bench:
            here = str(bench.stations[ref].addresses[0])
            command = netcat.canary_command(here, control=8080, port=port, tries=10, pause_s=0.05)
            async with cluster.exec(ref.namespace, ref.name, "probe", command) as execution:
                lines = [line async for line in execution.lines()]
        assert lines[0] == "try 0"
        assert any(line.startswith("open") for line in lines) == opens
        assert opens or sum(line.startswith("control") for line in lines) == 10

    on_cluster(run)
