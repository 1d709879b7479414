"""Services by real packets through the whole lab: what kube-proxy would do with each of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product

import pytest

from netprobe.lab import Lab
from tests.lab.playground import OPEN, REFUSED, SILENT, Playground, on, pod, policy, service

pytestmark = pytest.mark.lab

TCP_80 = {"port": 80, "targetPort": 8080}
NEVER = [{"conditionType": "netprobe.dev/never"}]


@pytest.fixture(scope="module")
def lab(lab: Lab) -> Iterator[Playground]:
    """Two nodes; on each a client. What a test adds besides is in a namespace of its own."""
    with on(lab) as made:
        made.namespace("clients")
        made.apply(pod("clients/one", node="n1") + pod("clients/two", node="n2"))
        yield made


def spread(lab: Playground, source: str, host: str, port: int, endpoints: set[str]) -> None:
    """Connections to a Service reach exactly these endpoints, each of them within some tries."""
    before = lab.counted()
    used: set[str] = set()
    for _ in range(100):
        lab.eventually(partial(lab.probe, source, host, port), OPEN)  # nc waits a second, a stall is longer
        used = {end for end, packets in lab.counted().items() if packets > before.get(end, 0)}
        if used == endpoints:
            break
    assert used == endpoints


def test_several_backends_behind_a_name_that_is_another_port_in_each(lab: Playground) -> None:
    lab.namespace("several")
    lab.apply(
        "".join(pod(f"several/b{n}", f"web=808{n}", labels={"app": "b"}, node=f"n{n}") for n in (1, 2))
        + pod("several/never", "web=8080", labels={"app": "b"}, readinessGates=NEVER)
        + pod("several/other", "metrics=9100", labels={"app": "b"})
        + service("several/b", "b", {"port": 80, "targetPort": "web"})
    )
    vip = lab.vip("several/b")
    lab.eventually(lambda: lab.probe("clients/one", vip, 80), OPEN)
    ends = {f"{lab.address(f'several/b{n}')}:808{n}" for n in (1, 2)}
    lab.eventually(lambda: {end for end in lab.counted() if end in ends}, ends)
    spread(lab, "clients/one", vip, 80, ends)
    spread(lab, "clients/two", vip, 80, ends)
    lab.eventually(lambda: lab.probe("clients/one", vip, 8081), REFUSED)
    lab.delete("Pod", "b1", "several")
    lab.eventually(lambda: len(ends & lab.counted().keys()), 1)
    (left,) = ends & lab.counted().keys()
    spread(lab, "clients/one", vip, 80, {left})


def test_who_is_ready_and_who_is_published(lab: Playground) -> None:
    lab.namespace("ready")
    lab.apply(
        pod("ready/p", "8080", readinessGates=NEVER)
        + service("ready/p", "p", TCP_80)
        + service("ready/early", "p", TCP_80, publishNotReadyAddresses=True)
    )
    vip, early = lab.vip("ready/p"), lab.vip("ready/early")
    lab.eventually(lambda: lab.probe("clients/one", early, 80), OPEN)
    lab.eventually(lambda: lab.probe("clients/one", vip, 80), REFUSED)
    gate = {"type": "netprobe.dev/never", "status": "True"}
    conditions = lab.get("Pod", "p", "ready")["status"]["conditions"]
    lab.patch("Pod", "ready/p", {"status": {"conditions": [*conditions, gate]}}, status=True)
    lab.eventually(lambda: lab.probe("clients/one", vip, 80), OPEN)


def test_a_node_port_on_every_node_from_inside_and_outside(lab: Playground) -> None:
    lab.namespace("ports")
    lab.namespace("netprobe-outside")
    outside = {"netprobe.dev/address": "203.0.113.9"}
    lab.apply(
        pod("ports/s", "8080", node="n2")
        + service("ports/s", "s", {**TCP_80, "nodePort": 30080}, type="NodePort")
        + pod("netprobe-outside/host", annotations=outside)
    )
    everyone = ("clients/one", "clients/two", "ports/s", "netprobe-outside/host")
    for who, number in product(everyone, (1, 2)):
        lab.eventually(partial(lab.probe, who, f"172.31.255.{number}", 30080), OPEN)
    lab.patch("Service", "ports/s", {"spec": {"externalTrafficPolicy": "Local"}})
    lab.eventually(lambda: lab.probe("netprobe-outside/host", "172.31.255.1", 30080), SILENT)
    lab.eventually(lambda: lab.probe("netprobe-outside/host", "172.31.255.2", 30080), OPEN)
    lab.eventually(lambda: lab.probe("clients/one", "172.31.255.1", 30080), OPEN)  # a pod is inside already


def test_local_endpoints_only_where_the_service_says_so(lab: Playground) -> None:
    lab.namespace("local")
    lab.apply(
        pod("local/s", "8080", node="n2") + service("local/s", "s", TCP_80, internalTrafficPolicy="Local")
    )
    vip = lab.vip("local/s")
    lab.eventually(lambda: lab.probe("clients/two", vip, 80), OPEN)
    lab.eventually(lambda: lab.probe("clients/one", vip, 80), SILENT)


def test_policies_see_the_pod_behind_the_service(lab: Playground) -> None:
    lab.namespace("seen")
    lab.apply(
        pod("seen/s", "8080", node="n2")
        + pod("seen/near", node="n2")
        + pod("seen/far", node="n1")
        + service("seen/s", "s", {**TCP_80, "nodePort": 30090}, type="NodePort")
    )
    vip = lab.vip("seen/s")

    def both() -> list[str]:
        return [lab.probe(f"seen/{who}", vip, 80) for who in ("near", "far")]

    lab.eventually(both, [OPEN, OPEN])
    lab.apply(policy("seen/p", "s", ingress=[{"ports": [{"port": 80}]}]))
    lab.eventually(both, [SILENT, SILENT])
    lab.apply(policy("seen/p", "s", ingress=[{"ports": [{"port": 8080}]}]))
    lab.eventually(both, [OPEN, OPEN])
    lab.eventually(lambda: lab.probe("seen/far", "172.31.255.2", 30090), OPEN)
    lab.delete("NetworkPolicy", "p", "seen")

    def egress(peer: object) -> str:
        return policy("seen/p", None, policyTypes=["Egress"], egress=[{"to": [peer]}])

    lab.apply(egress({"ipBlock": {"cidr": "10.96.0.0/16"}}))
    lab.eventually(both, [SILENT, SILENT])
    lab.apply(egress({"podSelector": {"matchLabels": {"app": "s"}}}))
    lab.eventually(both, [OPEN, OPEN])


def test_a_pod_reaches_itself_through_its_service_where_policies_let_it(lab: Playground) -> None:
    lab.namespace("self")
    lab.apply(pod("self/s", "8080", "5353/UDP") + service("self/s", "s", TCP_80))
    vip = lab.vip("self/s")
    lab.eventually(lambda: lab.probe("self/s", vip, 80), OPEN)
    lab.apply(policy("self/p", "s", ingress=[]))
    lab.eventually(lambda: lab.probe("self/s", vip, 80), SILENT)  # as with Calico: judged as any other
    lab.eventually(lambda: lab.probe("self/s", lab.address("self/s"), 8080), OPEN)


def test_a_host_port_leads_to_the_pod_whose_policies_see_the_pods_port(lab: Playground) -> None:
    lab.namespace("host")
    sql = {"name": "c", "image": "i", "ports": [{"containerPort": 3306, "hostPort": 33306}]}
    metrics = [{"containerPort": 9100, "name": "m"}]
    agent = {"name": "s", "image": "i", "restartPolicy": "Always", "ports": metrics}
    lab.apply(
        pod("host/sql", node="n1", containers=[sql], initContainers=[agent])
        + service("host/metrics", "sql", {"port": 80, "targetPort": "m"})
    )
    node = "172.31.255.1"
    lab.eventually(lambda: lab.probe("clients/two", node, 33306), OPEN)
    lab.eventually(lambda: lab.probe("clients/one", lab.vip("host/metrics"), 80), OPEN)
    lab.apply(policy("host/p", "sql", ingress=[{"ports": [{"port": 33306}]}]))
    lab.eventually(lambda: lab.probe("clients/two", node, 33306), SILENT)
    lab.apply(policy("host/p", "sql", ingress=[{"ports": [{"port": 3306}]}]))
    lab.eventually(lambda: lab.probe("clients/two", node, 33306), OPEN)
