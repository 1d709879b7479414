"""The lab's network against its size: bringing pods up, loading policies, changing one, probing.

    python benchmarks/bench_lab.py [PODS ...]

Times are wall-clock on whatever else this machine does; "per pod" and the ratios to the first size are
what to look at. Each size runs in a lab of its own, without the API: what is measured is the fabric.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace

from netprobe.lab.fabric import spawner
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.lab.options import LabOptions
from netprobe.model.flow import ContainerPort, PodRef
from netprobe.policies.kinds import NETWORK_POLICY

SIZES = (50, 200)
_APPS = 10  # a namespace has that many apps, and as many policies
_EXECS = 20
_PROBE = ("xargs", "-P", "16", "-I{}", "nc", "-z", "-w", "1", "{}", "81")
"""To a closed port of a lab that rejects, so that no probe waits out its time."""


def policy(namespace: str, number: int, port: int = 80) -> InstalledPolicy:
    """An app accepts the next app of its namespace, and the same app of the next namespace."""
    after = {"matchLabels": {"app": f"a{(number + 1) % _APPS}"}}
    same = {"matchLabels": {"app": f"a{number}"}}
    peers = [{"podSelector": after}, {"podSelector": same, "namespaceSelector": {}}]
    ports = [{"port": port, "protocol": "TCP"}, {"port": "web", "protocol": "TCP"}]
    obj = {
        "metadata": {"namespace": namespace, "name": f"p{number}"},
        "spec": {
            "podSelector": same,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": peers, "ports": ports}],
        },
    }
    return InstalledPolicy(NETWORK_POLICY.policy(obj), {})


def cluster(pods: int) -> tuple[list[PolicyPod], list[InstalledPolicy]]:
    """Pods, and half as many policies."""
    specs = []
    for number in range(pods):
        ref = PodRef(f"ns{number // (2 * _APPS)}", f"p{number}")
        labels = {"app": f"a{number % _APPS}", "number": str(number)}
        specs.append(PolicyPod(ref, labels, (), (ContainerPort(80, name="web"),), "n1"))
    namespaces = dict.fromkeys(spec.ref.namespace for spec in specs)
    return specs, [policy(name, number) for name in namespaces for number in range(_APPS)]


async def measure(spawner: Spawner, pods: int) -> dict[str, float]:
    figures: dict[str, float] = {"pods": pods}
    clock = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal clock
        now = time.perf_counter()
        figures[name] = now - clock
        clock = time.perf_counter()

    network = await LabNetwork.open(spawner, LabOptions(nodes=2, deny_with="reject"))
    lap("nodes up")
    specs, policies = cluster(pods)
    figures["policies"] = len(policies)
    members = {}
    for spec in specs:
        members[spec.ref] = replace(spec, addresses=await network.place(spec))
    lap("place all")
    namespaces: dict[str, dict[str, str]] = {spec.ref.namespace: {} for spec in specs}
    state = NetworkState(namespaces, members, policies)
    await network.enforce(state)
    lap("all policies, from nothing")
    for spec in specs:
        await network.start(spec.ref)
    lap("start all")
    compiler = Compiler(state)
    lap("compile, from nothing")
    compiling, changes = [], []
    for port in range(1000, 1010):
        changed = NetworkState(namespaces, members, [policy("ns0", 0, port), *policies[1:]])
        clock = time.perf_counter()
        compiler = Compiler(changed, before=compiler)
        compiling.append(time.perf_counter() - clock)
        clock = time.perf_counter()
        await network.enforce(changed)
        changes.append(time.perf_counter() - clock)
    figures["of a change: compile"] = statistics.median(compiling)
    figures["one policy changed"] = statistics.median(changes)
    clock = time.perf_counter()
    for _ in range(_EXECS):
        await (await network.exec(specs[0].ref, ["true"])).wait()
    figures["one exec"] = (time.perf_counter() - clock) / _EXECS
    targets = "\n".join(str(member.addresses[0]) for member in members.values())
    clock = time.perf_counter()
    probing = await network.exec(specs[0].ref, _PROBE, stdin=True)
    assert probing.stdin is not None
    probing.stdin.write(targets.encode())
    probing.stdin.close()
    await probing.wait()
    figures["flows probed a second"] = pods / (time.perf_counter() - clock)
    clock = time.perf_counter()
    figures["MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    await network.close()
    lap("take all down")
    return figures


def main() -> int:
    if len(sys.argv) > 2 and sys.argv[1] == "--inside":
        return inside(int(sys.argv[2]))
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    results = []
    for size in sizes:
        command = [sys.executable, __file__, "--inside", str(size)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            print(ended.stderr.strip(), file=sys.stderr)
            return 1
        results.append(json.loads(ended.stdout))
    first = results[0]
    for name in first:
        cells = [f"{figures[name]:10.4g} ({figures[name] / first[name]:.1f}x)" for figures in results]
        print(f"{name:30}", *cells)
    return 0


def inside(pods: int) -> int:
    def daemon(spawner: Spawner) -> int:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        print(json.dumps(asyncio.run(measure(spawner, pods))), flush=True)
        return 0

    pid, proceed = spawner.enter(daemon, lambda text: print(text, file=sys.stderr))
    proceed()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
