"""A lab for the tests of a module, and a short way to say what is in it and what its pods reach."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import pytest
import yaml

from netprobe.errors import LabError
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.kube.resources import RESOURCES
from netprobe.kube.transport import Request
from netprobe.lab import Lab, LabOptions, start
from netprobe.lab.trace import RULES
from netprobe.model.flow import PodRef

T = TypeVar("T")
OPEN, REFUSED, SILENT = "open", "refused", "silent"
DEADLINE_S = 60.0


class Playground:
    """Pods are named "namespace/name". Each call blocks."""

    def __init__(self, lab: Lab, runner: asyncio.Runner, cluster: KubeCluster) -> None:
        self.lab = lab
        self._runner = runner
        self.cluster = cluster
        self.namespaces: list[str] = []

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(coroutine)

    def apply(self, text: str) -> None:
        """Create or replace the objects of a YAML text, and wait until its pods are ready."""
        objects = [obj for obj in yaml.safe_load_all(text) if obj]
        for obj in objects:
            self.do(self.cluster.apply(obj))
        for obj in objects:
            if obj["kind"] == "Pod" and not obj["spec"].get("readinessGates"):
                self.eventually(partial(self._ready, obj["metadata"]), True)

    def namespace(self, name: str) -> None:
        self.namespaces.append(name)
        self.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}))

    def delete(self, kind: str, name: str, namespace: str | None) -> None:
        self.do(self.cluster.delete(kind, name, namespace))

    def patch(self, kind: str, name: str, patch: dict[str, Any], *, status: bool = False) -> None:
        """A merge patch of "namespace/name", or of its status."""
        ref = PodRef.parse(name)
        path = RESOURCES[kind].path(ref.namespace, ref.name) + ("/status" if status else "")

        async def send() -> None:
            async with self.cluster._transport.response(Request("PATCH", path, f"patch {name}", body=patch)):
                pass

        self.do(send())

    def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        return self.do(self.cluster.get(kind, name, namespace))

    def address(self, pod: str) -> str:
        ref = PodRef.parse(pod)
        return str(self.get("Pod", ref.name, ref.namespace)["status"]["podIP"])

    def vip(self, service: str) -> str:
        ref = PodRef.parse(service)
        return str(self.get("Service", ref.name, ref.namespace)["spec"]["clusterIP"])

    def sh(self, pod: str, script: str) -> tuple[int, str]:
        """Status and output (both streams) of a script in a pod."""
        ref = PodRef.parse(pod)

        async def run() -> tuple[int, str]:
            command = ["sh", "-c", f"exec 2>&1; {script}"]
            async with self.cluster.exec(ref.namespace, ref.name, "c", command, stdin=False) as execution:
                lines = [line async for line in execution.lines()]
                assert execution.finished is not None
                assert execution.finished.status is not None
                return execution.finished.status, "\n".join(lines)

        return self.do(run())

    def probe(self, source: str, host: str, port: int, protocol: str = "TCP") -> str:
        """One connection, or one datagram and its echo."""
        if protocol == "UDP":
            # An answer ends it at once; that there is none takes longer than a loaded lab takes for an echo.
            _, said = self.sh(source, f"echo hello | timeout 10 nc -u -w 10 -W 1 {host} {port}")
            return OPEN if said == "hello" else REFUSED if "refused" in said else SILENT
        status, said = self.sh(source, f"nc -zv -w 1 {host} {port}")
        return OPEN if status == 0 else REFUSED if "refused" in said else SILENT

    def eventually(self, look: Callable[[], T], wanted: T) -> None:
        """Look until it is as wanted; fails with what was seen last."""
        end = time.monotonic() + DEADLINE_S
        while (seen := look()) != wanted:
            assert time.monotonic() < end, f"{seen!r}, not {wanted!r}"

    def counted(self) -> dict[str, int]:
        """How many packets each endpoint of a Service has been given, by "address:port"."""
        found: dict[str, int] = {}
        for rule in self.do(self.cluster.raw(RULES))["items"]:
            if rule["comment"].startswith("endpoint "):
                key = rule["comment"].removeprefix("endpoint ")
                found[key] = found.get(key, 0) + (rule["packets"] or 0)
        return found

    def _ready(self, metadata: dict[str, Any]) -> bool:
        status = self.get("Pod", metadata["name"], metadata["namespace"])["status"]
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


@contextmanager
def on(lab: Lab) -> Iterator[Playground]:
    """On a lab that runs; the namespaces that are created go afterwards."""
    with asyncio.Runner() as runner:
        connection = connect(lab.kubeconfig, qps=1000, burst=1000)
        made = Playground(lab, runner, runner.run(connection.__aenter__()))
        try:
            yield made
        finally:
            for name in made.namespaces:
                made.delete("Namespace", name, None)
            runner.run(connection.__aexit__(None, None, None))


@contextmanager
def playground(**options: Any) -> Iterator[Playground]:
    """A lab of its own; the test is skipped where this machine can have none."""
    try:
        lab = start(LabOptions(**options), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with lab, on(lab) as made:
        yield made


def pod(name: str, *ports: str, node: str | None = None, **more: Any) -> str:
    """YAML of a pod labelled app=NAME; ports as "80", "53/UDP" or "web=80"; `more` goes into its spec."""
    ref = PodRef.parse(name)
    listed = []
    for text in ports:
        port_name, _, rest = text.rpartition("=")
        number, _, protocol = rest.partition("/")
        listed.append(
            {"containerPort": int(number), "protocol": protocol or "TCP"}
            | ({"name": port_name} if port_name else {})
        )
    labels = more.pop("labels", {"app": ref.name})
    annotations = more.pop("annotations", {})
    spec = {"containers": [{"name": "c", "image": "any", "ports": listed}], **more}
    if node:
        spec["nodeName"] = node
    return _yaml("v1", "Pod", ref, spec, labels=labels, annotations=annotations)


def service(name: str, selector: str | None, *ports: dict[str, Any], **more: Any) -> str:
    """YAML of a Service that selects app=SELECTOR."""
    spec = {"selector": {"app": selector}} if selector else {}
    return _yaml("v1", "Service", PodRef.parse(name), {**spec, "ports": list(ports), **more})


def policy(name: str, selector: str | None, **spec: Any) -> str:
    """YAML of a NetworkPolicy on app=SELECTOR, or on all pods of its namespace."""
    subject = {"podSelector": {"matchLabels": {"app": selector}} if selector else {}}
    return _yaml("networking.k8s.io/v1", "NetworkPolicy", PodRef.parse(name), {**subject, **spec})


def _yaml(version: str, kind: str, ref: PodRef, spec: dict[str, Any], **metadata: Any) -> str:
    meta = {"namespace": ref.namespace, "name": ref.name, **{k: v for k, v in metadata.items() if v}}
    return "---\n" + json.dumps({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}) + "\n"
