"""How long it takes to read a cluster, against plain `yaml.load` of the same text in the same run.

Two shapes of text: manifests as people write them (a document each, short pods), and a dump as
`kubectl get namespaces,pods,networkpolicies -A -o yaml` prints it (one List, pods with all their fields).

    python benchmarks/bench_manifests.py [--big]

`--big` adds 50 MB dumps, in YAML and in JSON, with the peak of memory.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from netprobe.manifests import load

NAMESPACES = 40


def pod(index: int) -> dict[str, Any]:
    """A pod with what matters and little else."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"pod-{index}",
            "namespace": f"ns-{index % NAMESPACES}",
            "labels": {"app": f"app-{index % 50}", "tier": f"tier-{index % 4}", "track": "stable"},
        },
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example/app:1.0",
                    "ports": [
                        {"containerPort": 8080, "name": "http"},
                        {"containerPort": 9090, "name": "metrics"},
                    ],
                }
            ]
        },
        "status": {"podIPs": [{"ip": f"10.244.{index >> 8}.{index & 255}"}], "phase": "Running"},
    }


def dumped_pod(index: int) -> dict[str, Any]:
    """A pod as a cluster has it: about 5 KB of YAML."""
    made = pod(index)
    made["metadata"] |= {
        "annotations": {f"example.com/{word}": "checksum-" + word * 8 for word in ("config", "secret")},
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "resourceVersion": str(100000 + index),
        "uid": f"00000000-0000-0000-0000-{index:012d}",
    }
    container = made["spec"]["containers"][0]
    container |= {
        "env": [{"name": f"SETTING_{n}", "value": f"value number {n}"} for n in range(12)]
        + [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 10},
        "resources": {
            "limits": {"cpu": "500m", "memory": "256Mi"},
            "requests": {"cpu": "100m", "memory": "128Mi"},
        },
        "volumeMounts": [{"mountPath": f"/mnt/{n}", "name": f"volume-{n}"} for n in range(3)],
    }
    made["spec"] |= {
        "nodeName": f"node-{index % 20}",
        "serviceAccountName": "default",
        "tolerations": [
            {"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}
            for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        ],
        "volumes": [
            {"configMap": {"defaultMode": 420, "name": f"c-{n}"}, "name": f"volume-{n}"} for n in range(3)
        ],
    }
    made["status"] |= {
        "conditions": [
            {
                "lastProbeTime": None,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "status": "True",
                "type": kind,
            }
            for kind in (
                "PodReadyToStartContainers",
                "Initialized",
                "Ready",
                "ContainersReady",
                "PodScheduled",
            )
        ],
        "containerStatuses": [
            {
                "containerID": "containerd://" + "0" * 64,
                "image": "registry.example/app:1.0",
                "imageID": "registry.example/app@sha256:" + "0" * 64,
                "lastState": {},
                "name": "main",
                "ready": True,
                "restartCount": 0,
                "started": True,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                "volumeMounts": [{"mountPath": f"/mnt/{n}", "name": f"volume-{n}"} for n in range(3)],
            }
        ],
        "hostIP": "172.31.255.1",
        "hostIPs": [{"ip": "172.31.255.1"}],
        "podIP": made["status"]["podIPs"][0]["ip"],
        "qosClass": "Burstable",
        "startTime": "2026-01-01T00:00:00Z",
    }
    return made


def policy(index: int) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"policy-{index}", "namespace": f"ns-{index % NAMESPACES}"},
        "spec": {
            "podSelector": {"matchLabels": {"app": f"app-{index % 50}"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"team": f"team-{index % 7}"}},
                            "podSelector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
                        },
                        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                    ],
                    "ports": [{"port": 8080, "protocol": "TCP"}, {"port": "metrics", "protocol": "TCP"}],
                }
            ],
            "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}, {"to": [{"podSelector": {}}]}],
        },
    }


def namespaces() -> Iterator[dict[str, Any]]:
    for index in range(NAMESPACES):
        labels = {"team": f"team-{index % 7}"}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns-{index}", "labels": labels}}


def dump(value: Any) -> str:
    return yaml.dump(value, Dumper=yaml.CSafeDumper, default_flow_style=False)


def written(pods: int, policies: int) -> str:
    objects = [*namespaces(), *map(pod, range(pods)), *map(policy, range(policies))]
    return "---\n".join(map(dump, objects))


def listed(pods: int, policies: int) -> dict[str, Any]:
    objects = [*namespaces(), *map(dumped_pod, range(pods)), *map(policy, range(policies))]
    return {"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {"resourceVersion": ""}}


def listed_text(pods: int, policies: int) -> str:
    """The same as `dump(listed(...))`, without building it in memory as a whole."""
    out = io.StringIO()
    out.write("apiVersion: v1\nitems:\n")
    for made in [*namespaces(), *map(policy, range(policies))]:
        out.write(dump([made]))
    for index in range(pods):
        out.write(dump([dumped_pod(index)]))
    out.write('kind: List\nmetadata:\n  resourceVersion: ""\n')
    return out.getvalue()


def timed(work: Callable[[], object], rounds: int = 3) -> float:
    """The shortest of some rounds, in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def row(name: str, text: str, folder: Path, plain: Callable[[str], object], suffix: str = "yaml") -> None:
    path = folder / f"{name}.{suffix}"
    path.write_text(text)
    ours = timed(lambda: load([path]))
    theirs = timed(lambda: plain(text), rounds=1)
    size = len(text) / 1e6
    ratio = theirs / ours
    print(f"{name:28} {size:7.2f} MB {ours:8.3f} s {theirs:9.3f} s {ratio:7.1f} x {size / ours:8.1f} MB/s")


def plain_yaml(text: str) -> object:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def big(folder: Path) -> None:
    """50 MB, each in a process of its own, so that the peak of memory is its own."""
    count = 12600
    text = listed_text(count, 500)
    (folder / "big.yaml").write_text(text)
    (folder / "big.json").write_text(json.dumps(listed(count, 500), indent=1))
    for name in ("big.yaml", "big.json"):
        subprocess.run([sys.executable, __file__, "--one", str(folder / name)], check=True)


def peak_mib() -> float:
    """The most memory that this program has had; unlike getrusage's, it begins anew with each program."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def one(path: str) -> None:
    size = Path(path).stat().st_size / 1e6
    before = peak_mib()
    start = time.perf_counter()
    loaded = load([path])
    seconds = time.perf_counter() - start
    pods = len(loaded.cluster.pods)
    print(
        f"{Path(path).name:28} {size:7.2f} MB {seconds:8.3f} s {pods} pods, "
        f"{peak_mib() - before:.0f} MiB above the {before:.0f} MiB at the start"
    )


def main() -> None:
    if "--one" in sys.argv:
        one(sys.argv[-1])
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{'1,000 pods, 500 policies':28} {'size':>10} {'netprobe':>10} {'plain':>11} {'ratio':>9}")
        row("written", written(1000, 500), folder, plain_yaml)
        row("dumped", listed_text(1000, 500), folder, plain_yaml)
        row("dumped-json", json.dumps(listed(1000, 500)), folder, json.loads, "json")
        if "--big" in sys.argv:
            big(folder)


if __name__ == "__main__":
    main()
