"""The prober against a cluster: a matrix of 9 x 9 pods x 4 port/protocols, before and after policies.

    python benchmarks/bench_probe.py [--kubeconfig FILE] [--rounds N]

Without --kubeconfig on a lab made for it. Two ways to reach the pods are measured side by side, in turns: a
session that each source pod keeps for the whole run, and one exec a source pod and round. Then one case as
conformance runs it: policies applied, canaries turned, two rounds that agree. What else this machine does
is in the times; the ratio is what to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace

from netprobe.kube import connect
from netprobe.lab import LabOptions, start
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef, Protocol
from netprobe.model.objects import Object
from netprobe.probe import ClusterAPI, Fixture, Pace, Prober, Workbench
from netprobe.probe.pace import CLUSTER

NAMESPACES = [f"bench-{name}" for name in "xyz"]
PORTS = tuple(ContainerPort(n, p) for p in (Protocol.TCP, Protocol.UDP) for n in (80, 81))
PODS = tuple(Pod(PodRef(ns, name), {"pod": name}, ports=PORTS) for ns in NAMESPACES for name in "abc")
FLOWS = [Flow(a.ref, b.ref, p.number, p.protocol) for a in PODS for b in PODS for p in PORTS]


def deny(namespace: str) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


ANEW = Pace(method=replace(CLUSTER, kept_sessions=0))


async def rounds(cluster: ClusterAPI, bench: Workbench, count: int, label: str) -> None:
    times: dict[str, list[float]] = {"session": [], "exec": []}
    async with (
        Prober(cluster, bench.stations, FLOWS) as kept,
        Prober(cluster, bench.stations, FLOWS, pace=ANEW) as anew,
    ):
        await kept.round(FLOWS)  # opens the sessions
        for _ in range(count):
            for way, prober in (("session", kept), ("exec", anew)):
                begun = time.perf_counter()
                cells = await prober.round(FLOWS)
                times[way].append(time.perf_counter() - begun)
                outcomes = Counter(cell.outcome.value for cell in cells.values())
                print(f"  {label:8} {way:8} {times[way][-1]:5.2f} s  {dict(outcomes)}")
    session, execs = (statistics.median(times[way]) for way in ("session", "exec"))
    print(
        f"  {label:8} median {session:.2f} s by sessions, {execs:.2f} s by execs: ratio {execs / session:.1f}"
    )


async def case(cluster: ClusterAPI, bench: Workbench) -> None:
    async with Prober(cluster, bench.stations, FLOWS, canaries=bench.canaries) as prober:
        begun = time.perf_counter()
        await prober.baseline()
        print(f"  baseline {time.perf_counter() - begun:5.2f} s")
        for name, change in (
            ("deny all of x", lambda: bench.apply(deny(NAMESPACES[0]))),
            ("deny all of y too", lambda: bench.apply(deny(NAMESPACES[1]))),
            ("open x again", lambda: bench.delete("NetworkPolicy", "deny", NAMESPACES[0])),
        ):
            begun = time.perf_counter()
            seen = await prober.observe(change)
            elapsed = time.perf_counter() - begun
            verdicts = Counter(cell.verdict.value for cell in seen.matrix.values())
            converged = seen.facts.converged_s
            output = "unknown" if converged is None else f"{converged:.3f} s"
            print(
                f"  {name:18} {elapsed:5.2f} s, {seen.facts.rounds} rounds, converged {output},"
                f" {dict(verdicts)}"
            )


async def main(kubeconfig: str, count: int) -> None:
    fixture = Fixture(tuple(Namespace(name, {}) for name in NAMESPACES), PODS)
    async with connect(kubeconfig) as cluster:
        begun = time.perf_counter()
        async with Workbench(cluster, fixture, changes=3) as bench:
            print(f"{len(PODS)} pods ready after {time.perf_counter() - begun:.1f} s; {len(FLOWS)} flows")
            await rounds(cluster, bench, count, "open")
            print("cases, each with canaries and rounds until stable:")
            await case(cluster, bench)
            await rounds(cluster, bench, count, "y closed")
            begun = time.perf_counter()
        print(f"removed after {time.perf_counter() - begun:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kubeconfig")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}")
    with ExitStack() as stack:
        chosen = options.kubeconfig
        if chosen is None:
            lab = start(LabOptions(name=f"bench-probe-{os.getpid()}"), ephemeral=True)
            stack.callback(lab.stop)
            chosen = str(lab.kubeconfig)
        asyncio.run(main(chosen, options.rounds))
