"""A machine with a fake `docker` and a fake `kind`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FAKE = Path(__file__).with_name("fake.py")


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


@dataclass(frozen=True, slots=True)
class Machine:
    folder: Path

    def set(self, **changes: object) -> None:
        """Set the state of docker, kind and the cluster; the default is a machine without a cluster."""
        path = self.folder / "state.json"
        old = json.loads(path.read_text()) if path.exists() else {}
        fresh = {
            "daemon": None,
            "nodes": [],
            "answers": False,
            "joined": 0,
            "addons": True,
            "create": "works",
            "shown": [UP],
            "applied": None,
        }
        path.write_text(json.dumps(fresh | old | changes))

    @property
    def state(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = json.loads((self.folder / "state.json").read_text())
        return state

    @property
    def calls(self) -> list[str]:
        """The calls so far, without those that only read."""
        asking = {"docker version", "docker ps", "kind version"}
        calls = [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]
        return [
            " ".join(call)
            for call in calls
            if " ".join(call[:2]) not in asking and not (call[1] == "exec" and "get" in call)
        ]

    @property
    def _marker(self) -> Path:
        return self.folder / "state" / "netprobe" / "kind" / "netprobe.unfinished"

    @property
    def has_marker(self) -> bool:
        """Whether there is the file that an interrupted try leaves."""
        return self._marker.exists()

    def leave_marker(self) -> None:
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        self._marker.touch()

    def forget(self) -> None:
        (self.folder / "calls").write_text("")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("docker", "kind"):
        path = programs / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -ISE {FAKE} {tmp_path} {name} "$@"\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "calls").touch()
    made = Machine(tmp_path)
    made.set()
    return made
