"""A first suite from a cluster: its pods, its policies, and what they allow as a declaration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import yaml

from netprobe.generate.propose import propose
from netprobe.generate.text import block_lines, comments, row_text
from netprobe.manifests.workload import ROLLOUT_LABELS
from netprobe.model.cluster import Cluster
from netprobe.model.flow import ContainerPort, Pod, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL
from netprobe.simulate import CALICO, Profile

SYSTEM: Final = frozenset(
    {
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "local-path-storage",
        "calico-system",
        "calico-apiserver",
    }
    | {"tigera-operator", "netprobe-outside"}
)
"""Namespaces that a suite cannot create."""
CHANGING: Final = ROLLOUT_LABELS | {"job-name"}
"""Labels for which controllers choose new values."""
HIDDEN: Final = ("managedFields", "resourceVersion", "uid", "generation", "creationTimestamp")
FOLDER: Final = "policies"


@dataclass(frozen=True, slots=True)
class FirstSuite:
    """The suite, and the policies that it names, by their names in the folder `policies/`."""

    text: str
    policies: Mapping[str, str]
    pods: int
    rows: int


def first_suite(
    cluster: Cluster, name: str, namespaces: Iterable[str] = (), profile: Profile = CALICO
) -> FirstSuite:
    """A suite of one pod for each workload. `namespaces`: only these; without any, all but the system's."""
    wanted = frozenset(namespaces) or frozenset(cluster.namespaces) - SYSTEM
    pods = _one_per_workload(pod for pod in cluster.pods.values() if pod.ref.namespace in wanted)
    policies = tuple(p for p in cluster.policies if not p.ref.namespace or p.ref.namespace in wanted)
    used = {pod.namespace for pod in pods} | {policy.ref.namespace for policy in policies}
    named = {n: one for n, one in cluster.namespaces.items() if n in used}
    small = replace(cluster, namespaces=named, pods=pods, policies=policies, services={})
    rows = propose(small, profile)
    texts = dict(_policy(small, policy.ref.kind, str(policy.ref)) for policy in policies)
    suite: dict[str, Any] = {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConnectivitySuite",
        "metadata": {"name": name},
        "topology": {"namespaces": [_namespace(small, one) for one in named]},
    }
    head = (
        "# Written by netprobe init: the pods that were found, and all that the policies allow today.\n"
        "# Remove the rows that should not be allowed; netprobe run and simulate show the difference.\n"
        + comments(cluster.warnings)
    )
    body = "\n".join(block_lines(suite | ({"policies": [f"{FOLDER}/"]} if texts else {})))
    flows = "".join(f"    - {row_text(row)}\n" for row in rows)
    expect = "expect:\n  default: deny\n" + (f"  flows:\n{flows}" if flows else "")
    return FirstSuite(f"{head}{body}\n{expect}", texts, len(pods), len(rows))


def _one_per_workload(pods: Iterable[Pod]) -> dict[PodRef, Pod]:
    """Pods of one workload are alike to every policy; those on their node's network have none."""
    found: dict[PodRef, Pod] = {}
    for pod in pods:
        if not pod.host_network:
            labels = {key: value for key, value in pod.labels.items() if key not in CHANGING}
            ref = PodRef(pod.ref.namespace, pod.workload_name)
            found.setdefault(
                ref, replace(pod, ref=ref, labels=labels, addresses=(), node=None, workload=None)
            )
    return found


def _namespace(cluster: Cluster, name: str) -> dict[str, Any]:
    labels = {key: value for key, value in cluster.namespaces[name].labels.items() if key != NAME_LABEL}
    pods = [_pod(pod) for pod in cluster.pods.values() if pod.ref.namespace == name]
    return {"name": name} | ({"labels": labels} if labels else {}) | ({"pods": pods} if pods else {})


def _pod(pod: Pod) -> dict[str, Any]:
    ports = [_port(port) for port in pod.ports]
    found: dict[str, Any] = {"name": pod.ref.name}
    return found | ({"labels": dict(pod.labels)} if pod.labels else {}) | ({"ports": ports} if ports else {})


def _port(port: ContainerPort) -> int | dict[str, Any]:
    if port.name is None and port.protocol is Protocol.TCP:
        return port.number
    found: dict[str, Any] = {"port": port.number}
    found |= {"protocol": port.protocol.value} if port.protocol is not Protocol.TCP else {}
    return found | ({"name": port.name} if port.name else {})


def _policy(cluster: Cluster, kind: str, ref: str) -> tuple[str, str]:
    """The name of a policy's file, and its text, without what the API server adds."""
    obj = cluster.sources[kind, ref].object
    namespace, _, name = ref.rpartition("/")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in HIDDEN}
    metadata |= {"namespace": namespace} if namespace else {}
    shown = {key: value for key, value in obj.items() if key not in {"status", "metadata"}}
    ordered = {
        "apiVersion": shown.pop("apiVersion"),
        "kind": shown.pop("kind"),
        "metadata": metadata,
        **shown,
    }
    text: str = yaml.dump(ordered, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    file = re.sub(r"[^a-z0-9.-]+", "-", f"{namespace}-{name}".strip("-").lower())
    prefix = "" if kind == "NetworkPolicy" else f"{kind.partition('.')[0].lower()}-"
    return f"{prefix}{file}.yaml", text
