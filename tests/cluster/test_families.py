"""IPv4 and IPv6 on a cluster whose pods have addresses of both: each is probed for itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cluster.account import kubectl
from tests.run.netprobe import netprobe
from tests.run.test_families_on_lab import check

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
def both(kubeconfig: str) -> str:
    """The kubeconfig of a cluster whose pods have two addresses."""
    pods = json.loads(kubectl(kubeconfig, "get", "pods", "-A", "-o", "json"))["items"]
    ours = [pod for pod in pods if not pod["spec"].get("hostNetwork")]
    if not any(len(pod.get("status", {}).get("podIPs") or ()) == 2 for pod in ours):
        pytest.skip("the pods of this cluster have addresses of one family")
    return kubeconfig


def test_a_block_of_one_family_and_a_selector_of_both(both: str, tmp_path: Path) -> None:
    check(tmp_path, "--kubeconfig", both)


def test_in_place_a_denial_is_proven_in_the_family_that_it_is_about(both: str, tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(IN_PLACE)
    pods = "".join(POD.format(name=name) for name in ("near", "far", "served", "closed"))
    kubectl(both, "apply", "-f", "-", stdin=WORKLOADS + pods)
    try:
        kubectl(both, "-n", "families-z", "wait", "pods", "--all", "--for=condition=Ready", "--timeout=90s")
        ended = netprobe("run", suite, "--in-place", "--via", "dns", "--kubeconfig", both, "-o", "json")
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
