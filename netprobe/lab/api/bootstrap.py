"""What a new cluster contains: its first namespaces, its nodes, its own Service, and DNS.

DNS has the names and labels that kubeadm uses. Policies treat its pods like any others, so an egress policy
that forgets DNS blocks names.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from netprobe.lab.api import resources as r
from netprobe.lab.api.admission import policy_definition
from netprobe.lab.api.defaults import SERVICE_NETWORKS, families
from netprobe.lab.api.discovery import ARCHITECTURE, GIT_VERSION
from netprobe.lab.api.operations import Operations, lab_itself, now
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.store import Store
from netprobe.lab.fabric import addresses
from netprobe.lab.fabric.network import SERVES
from netprobe.lab.fabric.state import Fabric, LabNode
from netprobe.model.objects import Object

_DNS_LABELS = {"k8s-app": "kube-dns"}
_DNS_PORTS = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))
_TIERS = {
    "kube-admin": {"order": 1_000, "defaultAction": "Pass"},
    "default": {"order": 1_000_000, "defaultAction": "Deny"},
    "kube-baseline": {"order": 10_000_000, "defaultAction": "Pass"},
}
"""The tiers that Calico makes when it starts."""


def bootstrap(operations: Operations, fabric: Fabric) -> None:
    """Namespaces, nodes, the Service kubernetes, the definitions of the policy kinds, Calico's tiers."""
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        _create(operations, r.NAMESPACES, "", {"name": name})
    for index, node in enumerate(fabric.nodes):
        operations.create(r.NODES, "", _node(node, index + 1), lab_itself())
        lease = {"holderIdentity": node.name, "leaseDurationSeconds": 40}
        _create(operations, r.LEASES, "kube-node-lease", {"name": node.name}, lease)
    own_service(operations)
    for resource, kind in r.DEFINED.items():
        operations.create(r.DEFINITIONS, "", policy_definition(resource), lab_itself())
        if kind.key == "Tier":
            for name, spec in _TIERS.items():
                _create(operations, resource, "", {"name": name}, spec)


def _create(
    operations: Operations,
    resource: Resource,
    namespace: str,
    metadata: Object,
    spec: Mapping[str, Any] | None = None,
) -> None:
    obj = {"metadata": metadata} | ({} if spec is None else {"spec": spec})
    operations.create(resource, namespace, obj, lab_itself())


def own_service(operations: Operations) -> None:
    """The Service kubernetes, the address of the API for pods; it has no endpoint."""
    labels = {"component": "apiserver", "provider": "kubernetes"}
    spec = {
        "clusterIP": str(SERVICE_NETWORKS[families(operations.store)[0]][1]),
        "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
    }
    _create(operations, r.SERVICES, "default", {"name": "kubernetes", "labels": labels}, spec)


def install_dns(store: Store) -> None:
    """DNS for the pods. Tests of the API alone do without it."""
    operations = Operations(store)
    own = [addresses.dns(int(family[-1])) for family in families(store)]
    labels = _DNS_LABELS | {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    service = {
        "selector": dict(_DNS_LABELS),
        "clusterIP": own[0],
        "clusterIPs": own,
        "ipFamilyPolicy": "SingleStack" if len(own) == 1 else "RequireDualStack",
        "ports": [
            {"name": name, "port": port, "protocol": protocol, "targetPort": port}
            for name, port, protocol in _DNS_PORTS
        ],
    }
    ports = [
        {"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in _DNS_PORTS
    ]
    container = {"name": "coredns", "image": "registry.k8s.io/coredns/coredns", "ports": ports}
    template = {
        "metadata": {"labels": dict(_DNS_LABELS), "annotations": {SERVES: "dns"}},
        "spec": {"serviceAccountName": "coredns", "dnsPolicy": "Default", "containers": [container]},
    }
    deployment = {"replicas": 1, "selector": {"matchLabels": dict(_DNS_LABELS)}, "template": template}
    _create(operations, r.SERVICE_ACCOUNTS, "kube-system", {"name": "coredns"})
    _create(operations, r.SERVICES, "kube-system", {"name": "kube-dns", "labels": labels}, service)
    metadata = {"name": "coredns", "labels": dict(_DNS_LABELS)}
    _create(operations, r.DEPLOYMENTS, "kube-system", metadata, deployment)


def _node(node: LabNode, number: int) -> Object:
    time = now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
        "lastHeartbeatTime": time,
        "lastTransitionTime": time,
    }
    size = {"cpu": "8", "memory": "16Gi", "pods": "1000"}
    blocks = [addresses.block(number, address.version) for address in node.addresses]
    return {
        "metadata": {
            "name": node.name,
            "labels": {
                "kubernetes.io/hostname": node.name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": ARCHITECTURE,
                "beta.kubernetes.io/os": "linux",  # old names, still found in manifests
                "beta.kubernetes.io/arch": ARCHITECTURE,
            },
        },
        "spec": {"podCIDR": blocks[0], "podCIDRs": blocks, "providerID": f"netprobe://{node.name}"},
        "status": {
            "addresses": [
                *({"type": "InternalIP", "address": str(address)} for address in node.addresses),
                {"type": "Hostname", "address": node.name},
            ],
            "allocatable": size,
            "capacity": size,
            "conditions": [ready],
            "nodeInfo": {
                "architecture": ARCHITECTURE,
                "bootID": "",
                "containerRuntimeVersion": "netprobe-lab://network-namespaces",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": "",
                "kubeletVersion": GIT_VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "netprobe lab (images are not run)",
                "systemUUID": "",
            },
        },
    }
