"""Server version, nodes and network plugin, with evidence; what cannot be read is None, not an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from netprobe.errors import ClusterError
from netprobe.kube.client import KubeCluster
from netprobe.model.objects import Object

CNIS: Final[Mapping[str, str]] = {
    # a word in the image or name of a DaemonSet -> the network plugin that it belongs to
    "calico/node": "Calico",
    "calico-node": "Calico",
    "cilium": "Cilium",
    "antrea": "Antrea",
    "kube-router": "kube-router",
    "ovnkube": "OVN-Kubernetes",
    "weave": "Weave Net",
    "kindnet": "kindnet",
    "kube-network-policies": "kube-network-policies",
    "aws-node": "Amazon VPC CNI",
    "azure-npm": "Azure NPM",
    "flannel": "Flannel",
    "canal": "Canal",
}
GROUPS: Final[Mapping[str, str]] = {
    # an API group -> the network plugin whose resources it holds
    "crd.projectcalico.org": "Calico",
    "projectcalico.org": "Calico",
    "cilium.io": "Cilium",
    "crd.antrea.io": "Antrea",
    "k8s.ovn.org": "OVN-Kubernetes",
    "networking.k8s.aws": "Amazon VPC CNI",
}
LAB: Final = "+netprobe."
"""In the server version of a lab, as build metadata: "v1.33.0+netprobe.0.1.0"."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """`nodes` None: not allowed to list them. `cni` None: nothing names it; `evidence` says what did."""

    server_version: str
    lab: bool
    nodes: tuple[str, ...] | None
    cni: str | None
    evidence: str


async def facts(cluster: KubeCluster) -> ClusterFacts:
    """Read what a cluster is. ClusterError only if it does not answer at all."""
    version = str((await cluster.raw("/version")).get("gitVersion", "unknown"))
    if LAB in version:
        return ClusterFacts(version, True, await _nodes(cluster), "netprobe lab", "the server's version")
    cni, evidence = await _cni(cluster)
    return ClusterFacts(version, False, await _nodes(cluster), cni, evidence)


async def _nodes(cluster: KubeCluster) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(node["metadata"]["name"] for node in await cluster.find("Node")))
    except ClusterError:
        return None


async def _cni(cluster: KubeCluster) -> tuple[str | None, str]:
    try:
        named = cni_of(await cluster.find("DaemonSet"))
    except ClusterError as e:
        named = None, str(e)
    if named[0] is not None:
        return named
    try:
        found = await cluster.raw("/apis")
    except ClusterError:
        return named
    return cni_by_groups(group["name"] for group in found.get("groups") or ()) or named


def cni_of(sets: list[Object]) -> tuple[str | None, str]:
    """Name the network plugin from the DaemonSets of a cluster."""
    found: dict[str, str] = {}
    for obj in sets:
        meta = obj["metadata"]
        containers = obj["spec"]["template"]["spec"].get("containers") or ()
        words = [meta["name"], *(container.get("image", "") for container in containers)]
        for key, cni in CNIS.items():
            if any(key in word for word in words):
                found.setdefault(cni, f"DaemonSet {meta['namespace']}/{meta['name']}")
    if not found:
        return None, "no DaemonSet names a network plugin that is known"
    return " and ".join(found), ", ".join(found.values())


def cni_by_groups(groups: Iterable[str]) -> tuple[str, str] | None:
    """Name the network plugin from API groups, if its agent is not a DaemonSet or cannot be listed.

    Weaker evidence: resources outlive the plugin that they were made for. None if nothing is known.
    """
    found = {GROUPS[group]: f"the API group {group}" for group in groups if group in GROUPS}
    return (" and ".join(found), ", ".join(found.values())) if found else None
