"""Objects that decide flows beside pods and NetworkPolicies: where they end up in a cluster."""

from __future__ import annotations

from ipaddress import ip_address

from netprobe.model.cluster import Node
from netprobe.model.policy import PolicyRef, Unsimulated
from tests.manifests.conftest import Problems, Read

OBJECTS = """
apiVersion: v1
kind: Node
metadata: {name: n1, labels: {zone: a}}
status:
  addresses:
    - {type: InternalIP, address: 172.31.0.1}
    - {type: ExternalIP, address: "fd00::1"}
    - {type: Hostname, address: n1}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop, labels: {trust: high}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {serviceAccountName: web, containers: []}
---
apiVersion: v1
kind: Pod
metadata: {name: plain, namespace: shop}
spec: {containers: []}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec: {template: {metadata: {labels: {app: api}}, spec: {serviceAccount: web, containers: []}}}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: guard}
spec: {tier: Baseline, priority: 3, subject: {namespaces: {}}}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {namespace: shop, name: wall}
---
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: wide, labels: 3}
"""


def test_where_objects_end_up(read: Read) -> None:
    cluster = read(OBJECTS).cluster
    addresses = (ip_address("172.31.0.1"), ip_address("fd00::1"))
    assert cluster.nodes == {"n1": Node("n1", {"zone": "a"}, addresses)}
    assert cluster.service_accounts == {("shop", "web"): {"trust": "high"}}
    accounts = {str(ref): pod.service_account for ref, pod in cluster.pods.items()}
    assert accounts == {"shop/web": "web", "shop/plain": "default", "shop/api": "web"}
    assert [(p.kind, str(p.ref), p.tier, p.order) for p in cluster.policies] == [
        ("ClusterNetworkPolicy", "guard", "Baseline", 3)
    ]
    assert list(cluster.namespaces) == ["shop"]
    assert [one.ref for one in cluster.unsimulated] == [
        PolicyRef("shop", "wall", "CiliumNetworkPolicy"),
        PolicyRef("", "wide", "CiliumClusterwideNetworkPolicy"),
    ]
    assert all(isinstance(one, Unsimulated) and one.origin for one in cluster.unsimulated)
    assert not cluster.tiers_known


def test_a_cluster_scoped_policy_exists_once_whatever_its_version(problems: Problems) -> None:
    policy = OBJECTS.split("---")[5]
    (found,) = problems(f"{policy}---{policy.replace('v1alpha2', 'v1beta1').replace('3', '4')}")
    assert "metadata.name: ClusterNetworkPolicy guard is already at m.yaml:2" in found
