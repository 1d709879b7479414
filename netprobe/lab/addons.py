"""What an installer adds to a new cluster: DNS, with the names and labels that kubeadm uses.

Policies treat these pods like any others, so an egress policy that forgets DNS blocks names.
"""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import DEPLOYMENTS, SERVICE_ACCOUNTS, SERVICES
from netprobe.lab.api.store import Store
from netprobe.lab.fabric import addresses
from netprobe.lab.fabric.network import SERVES
from netprobe.lab.fabric.state import Node
from netprobe.model.objects import Object

NAMESPACE = "kube-system"
LABELS = {"k8s-app": "kube-dns"}
_PORTS = (("dns", 53, "UDP"), ("dns-tcp", 53, "TCP"), ("metrics", 9153, "TCP"))


def install(store: Store, nodes: Sequence[Node]) -> None:
    operations = Operations(store)
    account: Object = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "coredns"}}
    versions = [address.version for address in nodes[0].addresses]
    operations.create(SERVICE_ACCOUNTS, NAMESPACE, account, lab_itself())
    operations.create(SERVICES, NAMESPACE, _service(versions), lab_itself())
    operations.create(DEPLOYMENTS, NAMESPACE, _deployment(), lab_itself())


def _service(versions: Sequence[int]) -> Object:
    own = [addresses.dns(version) for version in versions]
    labels = LABELS | {"kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "labels": labels},
        "spec": {
            "selector": dict(LABELS),
            "clusterIP": own[0],
            "clusterIPs": own,
            "ipFamilyPolicy": "SingleStack" if len(own) == 1 else "RequireDualStack",
            "ports": [
                {"name": name, "port": port, "protocol": protocol, "targetPort": port}
                for name, port, protocol in _PORTS
            ],
        },
    }


def _deployment() -> Object:
    container = {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns",
        "ports": [
            {"name": name, "containerPort": port, "protocol": protocol} for name, port, protocol in _PORTS
        ],
    }
    template = {
        "metadata": {"labels": dict(LABELS), "annotations": {SERVES: "dns"}},
        "spec": {"serviceAccountName": "coredns", "dnsPolicy": "Default", "containers": [container]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "labels": dict(LABELS)},
        "spec": {"replicas": 1, "selector": {"matchLabels": dict(LABELS)}, "template": template},
    }
