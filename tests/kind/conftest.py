"""A machine with a fake `docker` and a fake `kind`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netprobe.kind.cluster import ProgramResult, Programs


def node(name: str, *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {"kind": "Node", "metadata": {"name": name}, "status": {"conditions": conditions}}


def daemon_set(name: str, ready: int, wanted: int, *, seen: bool = True) -> dict[str, Any]:
    status = {"desiredNumberScheduled": wanted, "numberReady": ready, "observedGeneration": int(seen)}
    return {"kind": "DaemonSet", "metadata": {"name": name, "generation": 1}, "status": status}


def deployment(name: str, ready: int, wanted: int) -> dict[str, Any]:
    status = {"readyReplicas": ready, "observedGeneration": 1}
    meta = {"name": name, "generation": 1}
    return {"kind": "Deployment", "metadata": meta, "spec": {"replicas": wanted}, "status": status}


def pod(image: str, reason: str) -> dict[str, Any]:
    waiting = [{"image": image, "state": {"waiting": {"reason": reason}}}]
    return {"kind": "Pod", "metadata": {"name": "p"}, "status": {"initContainerStatuses": waiting}}


UP = [node("a"), node("b"), daemon_set("kube-proxy", 2, 2), daemon_set("calico-node", 2, 2)]
MANIFEST = """
kind: DaemonSet
metadata:
  name: calico-node
spec:
  template:
    spec:
      initContainers:
        - name: install
          image: quay.io/calico/cni:v1
      containers:
        - name: agent
          image: "quay.io/calico/node:v1"
        - image: quay.io/calico/node:v1
"""


NODES = [[f"netprobe-{n}", "running", "worker" if n else "control-plane"] for n in range(3)]
NOT_FOUND = 'daemonsets.apps "kube-proxy" not found'


@dataclass(slots=True)
class Machine:
    """Its state, which calls change; a machine without a cluster at first.

    `daemon`: why docker does not answer. `create`: "works", "fails" or "hangs" once. `shown`: what kubectl
    lists, one answer after the other. `calls`: those that change something.
    """

    marker: Path
    daemon: str = ""
    nodes: list[list[str]] = field(default_factory=list)
    answers: bool = False
    joined: int = 0
    addons: bool = True
    create: str = "works"
    shown: list[list[Any]] = field(default_factory=lambda: [UP])
    applied: str = ""
    missing: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    async def run(self, programs: Programs, *command: str, stdin: bytes = b"", **_: object) -> ProgramResult:
        match command:
            case ("docker", "version", *_):
                return _ended("27.3.1\n", self.daemon)
            case ("docker", "ps", *_):
                return _ended("".join("\t".join(node) + "\n" for node in self.nodes))
            case ("kind", "version", *_):
                return _ended("0.29.0\n")
            case ("docker", "exec", *words) if "get" in words:
                return self._kubectl(words[words.index("kubectl") + 3 :])
        self.calls.append(" ".join(command))
        match command:
            case ("docker", "exec", *_):
                self.applied = stdin.decode()
            case ("docker", "start", *names):
                self.nodes = [[n, "running" if n in names else s, role] for n, s, role in self.nodes]
                self.answers = True
            case ("kind", "create", *_):
                return await self._create(programs)
            case ("kind", "delete", *_):
                self.nodes, self.answers, self.joined = [], False, 0
        return _ended()

    async def _create(self, programs: Programs) -> ProgramResult:
        if self.create == "fails":
            return _ended(failure="ERROR: failed to create cluster: no space left on device")
        self.nodes = NODES
        if self.create == "hangs":
            self.create = "works"
            programs.progress("Starting control-plane")
            await asyncio.Event().wait()
        self.answers, self.joined = True, 3
        return _ended()

    def _kubectl(self, words: Iterable[str]) -> ProgramResult:
        if not self.answers:
            return _ended(failure="The connection to the server was refused")
        match list(words):
            case ["get", "nodes", "-o", "name"]:
                return _ended("".join(f"node/{n}\n" for n in range(self.joined)))
            case ["get", "--raw", "/readyz"]:
                return _ended("ok")
            case ["-n", "kube-system", "get", "daemonset/kube-proxy", *_]:
                return _ended(failure="" if self.addons else NOT_FOUND)
        items = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        return _ended(json.dumps({"items": items}))

    def leave_marker(self) -> None:
        """As a try that was interrupted does."""
        self.marker.parent.mkdir(parents=True, exist_ok=True)
        self.marker.touch()


def _ended(text: str = "", failure: str = "") -> ProgramResult:
    return ProgramResult(int(bool(failure)), text, failure)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path / "state" / "netprobe" / "kind" / "netprobe.unfinished")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(
        "netprobe.kind.cluster.shutil.which", lambda name: None if name in made.missing else name
    )

    async def run(programs: Programs, *command: str, **options: Any) -> ProgramResult:
        return await made.run(programs, *command, **options)

    monkeypatch.setattr(Programs, "run", run)
    return made
