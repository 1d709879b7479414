"""`netprobe doctor` on labs that are right and wrong."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
import yaml

from netprobe.doctor import deny_all, kinds
from netprobe.errors import LabError
from netprobe.lab import Lab, LabOptions, start
from netprobe.model.objects import Object
from tests.run.netprobe import netprobe, on, started

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def dual() -> Iterator[Lab]:
    """Two nodes, both address families."""
    try:
        made = start(LabOptions(nodes=2, ip_families=("ipv4", "ipv6")), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One round for one more kind: each lasts a second. test_examine.py has two, test_permissions.py all."""
    monkeypatch.setattr(deny_all, "ROUNDS", 1)
    monkeypatch.setattr(kinds, "DENYING", {"ClusterNetworkPolicy": kinds.DENYING["ClusterNetworkPolicy"]})


def left(lab: Lab) -> list[Object]:
    return on(lab, lambda cluster: cluster.find("Namespace", None, {"netprobe.dev/run": None}))


def test_two_nodes_and_both_families(dual: Lab) -> None:
    ended = netprobe("doctor", "--kubeconfig", dual.kubeconfig, "-o", "yaml")
    assert ended.status == 0, ended.out + ended.err
    seen = {check["name"]: check["evidence"] for check in yaml.safe_load(ended.out)["checks"]}
    assert "n1 and n2; TCP, UDP; IPv4, IPv6" in seen["node to node"]
    assert "all 16 paths" in seen["ingress"]
    assert seen["address families"].startswith("IPv4 and IPv6")
    assert "kubernetes.default.svc resolves" in seen["DNS"]
    assert left(dual) == []


def test_interrupted_it_leaves_nothing(dual: Lab) -> None:
    with started("doctor", "--kubeconfig", dual.kubeconfig, "-v") as process:
        assert process.stderr is not None
        assert any("starting 4 pods" in line for line in process.stderr), "it ended before"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        assert process.returncode == 130
    assert left(dual) == []


LOCKDOWN = """
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: lockdown}
spec:
  order: 10
  namespaceSelector: projectcalico.org/name starts with 'netprobe-doctor'
  selector: netprobe.dev/role == 'server'
  types: [Ingress]
  ingress: [{action: Deny, protocol: TCP}, {action: Allow}]
"""


def test_what_the_clusters_own_policies_decide_is_not_blamed_on_its_plugin(dual: Lab) -> None:
    on(dual, lambda cluster: cluster.apply(yaml.safe_load(LOCKDOWN)))
    options = ("--nodes", 1, "-o", "json")
    ended = netprobe("doctor", "--kubeconfig", dual.kubeconfig, *options)
    on(dual, lambda cluster: cluster.delete("GlobalNetworkPolicy", "lockdown"))
    assert ended.status == 3, ended.out + ended.err
    seen = {check["name"]: check for check in json.loads(ended.out)["checks"]}
    closed = "2 of the paths between the probe pods are closed by Global"
    assert seen["own policies"]["evidence"].startswith(closed)
    assert seen["ingress"]["status"] == "unknown"
    assert "GlobalNetworkPolicy lockdown allows every path" in seen["ingress"]["evidence"]
    assert seen["ClusterNetworkPolicy"]["status"] == "ok"
