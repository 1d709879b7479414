"""IPv4 and IPv6 on a cluster whose pods have addresses of both: each is probed for itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.errors import LabError
from netprobe.lab import LabOptions, start
from tests.manifest_text import documents, policy
from tests.run.netprobe import netprobe

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: families}
topology:
  namespaces:
    - name: families-x
      pods:
        - {name: four, labels: {app: four}, ports: [80, 53/UDP]}
        - {name: six, labels: {app: six}, ports: [80, 53/UDP]}
    - name: families-y
      pods:
        - {name: both, labels: {app: both}, ports: [80, 53/UDP]}
policies: [policies.yaml]
expect: {default: allow}
"""
FROM_FOUR = (
    "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: families-x}}, "
    "podSelector: {matchLabels: {app: four}}}"
)
POLICIES = documents(
    *(
        policy(
            f"{{podSelector: {{matchLabels: {{app: {name}}}}}, ingress: [{{from: [{peer}]}}]}}",
            name=name,
            namespace=namespace,
        )
        for name, namespace, peer in (
            ("four", "families-x", "{ipBlock: {cidr: 0.0.0.0/0}}"),
            ("six", "families-x", "{ipBlock: {cidr: '::/0'}}"),
            ("both", "families-y", FROM_FOUR),
        )
    )
)
SEEN = {  # source, destination, family (None: both alike) -> what passes
    ("families-x/six", "families-x/four", 4): "allow",
    ("families-x/six", "families-x/four", 6): "deny",
    ("families-y/both", "families-x/four", 4): "allow",
    ("families-y/both", "families-x/four", 6): "deny",
    ("families-x/four", "families-x/six", 4): "deny",
    ("families-x/four", "families-x/six", 6): "allow",
    ("families-y/both", "families-x/six", 4): "deny",
    ("families-y/both", "families-x/six", 6): "allow",
    ("families-x/four", "families-y/both", None): "allow",
    ("families-x/six", "families-y/both", None): "deny",
}


def check(folder: Path, *where: object) -> None:
    """Run the suite on a cluster whose pods have addresses of both families."""
    suite = folder / "suite.yaml"
    suite.write_text(SUITE)
    (folder / "policies.yaml").write_text(POLICIES)
    rows = netprobe("run", suite, *where, "-o", "json").report["flows"]
    for protocol in ("TCP", "UDP"):
        output = [row for row in rows if row["protocol"] == protocol]
        for what in ("simulated", "observed"):
            assert {(row["from"], row["to"], row["family"]): row[what] for row in output} == SEEN
    only = netprobe("run", suite, *where, "--ip-family", "ipv6", "-o", "json").report["flows"]
    assert {row["family"] for row in only} == {6}
    assert len(only) * len(SEEN) == len(rows) * len({(source, to) for source, to, _ in SEEN})


@pytest.mark.lab
def test_a_block_of_one_family_and_a_selector_of_both(tmp_path: Path) -> None:
    try:
        lab = start(LabOptions(ip_families=("ipv4", "ipv6")), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with lab:
        check(tmp_path, "--kubeconfig", lab.kubeconfig)
