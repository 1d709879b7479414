"""A lab as its user sees it, by kubectl: from nothing to pods that are ready, a change, and away again.

    python benchmarks/bench_lab_cluster.py [PODS ...]

Half as many policies as pods, ten Deployments to a namespace, two nodes. Seconds of the wall clock, and, what
another load of the machine changes less, of the CPU time of the lab's daemon; the network alone is measured
by bench_lab.py. The same is made by the official client too, and kubectl's waiting for pods that are ready
already is a step of its own: it sends five requests a second, whatever cluster answers them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bench_lab import policy
from netprobe.kube import connect
from netprobe.lab import Lab, LabOptions, start
from netprobe.policies.networkpolicy import dump_policy

SIZES = (50, 200)
_PODS_OF_A_NAMESPACE = 20
_APPS = 10


class Clock:
    """Prints what each step took."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._spent = 0.0

    def lap(self, what: str, lab: Lab) -> None:
        took, spent = time.perf_counter() - self._began, _cpu_s(lab)
        print(f"  {what:42} {took:7.2f} s {spent - self._spent:7.2f} CPU s")
        self._began, self._spent = time.perf_counter(), spent


def _cpu_s(lab: Lab) -> float:
    """Of the daemon, the child of the lab's first process."""
    child = Path(f"/proc/{lab.pid}/task/{lab.pid}/children").read_text().split()[0]
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def manifests(namespaces: list[str]) -> Iterator[dict[str, Any]]:
    for name in namespaces:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for number in range(_APPS):
            yield deployment(name, f"a{number}")
            yield dump_policy(policy(name, number).policy)


def deployment(namespace: str, app: str) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "ports": [{"containerPort": 80, "name": "web"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": app},
        "spec": {
            "replicas": _PODS_OF_A_NAMESPACE // _APPS,
            "selector": {"matchLabels": {"app": app}},
            "template": {"metadata": {"labels": {"app": app}}, "spec": {"containers": [container]}},
        },
    }


async def create(lab: Lab, objects: list[dict[str, Any]]) -> None:
    """Namespaces first, then everything else at once."""
    async with connect(lab.kubeconfig, qps=1e6, burst=10**6) as cluster:
        first = [obj for obj in objects if obj["kind"] == "Namespace"]
        for some in (first, [obj for obj in objects if obj not in first]):
            await asyncio.gather(*map(cluster.apply, some))


async def ready(lab: Lab, pods: int) -> None:
    """Return once that many pods are ready, next to the cluster's own."""
    async with connect(lab.kubeconfig) as cluster:
        seen: set[str] = set()
        while len(seen) < pods:
            found = await cluster.find("Pod", None)
            seen = {pod["metadata"]["uid"] for pod in found if _is_ready(pod)}
            await asyncio.sleep(0.05)


def _is_ready(pod: dict[str, Any]) -> bool:
    own = pod["metadata"]["namespace"] != "kube-system"
    return own and any(
        one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ())
    )


def measure(pods: int, folder: Path) -> None:
    namespaces = [f"ns{number}" for number in range(max(1, pods // _PODS_OF_A_NAMESPACE))]
    path = folder / "objects.json"
    path.write_text("\n".join(map(json.dumps, manifests(namespaces))))
    clock = Clock()
    with start(LabOptions(nodes=2), ephemeral=True) as lab:

        def kubectl(*arguments: str) -> None:
            command = ["kubectl", f"--kubeconfig={lab.kubeconfig}", *arguments]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

        clock.lap("the lab answers", lab)
        kubectl("create", "-f", str(path))
        clock.lap("created by kubectl", lab)
        asyncio.run(ready(lab, pods))
        clock.lap("all pods ready", lab)
        kubectl("-n", "ns0", "wait", "--for=condition=Ready", "pod", "--all", "--timeout=300s")
        clock.lap(f"kubectl waits for {_PODS_OF_A_NAMESPACE} that are ready", lab)
        change = '{"spec":{"podSelector":{}}}'
        kubectl("-n", "ns0", "patch", "networkpolicy", "p0", "--type=merge", "-p", change)
        clock.lap("a policy patched (kubectl's own time)", lab)
        kubectl("delete", "namespace", *namespaces)
        clock.lap("namespaces gone", lab)
        asyncio.run(create(lab, list(manifests(namespaces))))
        asyncio.run(ready(lab, pods))
        clock.lap("created by the official client, and ready", lab)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for pods in [int(word) for word in sys.argv[1:]] or SIZES:
            print(f"{pods} pods, {pods // 2} policies")
            measure(pods, Path(folder))


if __name__ == "__main__":
    main()
