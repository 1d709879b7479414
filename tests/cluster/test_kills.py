"""A run that is ended at random moments: afterwards every object of the cluster is listed, of any kind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cluster.neighbours import until
from tests.run.netprobe import TWO_TIER, command, kubectl, netprobe, started

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
    for _ in range(2):
        with started("run", TWO_TIER, "--kubeconfig", kubeconfig) as run:
            try:
                run.wait(moments.uniform(1, 8))
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


@contextmanager
def proxied(kubeconfig: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A proxy to the API server, and a kubeconfig that leads through it."""
    command = ["kubectl", "--kubeconfig", kubeconfig, "proxy", "--port=0", "--disable-filter"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            server = f"http://{proxy.stdout.readline().split()[-1]}"
            path = folder / "proxied"
            path.write_text(json.dumps(PROXIED).replace("SERVER", server))
            path.chmod(0o600)
            yield proxy, path
        finally:
            proxy.kill()


PROXIED = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "SERVER"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c"}}],
    "current-context": "c",
}


def test_a_connection_that_is_lost_is_reported_and_what_is_left_can_be_removed(
    kubeconfig: str, tmp_path: Path
) -> None:
    before = everything(kubeconfig)
    with proxied(kubeconfig, tmp_path) as (proxy, path):
        with started("run", TWO_TIER, "--kubeconfig", path, "--ready-timeout", "10m") as run:
            until(lambda: "namespace/frontend" in kubectl(kubeconfig, "get", "ns", "-o", "name"))
            proxy.kill()
            _, errors = run.communicate(timeout=150)
        assert run.returncode == 3, errors
    assert "netprobe clean --run" in errors
    assert "Traceback" not in errors
    cleaned = netprobe("clean", "--kubeconfig", kubeconfig)
    assert cleaned.status == 0, cleaned.err
    assert left(kubeconfig, before) == set()


def test_a_living_run_of_another_machine_is_spared_whatever_its_clock_shows(
    kubeconfig: str, tmp_path: Path
) -> None:
    """In a UTS namespace of its own it has another host name; its Lease seems to be an hour old."""
    if os.geteuid():
        pytest.skip("only root can give a process another host name")
    suite = tmp_path / "suite.yaml"
    suite.write_text(NOWHERE)
    arguments = command("run", suite, "--kubeconfig", kubeconfig, "--ready-timeout", "5m")
    elsewhere = ["unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh", *arguments]
    renewed = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with subprocess.Popen(elsewhere, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until(lambda: bool(held_by("elsewhere", kubeconfig)))
        (namespace,) = held_by("elsewhere", kubeconfig)
        patch = ("patch", "lease", "netprobe", "--type=merge", "-p")
        kubectl(kubeconfig, "-n", namespace, *patch, json.dumps({"spec": {"renewTime": renewed}}))
        cleaned = netprobe("clean", "--kubeconfig", kubeconfig)
        run.terminate()
        run.communicate(timeout=120)
    assert "waiting up to 20 s for a sign of life" in cleaned.err
    assert f"spared run {namespace.removeprefix('netprobe-')}" in cleaned.out + cleaned.err
    assert run.returncode == 143


def held_by(host: str, kubeconfig: str) -> list[str]:
    """The namespaces of the Leases of runs on a host."""
    columns = "jsonpath={range .items[*]}{.spec.holderIdentity} {.metadata.namespace}{'\\n'}{end}"
    lines = kubectl(kubeconfig, "get", "leases", "-A", "-l", "netprobe.dev/run", "-o", columns).splitlines()
    return [line.split()[1] for line in lines if line.startswith(f"{host}/")]
