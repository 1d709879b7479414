"""Suites as text, loaded from a folder of the test's own."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Protocol

import pytest

from netprobe.errors import InputError
from netprobe.suite import Suite, load

HEAD = "apiVersion: netprobe/v1alpha1\nkind: ConnectivitySuite\nmetadata: {name: s}\n"
TOPOLOGY = """\
topology:
  namespaces:
    - name: a
      labels: {team: one}
      pods:
        - {name: web, labels: {app: web}, ports: [80, {port: 9090, name: metrics}]}
        - {name: db, labels: {app: db}, ports: [5432]}
    - name: b
      pods:
        - {name: dns, labels: {app: dns}, ports: [53/UDP, {port: 53, name: tcp}], replicas: 2}
  external:
    - {name: partner, address: 203.0.113.50, ports: [443]}
    - {name: stranger, address: 198.51.100.7}
"""
POLICY = (
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s}\nspec: {podSelector: {}}\n"
)


class LoadSuite(Protocol):
    def __call__(self, body: str, *, topology: bool = True, **files: str) -> Suite: ...


class Problems(Protocol):
    def __call__(self, body: str, *, topology: bool = True, **files: str) -> list[str]: ...


def write(folder: Path, body: str, files: dict[str, str], *, topology: bool) -> Path:
    """The suite, and `name="text"` as name.yaml next to it."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    path = folder / "suite.yaml"
    path.write_text(HEAD + (TOPOLOGY if topology else "") + dedent(body))
    return path


@pytest.fixture
def suite(tmp_path: Path) -> LoadSuite:
    def loaded(body: str, *, topology: bool = True, **files: str) -> Suite:
        return load(write(tmp_path, body, files, topology=topology))

    return loaded


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """What is wrong with a suite, as a user sees it, without the folder."""

    def output(body: str, *, topology: bool = True, **files: str) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(write(tmp_path, body, files, topology=topology))
        return [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return output
