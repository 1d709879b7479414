"""`netprobe doctor` on labs that are right and wrong."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from netprobe.errors import LabError
from netprobe.lab import Lab, LabOptions, start
from tests.run.netprobe import Ended, called, kubectl, started

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dual() -> Iterator[Lab]:
    """Two nodes, both address families."""
    try:
        made = start(LabOptions(name=f"doctor-{os.getpid()}", nodes=2, ip_families=("ipv4", "ipv6")))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


def checks(ended: Ended) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(ended.out)["checks"]}


def test_two_nodes_and_both_families(dual: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    ended = called(capsys, "doctor", "--lab", dual.name, "-o", "yaml")
    assert ended.status == 0, ended.out + ended.err
    seen = {check["name"]: check["evidence"] for check in yaml.safe_load(ended.out)["checks"]}
    assert "n1 and n2; TCP, UDP; IPv4, IPv6" in seen["node to node"]
    assert "all 16 paths" in seen["ingress"]
    assert seen["address families"].startswith("IPv4 and IPv6")
    assert "kubernetes.default.svc resolves" in seen["DNS"]
    assert kubectl(str(dual.kubeconfig), "get", "namespaces", "-l", "netprobe.dev/run", "-o", "name") == ""


def test_interrupted_it_leaves_nothing(dual: Lab) -> None:
    with started("doctor", "--lab", dual.name) as process:
        made = ""
        while "netprobe-doctor" not in made:
            assert process.poll() is None
            made = kubectl(str(dual.kubeconfig), "get", "namespaces", "-o", "name")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert kubectl(str(dual.kubeconfig), "get", "namespaces", "-l", "netprobe.dev/run", "-o", "name") == ""


def test_options_that_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert called(capsys, "doctor", "--lab", "x", "--kubeconfig", "y").status == 2
    assert called(capsys, "doctor", "--kubeconfig", "y", "--lab-no-enforcement").status == 2


LOCKDOWN = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: lockdown}
spec:
  order: 10
  namespaceSelector: projectcalico.org/name starts with 'netprobe-doctor'
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP}, {action: Allow}]
"""


def test_what_the_clusters_own_policies_decide_is_not_blamed_on_its_plugin(
    dual: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl(str(dual.kubeconfig), "apply", "-f", "-", stdin=LOCKDOWN)
    ended = called(capsys, "doctor", "--lab", dual.name, "-o", "json")
    kubectl(str(dual.kubeconfig), "delete", "globalnetworkpolicy", "lockdown")
    assert ended.status == 3, ended.out + ended.err
    seen = checks(ended)
    assert seen["own policies"]["evidence"].startswith(
        "8 of the paths between the probe pods are closed by Global"
    )
    assert seen["ingress"]["status"] == "unknown"
    assert "GlobalNetworkPolicy lockdown allows every path" in seen["ingress"]["evidence"]
    assert seen["ClusterNetworkPolicy"]["status"] == "ok"
