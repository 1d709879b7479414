"""A policy changed on a lab of many pods: all pairs probed on one port, and held against the simulator.

    python benchmarks/bench_lab_matrix.py [PODS ...]

Two changes are measured, of namespaces of twenty pods: "one closed" denies one namespace to the others, "zero
trust" leaves every namespace to itself alone, so that nearly everything is denied. "one by one" is a round as
it is made of fewer flows, "baseline" the same in bulk. Seconds of the wall clock, and of processor time: of
the prober and the report (this process), of the lab's daemon, and of what runs in pods (shells and nc). The
ratio is to the processor time of as many bare `nc -zv` from one shell in the same run, two for each flow that
a change asks about: what it is above 1 is ours, and below 1 are tries that were not needed.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from netprobe.diff import FlowCounts, compare
from netprobe.kube import connect
from netprobe.lab import Lab, LabOptions, start
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef
from netprobe.model.objects import Object
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.probe import Fixture, Pace, Prober, Workbench
from netprobe.probe.pace import LAB
from netprobe.simulate import Simulator

SIZES = (40, 80)
_PODS_OF_A_NAMESPACE = 20
_BARE = 500


def fixture(pods: int) -> Fixture:
    names = [f"ns{number}" for number in range(-(-pods // _PODS_OF_A_NAMESPACE))]
    return Fixture(
        tuple(Namespace(name, {"team": name}) for name in names),
        tuple(
            Pod(
                PodRef(names[number // _PODS_OF_A_NAMESPACE], f"p{number}"),
                {"app": f"a{number % 10}"},
                ports=(ContainerPort(80),),
            )
            for number in range(pods)
        ),
    )


def own_only(namespace: str) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "own-only", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]},
    }


class Clock:
    """Seconds of the wall clock, and of processor time by who spent it."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._before = self._now()

    def lap(self) -> tuple[float, float, float, float]:
        now = self._now()
        spent = tuple(b - a for a, b in zip(self._before, now, strict=True))
        self._before = now
        wall, ours, daemon, pods = spent
        return wall, ours, daemon, pods

    def _now(self) -> tuple[float, float, float, float]:
        mine = resource.getrusage(resource.RUSAGE_SELF)
        daemon = _children(self._lab.pid)[0]
        spent = {pid: _cpu_s(pid) for pid in _family(self._lab.pid)}
        pods = sum(spent.values()) - spent[daemon]
        return time.perf_counter(), mine.ru_utime + mine.ru_stime, spent[daemon], pods


def _family(pid: int) -> list[int]:
    return [pid, *(one for child in _children(pid) for one in _family(child))]


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu_s(pid: int) -> float:
    """Of a process, and of those that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def bare() -> float:
    """Processor seconds of one `nc -zv` that connects, started by a shell that does nothing else."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(_BARE)
        loop = f"i=0; while [ $i -lt {_BARE} ]; do nc -zv -w 1 127.0.0.1 $1; i=$((i+1)); done"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["sh", "-c", loop, "sh", str(listener.getsockname()[1])]
        subprocess.run(command, stderr=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / _BARE


async def measure(pods: int, lab: Lab) -> None:
    wanted = fixture(pods)
    flows = tuple(Flow(a.ref, b.ref, 80) for a in wanted.pods for b in wanted.pods)
    names = [namespace.name for namespace in wanted.namespaces]
    changes = {"one closed": names[:1], "zero trust": names[1:]}
    clock = Clock(lab)
    one_s = bare()
    print(f"{pods} pods, {len(flows)} flows; a bare nc takes {1000 * one_s:.2f} ms")
    clock.lap()

    def tell(name: str, tries: int, more: str) -> None:
        wall, *spent = clock.lap()
        print(
            f"  {name:12}{wall:7.1f} s {len(flows) / wall:7.0f} flows/s {sum(spent):7.1f} CPU s"
            f" (prober {spent[0]:.1f}, daemon {spent[1]:.1f}, pods {spent[2]:.1f})"
            f" {sum(spent) / (tries * one_s) if tries else 0:6.2f}  {more}"
        )

    async with (
        connect(lab.kubeconfig) as cluster,
        Workbench(cluster, wanted, changes=len(changes), lab=True, disposable=True) as bench,
    ):
        tell("pods up", 0, "")
        made = {pod.ref: replace(pod, addresses=bench.stations[pod.ref].addresses) for pod in wanted.pods}
        pace = Pace().on_lab(len(flows))
        async with Prober(cluster, bench.stations, flows, canaries=bench.canaries, pace=pace) as prober:
            one_by_one = replace(pace, method=replace(LAB, latencies=False))
            async with Prober(cluster, bench.stations, flows, pace=one_by_one) as other:
                await other.round(flows)
            tell("one by one", len(flows), "")
            await prober.baseline()
            tell("baseline", len(flows), "")
            policies: list[Object] = []
            for name, closed in changes.items():

                async def change(closed: list[str] = closed) -> None:
                    for namespace in closed:
                        await bench.apply(own_only(namespace))

                seen = await prober.observe(change)
                policies += map(own_only, closed)
                says = Simulator(
                    Cluster(
                        namespaces={n.name: n for n in wanted.namespaces},
                        pods=made,
                        policies=tuple(map(NETWORK_POLICY.policy, policies)),
                    )
                )
                counts = FlowCounts.of(compare(None, says.matrix(flows), seen.matrix))
                verdicts = Counter(cell.verdict.value for cell in seen.matrix.values())
                tries = sum(cell.attempts for cell in seen.matrix.values())
                output = f"{dict(verdicts)}, {tries} tries, {counts}"
                tell(name, 2 * len(flows), output)


def main() -> None:
    for pods in [int(word) for word in sys.argv[1:]] or SIZES:
        with start(LabOptions(name=f"bench-{os.getpid()}"), ephemeral=True) as lab:
            asyncio.run(measure(pods, lab))


if __name__ == "__main__":
    main()
