"""probe.sh in a real alpine pod: BusyBox's shell, nc and clock."""

from __future__ import annotations

import pytest

from netprobe.kube.client import KubeCluster
from netprobe.model.cluster import Namespace
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import Fixture, Workbench, netcat
from netprobe.probe.netcat import AnswerLine, FirstLine, LastLine, Target
from netprobe.probe.pace import Pace
from netprobe.probe.session import Session, Starts
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

    on_cluster(run)


@pytest.mark.parametrize("port", [8080, 8081])
def test_a_try_in_a_kept_session(on_cluster: Run, port: int) -> None:
    """As canaries make them: one after the other in one shell."""
    world = World()
    ref = PodRef(world.back, "api")
    fixture = Fixture((Namespace(world.back, {}),), (Pod(ref, {}, ports=PORTS),))
    wanted = Outcome.CONNECTED if port == 8080 else Outcome.REFUSED

    async def run(cluster: KubeCluster) -> None:
        async with Workbench(cluster, fixture) as bench:
            station = bench.stations[ref]
            target = Target(str(station.addresses[0]), port)
            async with Session.opened(cluster, station, Pace(), Starts(16, 0.1)) as session:
                outcomes = [(await session.try_once(target)).outcome for _ in range(10)]
        assert outcomes == [wanted] * 10

    on_cluster(run)
