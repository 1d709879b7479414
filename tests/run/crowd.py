"""A cluster of many pods and two kinds of them, and a suite about the pods of a cluster."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PolicyRef, Rule, Subject

HTTP = (ContainerPort(80),)
SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: there}
expect: {default: allow}
"""


def pod(namespace: str, name: str, number: int, **labels: str) -> Pod:
    return Pod(
        PodRef(namespace, name), labels, (ip_address("10.0.0.0") + number,), HTTP, node=f"n{number % 3}"
    )


def crowd(count: int = 12) -> Cluster:
    """web and db in turn; db lets only web in, and nobody looks at `team`."""
    pods = [
        pod("shop", f"{app}-{number}", number, app=app, team=f"t{number}")
        for number in range(count)
        for app in ("web", "db")[number % 2 :][:1]
    ]
    rule = Rule((PodPeer(Selector.of({"app": "web"})),))
    policy = Policy(PolicyRef("shop", "db"), Subject(Selector.of({"app": "db"})), ingress=(rule,))
    return Cluster({"shop": Namespace("shop", {})}, {one.ref: one for one in pods}, (policy,))


def only_ready(pod: Pod) -> int:
    return int(pod.ready)


def suite(folder: Path, text: str = SUITE) -> Path:
    path = folder / "suite.yaml"
    path.write_text(text)
    return path
