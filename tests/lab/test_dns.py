"""The cluster's DNS as programs in pods meet it: an ordinary resolver, and policies that forget it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netprobe.lab import Lab
from tests.lab.playground import OPEN, Playground, on, pod, policy, service

pytestmark = pytest.mark.lab

DNS_POD = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Iterator[Playground]:
    with on(lab) as made:
        made.namespace("shop")
        made.namespace("other")
        made.apply(
            pod("shop/web", "80")
            + pod("shop/db-0", "5432", labels={"app": "db"}, hostname="db-0", subdomain="db")
            + pod("other/far", "80")
            + service("shop/web", "web", {"name": "http", "port": 8000, "targetPort": 80})
            + service("shop/db", "db", {"port": 5432}, clusterIP="None")
            + service("shop/away", None, type="ExternalName", externalName="web.shop.svc.cluster.local")
        )
        made.eventually(lambda: made.sh("shop/web", "getent hosts db")[0], 0)
        yield made


def resolved(lab: Playground, source: str, name: str, environment: str = "") -> str:
    """The address that `getent` finds for a name, the name for an address, or "" for none."""
    return " ".join(lab.sh(source, f"{environment} getent hosts {name}")[1].split())


def test_names_of_services_by_the_search_list(lab: Playground) -> None:
    vip, full = lab.vip("shop/web"), "web.shop.svc.cluster.local"
    for name in ("web", "web.shop", "web.shop.svc", full, f"{full}."):
        found = resolved(lab, "shop/db-0", name)
        assert found.split()[0] == vip, name
        assert found.split()[1].rstrip(".") == full, name
    assert resolved(lab, "other/far", "web.shop").split()[0] == vip
    lab.eventually(lambda: lab.probe("other/far", "web.shop", 8000), OPEN)
    assert resolved(lab, "other/far", "away.shop").split()[0] == vip
    for name in ("web", "example.com", "203.0.113.77"):
        assert lab.sh("other/far", f"getent hosts {name}")[0] == 2, name
    assert resolved(lab, "other/far", "kubernetes.default").split()[0] == "10.96.0.1"


def test_names_of_pods(lab: Playground) -> None:
    address = lab.address("shop/db-0")
    for name in ("db", "db-0.db", "db-0.db.shop.svc.cluster.local"):
        assert resolved(lab, "shop/web", name).split()[0] == address, name


def test_who_asks_by_udp_and_tcp_at_once(lab: Playground) -> None:
    each = "RES_OPTIONS=$([ $((i % 2)) = 0 ] && echo use-vc) getent hosts web"
    status, said = lab.sh("shop/db-0", f"for i in $(seq 40); do {each} & done; wait")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == [lab.vip("shop/web")] * 40


def test_an_egress_policy_that_forgets_dns(lab: Playground) -> None:
    """By address it works, by name it does not: until the DNS pods are let through, by their labels."""
    lab.namespace("forgot")
    to_web = {
        "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "web"}}}],
    }
    lab.apply(pod("forgot/p", "80"))
    quick = "RES_OPTIONS='timeout:1 attempts:1'"

    def by_name() -> bool:
        return resolved(lab, "forgot/p", "web.shop.svc.cluster.local.", quick) != ""

    lab.eventually(by_name, True)
    lab.apply(policy("forgot/p", None, policyTypes=["Egress"], egress=[to_web]))
    lab.eventually(by_name, False)
    lab.eventually(lambda: lab.probe("forgot/p", lab.vip("shop/web"), 8000), OPEN)
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    allow = policy("forgot/dns", None, policyTypes=["Egress"], egress=[{"to": [DNS_POD], "ports": ports}])
    lab.apply(allow)
    lab.eventually(by_name, True)
