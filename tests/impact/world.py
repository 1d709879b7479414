"""A small world: shop/web, shop/api (two pods of one Deployment), data/pg."""

from __future__ import annotations

from ipaddress import ip_address

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import Peer, Policy, PolicyRef, Rule, Subject


def pod(name: str, last: int, app: str, port: int, workload: str | None = None) -> Pod:
    namespace, _, name = name.partition("/")
    address = ip_address(f"10.244.0.{last}")
    return Pod(PodRef(namespace, name), {"app": app}, (address,), (ContainerPort(port),), workload=workload)


PODS = (
    pod("shop/web", 1, "web", 80),
    pod("shop/api-1", 2, "api", 8080, "Deployment/api"),
    pod("shop/api-2", 3, "api", 8080, "Deployment/api"),
    pod("data/pg", 4, "pg", 5432),
)
WORLD = Cluster(
    {name: Namespace(name, {NAME_LABEL: name}) for name in ("shop", "data")},
    {one.ref: one for one in PODS},
)


def allow(name: str, subjects: Selector, *peers: Peer, namespace: str = "shop") -> Policy:
    """Ingress from some peers on every port."""
    return Policy(PolicyRef(namespace, name), Subject(subjects), ingress=(Rule(peers),))
