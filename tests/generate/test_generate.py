"""The policies that a person would write, and the sentences of a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from netprobe.generate import Generated
from netprobe.generate import generate as generate_by_crowds
from netprobe.generate.demand import PodClass
from netprobe.generate.rules import NamespaceClasses
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, External, Flow, Pod, PodRef, Protocol
from netprobe.model.policy import Direction, IPBlock, Policy
from netprobe.model.verdict import Verdict
from tests.generate.flows import listed

ALLOW, DENY = Verdict.ALLOW, Verdict.DENY
HOST = External(ip_address("203.0.113.9"))


def world(**labels: dict[str, str]) -> Cluster:
    """Pods "ns_name" with these labels, each with port 80."""
    pods = {}
    for number, (name, own) in enumerate(labels.items()):
        ref = PodRef(*name.split("_"))
        pods[ref] = Pod(ref, own, (ip_address(f"10.244.0.{number + 1}"),), (ContainerPort(80),))
    return Cluster({ref.namespace: Namespace(ref.namespace, {}) for ref in pods}, pods)


def flow(source: str | External, destination: str | External, port: int = 80) -> Flow:
    one, other = (PodRef.parse(end) if isinstance(end, str) else end for end in (source, destination))
    return Flow(one, other, port, family=4)


def declared(cluster: Cluster, *allowed: Flow) -> dict[Flow, Verdict]:
    """Everything denied but some flows."""
    found = {
        Flow(one, other, 80, family=4): DENY for one in cluster.pods for other in cluster.pods if one != other
    }
    return found | dict.fromkeys(allowed, ALLOW)


def generate(matrix: Mapping[Flow, Verdict], cluster: Cluster, **options: Any) -> Generated:
    return generate_by_crowds(listed(matrix, cluster), cluster, **options)


def policies(made: Generated) -> dict[str, Policy]:
    assert not made.refusals
    return {str(one.policy.ref): one.policy for one in made.policies}


SHOP = world(shop_web={"app": "web"}, shop_api={"app": "api"}, data_pg={"app": "pg"})


def test_a_default_deny_and_one_policy_a_subject() -> None:
    asked = declared(SHOP, flow("shop/web", "shop/api"), flow("shop/api", "data/pg"))
    found = policies(generate(asked, SHOP, denies_by_default=True, dns=False))
    assert list(found) == [
        "data/default-deny",
        "data/pg",
        "shop/default-deny",
        "shop/api",
        "shop/web",
    ]
    assert (found["shop/web"].ingress, found["data/pg"].egress) == (None, None)


def test_dns_is_opened_where_egress_is_closed_and_nobody_here_serves_it() -> None:
    asked = declared(SHOP)
    assert "shop/allow-dns" in policies(generate(asked, SHOP, denies_by_default=True))
    ref = PodRef("data", "dns")
    port = ContainerPort(53, Protocol.UDP)
    served = Cluster(SHOP.namespaces, {**SHOP.pods, ref: Pod(ref, {"app": "dns"}, ports=(port,))})
    assert "shop/allow-dns" not in policies(generate(asked, served, denies_by_default=True))


def test_a_declaration_that_allows_by_default_is_met_with_few_closings() -> None:
    asked = {**dict.fromkeys(declared(SHOP), ALLOW), flow("shop/web", "data/pg"): DENY}
    found = policies(generate(asked, SHOP, denies_by_default=False))
    assert list(found) == ["data/default-deny", "data/pg"]
    assert found["data/default-deny"].egress is None


def test_what_leaves_the_cluster_is_stopped_at_the_source() -> None:
    asked = {flow("shop/web", HOST, 443): ALLOW, flow("shop/api", HOST, 443): DENY}
    found = policies(generate(asked, SHOP, denies_by_default=False, dns=False))
    assert list(found) == ["shop/default-deny", "shop/web"]
    (rule,) = found["shop/web"].rules(Direction.EGRESS) or ()
    (block,) = rule.peers
    assert isinstance(block, IPBlock)
    assert str(block.cidr) == "203.0.113.9/32"


def test_pods_with_the_same_labels_cannot_be_distinguished() -> None:
    twins = world(
        shop_a={"app": "web", "pod-template-hash": "1"}, shop_b={"app": "web"}, data_pg={"app": "pg"}
    )
    made = generate(declared(twins, flow("shop/a", "data/pg")), twins, denies_by_default=True)
    (refusal,) = made.refusals
    assert refusal.reason == (
        "a and b of shop have the same labels (app=web): "
        "no policy can allow shop/a -> data/pg 80/TCP and deny shop/b -> data/pg 80/TCP"
    )


def test_the_way_of_a_pod_to_itself_cannot_be_denied() -> None:
    made = generate({flow("shop/web", "shop/web"): DENY}, SHOP, denies_by_default=True)
    assert "always reaches itself" in made.refusals[0].reason


def test_a_pod_on_its_nodes_network_is_refused_and_not_promised() -> None:
    ref = PodRef("shop", "agent")
    agent = Pod(ref, {"app": "agent"}, (ip_address("172.31.255.1"),), (ContainerPort(80),), host_network=True)
    cluster = Cluster(SHOP.namespaces, {**SHOP.pods, ref: agent})
    made = generate({flow("data/pg", "shop/agent"): ALLOW}, cluster, denies_by_default=True, dns=False)
    assert "hostNetwork" in made.refusals[0].reason


@pytest.mark.parametrize(
    ("own", "others", "chosen"),
    [
        ({"app": "web", "tier": "x"}, [{"app": "api"}], "app=web"),
        ({"zone": "a", "app": "web"}, [{"app": "web", "zone": "b"}], "zone=a"),
        ({"app": "w", "role": "a"}, [{"app": "w", "role": "b"}, {"app": "x", "role": "a"}], "app=w,role=a"),
        ({"app": "web"}, [{"app": "web", "canary": "yes"}], "app=web,!canary"),
        ({}, [{"app": "web"}], "!app"),
        ({}, [], "everything"),
    ],
)
def test_the_label_that_names_a_pod_is_chosen_and_no_more_than_it_takes(
    own: dict[str, str], others: list[dict[str, str]], chosen: str
) -> None:
    classes = [
        PodClass("shop", tuple(sorted(labels.items())), (PodRef("shop", f"p{n}"),), f"p{n}", n)
        for n, labels in enumerate([own, *others])
    ]
    assert str(NamespaceClasses(classes).selector(classes[0])) == chosen


def test_replicas_that_may_not_talk_are_no_peers_of_each_other() -> None:
    """What every other pod of the namespace takes from web, web does not take from its replica."""
    web = {"app": "web"}
    cluster = world(shop_web0=web, shop_web1=web, shop_api={"app": "api"}, shop_cart={"app": "cart"})
    allowed = [flow(f"shop/web{n}", f"shop/{to}") for n in (0, 1) for to in ("api", "cart")]
    found = policies(generate(declared(cluster, *allowed), cluster, denies_by_default=True, dns=False))
    assert list(found) == ["shop/default-deny", "shop/api", "shop/cart", "shop/web0"]
