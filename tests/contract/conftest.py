"""The clusters of the contract tests: a scripted one, a lab, and a real one if there is one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import pytest

from netprobe.kube import connect
from netprobe.model.objects import Object
from netprobe.probe import ClusterAPI
from tests.cluster.real import kubeconfig as real_kubeconfig
from tests.lab.kubectl.conftest import Kubectl
from tests.probe.clock import virtually
from tests.probe.fake import OPEN, SILENT, FakeCluster

IMAGE = "docker.io/library/alpine:3.20"
POD = f"""\
apiVersion: v1
kind: Pod
metadata: {{name: p, labels: {{app: p}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: {IMAGE}
      command: [sleep, "3600"]
      ports: [{{containerPort: 80, name: http}}]
"""
DEPLOYMENT = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: none}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: none}}}}
  template:
    metadata: {{labels: {{app: none}}}}
    spec:
      containers:
        - {{name: a, image: "{IMAGE}", env: [{{name: ONE, value: "1"}}]}}
        - {{name: b, image: "{IMAGE}"}}
"""

T = TypeVar("T")
Use: TypeAlias = Callable[[Callable[[ClusterAPI], Awaitable[T]]], T]


class EnforcingFake(FakeCluster):
    """The scripted cluster, enforcing the few kinds of ingress rule that this suite uses."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.network = self._reach

    def _reach(self, source: str, destination: str, port: int, protocol: str) -> str:
        namespace, _, name = destination.partition("/")
        labels = self.objects["Pod", namespace, name]["metadata"]["labels"]
        origin = self.objects["Namespace", None, source.partition("/")[0]]["metadata"]["labels"]
        specs = [
            obj["spec"]
            for (kind, ns, _), obj in self.objects.items()
            if kind == "NetworkPolicy" and ns == namespace
        ]
        chosen = [spec for spec in specs if spec["podSelector"]["matchLabels"].items() <= labels.items()]
        rules: list[Object] = [rule for spec in chosen for rule in spec["ingress"]]
        passes = any(
            {"protocol": protocol, "port": port} in rule["ports"]
            and any(p["namespaceSelector"]["matchLabels"].items() <= origin.items() for p in rule["from"])
            for rule in rules
        )
        return OPEN if passes or not chosen else SILENT


def on(kubeconfig: str) -> Use[T]:
    def use(work: Callable[[ClusterAPI], Awaitable[T]]) -> T:
        async def connected() -> T:
            async with connect(kubeconfig) as cluster:
                return await work(cluster)

        return asyncio.run(connected())

    return use


@pytest.fixture(
    params=[
        "fake",
        pytest.param("lab", marks=[pytest.mark.lab]),
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")]),
    ]
)
def use(request: pytest.FixtureRequest) -> Use[object]:
    """Runs a coroutine function on a cluster."""
    match request.param:
        case "fake":
            cluster = EnforcingFake()

            async def keep(work: Callable[[ClusterAPI], Awaitable[object]]) -> object:
                return await work(cluster)

            return lambda work: virtually(keep(work))
        case "lab":
            return on(str(request.getfixturevalue("lab").kubeconfig))
        case _:
            return on(real_kubeconfig())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("lab", marks=[pytest.mark.lab]),
        pytest.param("real", marks=[pytest.mark.cluster, pytest.mark.xdist_group("cluster")]),
    ],
)
def kubectl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    """In a namespace of its own, with a pod that runs."""
    found = request.getfixturevalue("lab").kubeconfig if request.param == "lab" else real_kubeconfig()
    name = f"contract-{secrets.token_hex(3)}"
    made = Kubectl(Path(found), name, tmp_path_factory.mktemp("files"))
    made("create", "namespace", name)
    try:
        made("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
        made("apply", "-f", made.file("pod.yaml", POD), "-f", made.file("deployment.yaml", DEPLOYMENT))
        made("wait", "--for=condition=Ready", "pod/p", "--timeout=60s")
        yield made
    finally:
        made("delete", "namespace", name, "--wait=false")
