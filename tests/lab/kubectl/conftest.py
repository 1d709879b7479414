"""kubectl as a person runs it, on the lab of all tests."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netprobe.lab import Lab

DEADLINE_S = 120


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig and a namespace; `files` is a folder for manifests."""

    kubeconfig: Path
    namespace: str
    files: Path

    def run(
        self, *arguments: str, stdin: str | None = None, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            env={**os.environ, "HOME": str(self.files), "KUBECACHEDIR": self.cache, **(environment or {})},
        )

    @property
    def cache(self) -> str:
        """One for all tests of a process: to ask for all kinds takes longer than most commands."""
        return str(self.files.parent / "kubectl-cache")

    def command(self, *arguments: str) -> list[str]:
        return ["kubectl", f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *arguments]

    def __call__(self, *arguments: str, stdin: str | None = None, **environment: str) -> str:
        """The output of a command that must succeed."""
        done = self.run(*arguments, stdin=stdin, environment=environment)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str | None = None) -> str:
        """What a command that must fail says."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def file(self, name: str, text: str) -> str:
        path = self.files / name
        path.write_text(text)
        return str(path)


@contextmanager
def namespace(lab: Lab, files: Path) -> Iterator[Kubectl]:
    """A namespace, which is gone afterwards."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    name = f"t-{secrets.token_hex(4)}"
    made = Kubectl(lab.kubeconfig, name, files)
    made("create", "namespace", name)
    yield made
    made("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def kubectl(lab: Lab, tmp_path: Path) -> Iterator[Kubectl]:
    """In a namespace of its own."""
    with namespace(lab, tmp_path) as made:
        yield made
