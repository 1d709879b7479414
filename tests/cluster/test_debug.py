"""`netprobe debug` on a real cluster, with the same faults as on the lab where that is possible."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from netprobe.debug import Answer
from netprobe.kube import connect
from netprobe.run.target import ClusterChoice
from tests.cluster import real
from tests.cluster.account import account, published
from tests.cluster.test_permissions import workloads
from tests.debug.faults import Given, answer, ask_all, check
from tests.debug.test_causes import CAUSES, TOGETHER
from tests.run.netprobe import kubectl, netprobe

__all__ = ["workloads"]  # a fixture

ONLY_ON_A_LAB = {"not-enforced"}
"""By annotations that only a lab knows."""

NEEDS = {
    # what a cluster has to serve, as `kubectl api-resources` names it
    "other-policy": "globalnetworkpolicies.crd.projectcalico.org",
    "other-policy-cluster": "clusternetworkpolicies.policy.networking.k8s.io",
}


def is_possible(names: str, served: str) -> bool:
    return all(
        name not in ONLY_ON_A_LAB and NEEDS.get(name, "").partition(".")[0] in served
        for name in names.split()
    )


@pytest.fixture(scope="module")
def given(kubeconfig: str) -> Mapping[str, Given]:
    served = kubectl(kubeconfig, "api-resources", "-o", "name")
    names = [name for name in (*CAUSES, *TOGETHER) if is_possible(name, served)]
    return asyncio.run(ask_all(kubeconfig, ClusterChoice(kubeconfig), names))


@pytest.mark.parametrize("name", [name for name in CAUSES if name not in ONLY_ON_A_LAB])
def test_the_first_cause_is_the_right_one(given: Mapping[str, Given], name: str) -> None:
    if name not in given:
        pytest.skip("this cluster does not serve that kind of policy")
    check(given[name], CAUSES[name])


@pytest.mark.parametrize("names", TOGETHER)
def test_of_two_faults_the_earlier_is_named_first(given: Mapping[str, Given], names: str) -> None:
    if names not in given:
        pytest.skip("this cluster does not serve that kind of policy")
    assert tuple(name for name, _ in given[names].answer.causes) == TOGETHER[names]


def test_an_ephemeral_container_sends_and_stays_ended(
    kubeconfig: str, workloads: str, tmp_path: Path
) -> None:
    with account(kubeconfig, published("debug.yaml", "debug-ephemeral.yaml"), tmp_path) as user:
        where = ("--kubeconfig", user.kubeconfig, "--ephemeral")
        ended = netprobe("debug", f"{workloads}/web", f"{workloads}/db", *where)
    assert ended.status == 0, ended.err
    assert f"adding an ephemeral container to {workloads}/web: it ends with this command" in ended.err
    path = "{.status.ephemeralContainerStatuses[*].state}"
    state = kubectl(kubeconfig, "-n", workloads, "get", "pod", "web", "-o", f"jsonpath={path}")
    assert "terminated" in state
    assert "running" not in state


AGENTS = "calico-felix|kube-network-policies"


@pytest.fixture
def stopped(kubeconfig: str) -> Iterator[str]:
    """The name of a node; its agent stops when the test says so, and goes on afterwards."""
    if not real.is_beside():
        pytest.skip("only the agents of ../shared/realcluster can be stopped from here")
    node = kubectl(kubeconfig, "get", "nodes", "-o", "jsonpath={.items[-1:].metadata.name}")
    yield node
    for pid in agents(node):
        os.kill(pid, signal.SIGCONT)


def agents(node: str) -> list[int]:
    """The processes of the network plugin's agent in a node's network namespace."""
    network = Path(f"/run/netns/npc-{node}").stat().st_ino
    found = subprocess.run(["pgrep", "-f", AGENTS], capture_output=True, text=True, check=False).stdout
    return [pid for pid in map(int, found.split()) if network_of(pid) == f"net:[{network}]"]


def network_of(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:  # it has ended
        return ""


def test_stale_rules_of_a_node_whose_agent_has_stopped(kubeconfig: str, stopped: str) -> None:
    async def ask() -> Answer:
        async with connect(kubeconfig) as cluster:
            target = ClusterChoice(kubeconfig)
            return await answer(cluster, target, "packets-dropped-stale", "stale", stop=stop)

    def stop() -> None:
        for pid in agents(stopped):
            os.kill(pid, signal.SIGSTOP)

    found = asyncio.run(ask())
    (name, cause), *_ = found.causes
    assert name == "packets-dropped"
    assert f"are dropped on {stopped}" in cause.text
    assert "stale" in cause.text
