"""`netprobe debug` on a real cluster, with the same faults as on the lab where that is possible."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.debug import Answer
from netprobe.kube import connect
from netprobe.policies.kinds import NOT_SIMULATED
from netprobe.probe.permission import DEBUG, EPHEMERAL, Need, Permission
from netprobe.run.target import ClusterChoice
from tests.cluster import real
from tests.cluster.account import account, kubectl, published, without
from tests.cluster.test_rbac import granted, triples, workloads
from tests.debug.faults import Given, answer, ask_all, check
from tests.debug.test_causes import CAUSES, TOGETHER
from tests.run.netprobe import netprobe
from tests.run.requests import requests

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


__all__ = ["requests", "workloads"]  # fixtures

READS = [p for p in DEBUG if p.verb == "list" and p.need is Need.ALWAYS]
WRITES = [p for p in DEBUG if p.verb != "list" and p.need is Need.ALWAYS]


def test_the_roles_are_the_lists() -> None:
    policies = {group for group, _, _ in granted(published("debug.yaml"))} - {p.group for p in DEBUG}
    asked = {one for one in granted(published("debug.yaml")) if one[0] not in policies}
    assert asked == triples(DEBUG)
    assert granted(published("debug-ephemeral.yaml")) == triples(EPHEMERAL)


def test_no_verb_is_too_few_and_none_too_many(
    kubeconfig: str, workloads: str, tmp_path: Path, requests: set[tuple[str, str, str]]
) -> None:
    with account(kubeconfig, published("debug.yaml"), tmp_path) as user:
        where = ["--kubeconfig", str(user.kubeconfig)]
        assert main(["debug", f"{workloads}/web", f"{workloads}/db", *where]) == 0
    only_when_it_goes_wrong = {
        ("", "namespaces", "get"),
        ("coordination.k8s.io", "leases", "get"),
        ("", "pods/exec", "create"),  # Kubernetes 1.35 and later
    }
    allowed_to_fail = {(kind.group, kind.plural, "list") for kind in NOT_SIMULATED}
    known = {p.group for p in DEBUG}
    asked = {one for one in requests - allowed_to_fail if one[0] in known}
    assert asked == triples(DEBUG) - only_when_it_goes_wrong


@pytest.mark.parametrize("permission", WRITES, ids=str)
def test_without_one_verb_nothing_is_sent_and_the_answer_says_why(
    kubeconfig: str, workloads: str, tmp_path: Path, permission: Permission
) -> None:
    roles = without(published("debug.yaml"), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = netprobe("debug", f"{workloads}/web", f"{workloads}/db", "--kubeconfig", user.kubeconfig)
    assert ended.status == 3, ended.err
    assert f"lack 1 of the permissions that the run needs in the whole cluster: {permission} (" in ended.out
    assert "Nothing was created" in ended.out


@pytest.mark.parametrize("permission", READS, ids=str)
def test_what_may_not_be_listed_is_named(
    kubeconfig: str, workloads: str, tmp_path: Path, permission: Permission
) -> None:
    roles = without(published("debug.yaml"), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = netprobe("debug", f"{workloads}/web", f"{workloads}/db", "--kubeconfig", user.kubeconfig)
    assert ended.status == 3, ended.out
    assert permission.resource in ended.out + ended.err


def test_reading_needs_no_more_than_lists(kubeconfig: str, workloads: str, tmp_path: Path) -> None:
    roles = published("debug.yaml")
    for permission in WRITES:
        roles = without(roles, permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        arguments = ("--no-probe", "--kubeconfig", user.kubeconfig)
        ended = netprobe("debug", f"{workloads}/web", f"{workloads}/db", *arguments)
    assert ended.status == 3, ended.err
    assert "allowed: egress is not isolated" in ended.out


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
