"""Policy kinds as kubectl sees them: served by their definitions, in every version, and validated."""

from __future__ import annotations

from tests.lab.kubectl.conftest import Kubectl

POLICY = """\
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: kubectl-kinds}
spec:
  tier: Baseline
  priority: 7
  subject: {namespaces: {matchLabels: {no: namespace}}}
  ingress: [{action: Deny, from: [{namespaces: {}}]}]
"""


def test_a_kind_from_its_definition_to_its_last_object(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=POLICY)
    row = kubectl("get", "cnp", "kubectl-kinds", "--no-headers").split()
    assert row[:3] == ["kubectl-kinds", "Baseline", "7"]
    older = "clusternetworkpolicies.v1alpha2.policy.networking.k8s.io"
    assert kubectl.json("get", older, "kubectl-kinds")["apiVersion"] == "policy.networking.k8s.io/v1alpha2"
    refused = kubectl.fails(
        "patch", "cnp", "kubectl-kinds", "--type=merge", '-p={"spec":{"priority":-1,"tier":"x"}}'
    )
    assert "spec.priority" in refused
    assert "spec.tier" in refused
    kubectl("delete", older, "kubectl-kinds")
    assert "ClusterNetworkPolicy" not in kubectl("get", "cnp", "-o", "yaml")
    bundle = "{.metadata.annotations.policy\\.networking\\.k8s\\.io/bundle-version}"
    crd = "clusternetworkpolicies.policy.networking.k8s.io"
    assert kubectl("get", "crd", crd, f"-o=jsonpath={bundle}") == "v0.3.0"
