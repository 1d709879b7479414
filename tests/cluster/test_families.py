"""IPv4 and IPv6 on a cluster whose pods have addresses of both: each is probed for itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.account import kubectl
from tests.run.netprobe import Ended, netprobe

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
POLICIES = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: four, namespace: families-x}
spec:
  podSelector: {matchLabels: {app: four}}
  ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: six, namespace: families-x}
spec:
  podSelector: {matchLabels: {app: six}}
  ingress: [{from: [{ipBlock: {cidr: "::/0"}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: both, namespace: families-y}
spec:
  podSelector: {matchLabels: {app: both}}
  ingress:
    - from:
        - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: families-x}}
          podSelector: {matchLabels: {app: four}}
"""
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
IN_PLACE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: in-place}
expect:
  flows:
    - {from: families-z/near, to: families-z/served, port: 8080, verdict: allow}
    - {from: families-z/far, to: families-z/served, port: 8080, verdict: deny}
    - {from: families-z/far, to: families-z/closed, port: 8080, verdict: deny}
    - {from: families-z/near, to: "svc:families-z/served", port: 80, verdict: allow}
    - {from: families-z/near, to: "svc:families-z/first", port: 80, verdict: allow}
"""
WORKLOADS = """
apiVersion: v1
kind: Namespace
metadata: {name: families-z}
---
apiVersion: v1
kind: Service
metadata: {name: served, namespace: families-z}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: served}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: first, namespace: families-z}
spec:
  ipFamilyPolicy: SingleStack
  selector: {app: served}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: served, namespace: families-z}
spec:
  podSelector: {matchLabels: {app: served}}
  ingress: [{from: [{podSelector: {matchLabels: {app: near}}}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: families-z}
spec: {podSelector: {matchLabels: {app: closed}}}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: families-z, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: docker.io/library/alpine:3.20
      command: [nc, -lk, -p, "8080", -e, "true"]
      ports: [{{containerPort: 8080}}]
      readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
"""


@pytest.fixture(scope="module")
def both() -> str:
    """The kubeconfig of a cluster whose pods have two addresses."""
    from tests.cluster.real import kubeconfig

    found = kubeconfig()
    if found is None:
        pytest.skip("no real cluster: set NETPROBE_TEST_KUBECONFIG, or bring ../shared/realcluster up")
    pods = json.loads(kubectl(found, "get", "pods", "-A", "-o", "json"))["items"]
    ours = [pod for pod in pods if not pod["spec"].get("hostNetwork")]
    if not any(len(pod.get("status", {}).get("podIPs") or ()) == 2 for pod in ours):
        pytest.skip("the pods of this cluster have addresses of one family")
    return found


def run(both: str, *arguments: object) -> Ended:
    return netprobe("run", *arguments, "--kubeconfig", both, "-o", "json")


def test_a_block_of_one_family_and_a_selector_of_both(both: str, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE)
    (tmp_path / "policies.yaml").write_text(POLICIES)
    rows = run(both, suite).report["flows"]
    for protocol in ("TCP", "UDP"):
        told = [row for row in rows if row["protocol"] == protocol]
        for what in ("simulated", "observed"):
            assert {(row["from"], row["to"], row["family"]): row[what] for row in told} == SEEN
    only = run(both, suite, "--ip-family", "ipv6").report["flows"]
    assert {row["family"] for row in only} == {6}
    assert len(only) * 10 == len(rows) * 6


def test_in_place_a_denial_is_proven_in_the_family_that_it_is_about(both: str, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(IN_PLACE)
    pods = "".join(POD.format(name=name) for name in ("near", "far", "served", "closed"))
    kubectl(both, "apply", "-f", "-", stdin=WORKLOADS + pods)
    try:
        kubectl(both, "-n", "families-z", "wait", "pods", "--all", "--for=condition=Ready", "--timeout=90s")
        ended = run(both, suite, "--in-place", "--via", "dns")
    finally:
        kubectl(both, "delete", "namespace", "families-z")
    rows = {(row["from"], row["to"], row["via"], row["family"]): row for row in ended.report["flows"]}
    near, far = "families-z/near", "families-z/far"
    assert rows[near, "families-z/served", "pod", None]["observed"] == "allow"
    # near connects in both families, which proves the listener for far.
    assert rows[far, "families-z/served", "pod", None]["observed"] == "deny"
    assert rows[far, "families-z/closed", "pod", 4]["observed"] == "deny"
    unproven = rows[far, "families-z/closed", "pod", 6]
    assert (unproven["observed"], unproven["status"]) == ("unknown", "unknown")
    assert "over IPv6 on that port would prove it" in unproven["reason"]
    assert rows[near, "svc:families-z/served", "service", None]["observed"] == "allow"
    assert rows[near, "svc:families-z/served", "dns", None]["observed"] == "allow"
    of_one = [row for (_, to, *_), row in rows.items() if to == "svc:families-z/first"]
    assert {row["via"]: row["observed"] for row in of_one} == {"service": "allow", "dns": "allow"}
    assert len({row["family"] for row in of_one}) == 1
    assert ended.status == 3, "one row could not be told"
