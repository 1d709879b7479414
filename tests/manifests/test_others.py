"""Objects that decide flows beside pods: Services, nodes, accounts, and policies of all kinds."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from netprobe.manifests import from_objects
from netprobe.model.cluster import Node, Service, ServicePort
from netprobe.model.flow import Protocol
from netprobe.model.policy import PolicyRef, Unsimulated
from tests.manifests.conftest import Problems, Read, places


def service(spec: str) -> Service:
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": yaml.safe_load(spec)}
    (found,) = from_objects([obj]).services.values()
    return found


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        ("{port: 80}", ServicePort(80, 80)),
        ("{port: 80, targetPort: 8080, name: web}", ServicePort(80, 8080, name="web")),
        ("{port: 53, targetPort: dns, protocol: UDP}", ServicePort(53, "dns", Protocol.UDP)),
        ("{port: 80, targetPort: 0, nodePort: 30080}", ServicePort(80, 80, node_port=30080)),
    ],
)
def test_ports(port: str, expected: ServicePort) -> None:
    assert service(f"{{ports: [{port}]}}").ports == (expected,)


@pytest.mark.parametrize(
    ("spec", "addresses", "selector"),
    [
        ("{clusterIP: 10.96.0.7, selector: {a: b}}", ["10.96.0.7"], {"a": "b"}),
        ("{clusterIPs: [10.96.0.7, 'fd00::7'], clusterIP: 10.96.0.7}", ["10.96.0.7", "fd00::7"], None),
        ("{clusterIP: None, selector: {}}", [], None),  # headless, endpoints by hand
        ("{type: ExternalName, externalName: example.com}", [], None),
        ("{selector: {a: b}}", ["10.96.0.10"], {"a": "b"}),  # never applied: the server would choose
    ],
)
def test_addresses_and_selector(spec: str, addresses: list[str], selector: dict[str, str] | None) -> None:
    found = service(spec)
    assert (list(map(str, found.addresses)), found.selector) == (addresses, selector)


def test_made_up_addresses_differ_from_given_ones() -> None:
    specs: list[dict[str, Any]] = [{}, {"clusterIP": "10.96.0.11"}, {}]
    objects = [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{index}"}, "spec": spec}
        for index, spec in enumerate(specs)
    ]
    found = [str(each.addresses[0]) for each in from_objects(objects).services.values()]
    assert found == ["10.96.0.10", "10.96.0.11", "10.96.0.12"]


def test_everything_wrong_with_a_service_at_once(problems: Problems) -> None:
    found = problems(
        "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec:\n  clusterIP: here\n  ports:\n  - {}\n"
        "  - {port: 80, targetPort: '80'}\n  - {port: 80, targetPort: 1.5}\n"
    )
    assert places(found) == [
        "m.yaml:5:3 spec.clusterIP",
        "m.yaml:7:5 spec.ports[0].port",
        "m.yaml:8:16 spec.ports[1].targetPort",
        "m.yaml:9:16 spec.ports[2].targetPort",
    ]


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
