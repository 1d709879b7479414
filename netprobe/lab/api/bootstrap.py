"""What a new cluster contains: its first namespaces, its nodes, its own Service."""

from __future__ import annotations

import platform

from netprobe.lab.api.admission.services import SERVICE_NETWORKS, families
from netprobe.lab.api.discovery import ARCHITECTURE, GIT_VERSION
from netprobe.lab.api.operations import Operations, lab_itself, now
from netprobe.lab.api.resources import LEASES, NAMESPACES, NODES, SERVICES
from netprobe.lab.fabric.state import Fabric, Node
from netprobe.model.objects import Object


def bootstrap(operations: Operations, fabric: Fabric) -> None:
    for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        operations.create(NAMESPACES, "", namespace, lab_itself())
    for index, node in enumerate(fabric.nodes):
        operations.create(NODES, "", _node(node, index + 1), lab_itself())
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node.name}}
        spec = {"holderIdentity": node.name, "leaseDurationSeconds": 40}
        operations.create(LEASES, "kube-node-lease", {**lease, "spec": spec}, lab_itself())
    own_service(operations)


def own_service(operations: Operations) -> None:
    """The Service kubernetes, the address of the API for pods; it has no endpoint."""
    operations.create(
        SERVICES,
        "default",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": "kubernetes",
                "labels": {"component": "apiserver", "provider": "kubernetes"},
            },
            "spec": {
                "clusterIP": str(SERVICE_NETWORKS[families(operations.store)[0]][1]),
                "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
            },
        },
        lab_itself(),
    )


def _node(node: Node, number: int) -> Object:
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
    blocks = [
        f"10.244.{number}.0/24" if address.version == 4 else f"fd00:10:244:{number:x}::/64"
        for address in node.addresses
    ]
    return {
        "apiVersion": "v1",
        "kind": "Node",
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
