"""A run that is ended at random moments: afterwards every object of the cluster is listed, of any kind."""

from __future__ import annotations

import random
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cluster.account import kubectl
from tests.cluster.neighbours import until
from tests.cluster.wire import wired
from tests.run.netprobe import TWO_TIER, netprobe, started

NOWHERE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: nowhere}
topology:
  namespaces:
    - name: nowhere
      pods: [{name: web, ports: [80], node: no-such-node}, {name: db, ports: [80]}]
expect: {default: allow}
"""

PASSING = ("events", "endpointslices", "endpoints.", "endpoints", "controllerrevisions")
"""Kinds that come and go by themselves."""


def everything(kubeconfig: str) -> set[str]:
    """The name of every object in the cluster but `PASSING` ones and those that new nodes make."""
    found: set[str] = set()
    for scope in ("true", "false"):
        kinds = kubectl(
            kubeconfig, "api-resources", f"--namespaced={scope}", "--verbs=list", "-o", "name"
        ).split()
        kinds = [kind for kind in kinds if not kind.startswith(PASSING)]
        template = "{range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{'\\n'}{end}"
        found |= set(kubectl(kubeconfig, "get", ",".join(kinds), "-A", "-o", f"jsonpath={template}").split())
    return {name for name in found if not name.startswith("Lease/kube-node-lease/")}


def left(kubeconfig: str, before: set[str]) -> set[str]:
    """What is there now and was not before, without namespaces of others and of runs that are alive."""
    found = everything(kubeconfig) - before
    made = {name.rpartition("/")[2] for name in found if name.startswith("Namespace/")}
    spared = netprobe("clean", "--dry-run", "--kubeconfig", kubeconfig)
    living = set(re.findall(r"spared run (\w+):", spared.out + spared.err))
    label = "jsonpath={range .items[*]}{.metadata.name}={.metadata.labels.netprobe\\.dev/run}{'\\n'}{end}"
    runs = kubectl(kubeconfig, "get", "namespaces", "-l", "netprobe.dev/run", "-o", label).split()
    dead = {name for name, _, run in (line.partition("=") for line in runs) if run not in living}
    others = made - dead
    return {name for name in found if others.isdisjoint(name.split("/")[1:])}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_nothing_is_left(kubeconfig: str, how: signal.Signals) -> None:
    assert netprobe("clean", "--kubeconfig", kubeconfig).status == 0
    before = everything(kubeconfig)
    moments = random.Random(how)  # noqa: S311 (moments, not secrets)
    met = 0
    for _ in range(3):
        with started("run", TWO_TIER, "--kubeconfig", kubeconfig) as run:
            try:
                run.wait(moments.uniform(2, 14))
            except subprocess.TimeoutExpired:
                met += 1
                run.send_signal(how)
            run.wait(120)
        if how is signal.SIGKILL:
            cleaned = netprobe("clean", "--kubeconfig", kubeconfig)
            assert cleaned.status == 0, cleaned.err
        assert left(kubeconfig, before) == set()
    assert met, "every run was over before it was ended"


def test_a_pod_for_a_node_that_is_not_there_is_removed_all_the_same(kubeconfig: str, tmp_path: Path) -> None:
    """No kubelet will ever say that it has ended, and the cluster's own garbage collection takes minutes."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(NOWHERE)
    before = everything(kubeconfig)
    ended = netprobe("run", suite, "--kubeconfig", kubeconfig, "--ready-timeout", "5s")
    assert ended.status == 3
    assert "pods are not ready after 5 s: nowhere/web" in ended.err
    assert "netprobe clean" not in ended.err
    assert left(kubeconfig, before) == set()


def test_a_connection_that_is_lost_is_reported_and_what_is_left_can_be_removed(
    kubeconfig: str, tmp_path: Path
) -> None:
    before = everything(kubeconfig)
    with wired(kubeconfig, tmp_path) as (wire, path):
        with started("run", TWO_TIER, "--kubeconfig", path, "--ready-timeout", "10m") as run:
            until(lambda: "namespace/frontend" in kubectl(kubeconfig, "get", "ns", "-o", "name"))
            wire.cut()
            _, said = run.communicate(timeout=150)
        assert run.returncode == 3, said
    assert "netprobe clean --run" in said
    assert "Traceback" not in said
    cleaned = netprobe("clean", "--kubeconfig", kubeconfig)
    assert cleaned.status == 0, cleaned.err
    assert left(kubeconfig, before) == set()
