"""Services as destinations: policies see the pods' addresses and ports, each backend for itself."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from netprobe.model.cluster import ManualEndpoint, Service, ServicePort
from netprobe.model.flow import Family, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import NamedPort, Peer, PodPeer, Policy, PortRange
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import ANTREA, CALICO, CILIUM, Profile, Simulator
from tests.semantics.stage import (
    OTHER_WEB,
    also,
    app,
    block,
    decide,
    flow,
    mark,
    param,
    pod,
    policy,
    rule,
    stage,
)

TCP, UDP = Protocol.TCP, Protocol.UDP


def service(
    *ports: ServicePort,
    selector: dict[str, str] | None = None,
    addresses: tuple[str, ...] = ("10.96.0.7",),
    external_name: str | None = None,
    publish_not_ready: bool = False,
) -> Service:
    return Service(
        ServiceRef("x", "s"),
        selector={"app": "b"} if selector is None else selector or None,
        addresses=tuple(ip_address(each) for each in addresses),
        ports=ports or (ServicePort(8000, 81), ServicePort(53, "dns", UDP), ServicePort(8001, "web")),
        external_name=external_name,
        publish_not_ready=publish_not_ready,
    )


def ends(decision: Decision) -> list[str]:
    """The backends, each as "x/b:81 ." """
    return [f"{f.destination}:{f.port} {one.verdict.mark}" for f, one in decision.backends]


def tcp(port: int) -> Policy:
    return policy("x/p", ingress=[rule(ports=[PortRange(TCP, port, port)])])


TRANSLATED = [
    param("x/a -> svc:x/s 8000", tcp(81), ["x/b:81 ."], id="policies see the pod's port, not the Service's"),
    param("x/a -> svc:x/s 8000", tcp(8000), ["x/b:81 X"], id="a rule on the Service's port opens nothing"),
    param("x/a -> 10.96.0.7 8000", tcp(81), ["x/b:81 ."], id="a Service by its address"),
    param("x/a -> svc:x/s 53/UDP", tcp(81), ["x/b:53 X"], id="a named targetPort with its protocol"),
    param("x/a -> svc:x/s 8001", tcp(81), ["x/b:81 ."], id="a named targetPort"),
]


@pytest.mark.parametrize(("asked", "one", "expected"), TRANSLATED)
def test_translation(asked: str, one: Policy, expected: list[str]) -> None:
    decision = decide(stage(one, services=[service()]), asked)
    assert ends(decision) == expected
    assert decision.verdict is decision.backends[0][1].verdict
    assert decision.because == decision.backends[0][1].because


def two_webs() -> tuple[Pod, ...]:
    return also(
        pod("x/a", {"app": "a", "tier": "t"}, "10.244.1.1"),
        pod("x/b", {"app": "b", "tier": "t"}, "10.244.1.2", ports=OTHER_WEB),
    )


def test_a_named_target_port_is_looked_up_on_each_backend() -> None:
    pods = (*two_webs(), pod("x/c", {"tier": "t"}, "10.244.1.4", ports=()))
    cluster = stage(services=[service(ServicePort(8001, "web"), selector={"tier": "t"})], pods=pods)
    assert ends(decide(cluster, "y/a -> svc:x/s 8001")) == ["x/a:80 .", "x/b:81 ."]


BACKENDS = [  # of x/a, x/b and x/c: who is isolated, and the verdict on the Service
    param(app("b"), ". X .", "?", "the backends differ: 2 of 3 would answer", id="they differ"),
    param(Selector(), "X X X", "X", None, id="they agree"),
    param(app("none"), ". . .", ".", None, id="nobody is isolated"),
]


@pytest.mark.parametrize(("isolated", "each", "verdict", "reason"), BACKENDS)
def test_only_backends_that_agree_make_one_verdict(
    isolated: Selector, each: str, verdict: str, reason: str | None
) -> None:
    cluster = stage(
        policy("x/p", isolated, ingress=()),
        services=[service(ServicePort(80, 80), selector={"tier": "t"})],
        pods=(*two_webs(), pod("x/c", {"tier": "t"}, "10.244.1.4")),
    )
    decision = decide(cluster, "y/a -> svc:x/s 80")
    assert " ".join(one.verdict.mark for _, one in decision.backends) == each
    assert (decision.verdict.mark, decision.reason) == (verdict, reason)


def test_only_pods_of_the_service_s_namespace_stand_behind_it() -> None:
    cluster = stage(services=[service(ServicePort(80, 80), selector={"app": "a"})])
    assert ends(decide(cluster, "y/b -> svc:x/s 80")) == ["x/a:80 ."]


EMPTY = "svc:x/s has no ready endpoint for 8000/TCP"
BY_HAND = "svc:x/s has no selector: its endpoints are managed manually"
NOWHERE = [
    param(service(), "8002", "svc:x/s has no port 8002/TCP", id="a port that the Service does not have"),
    param(service(), "8000/UDP", "svc:x/s has no port 8000/UDP", id="another protocol"),
    param(service(selector={"app": "none"}), "8000", EMPTY, id="no pod"),
    param(
        service(selector={}),
        "8000",
        "svc:x/s has no selector: its endpoints are managed manually",
        id="by hand",
    ),
    param(
        service(external_name="db.example.com"),
        "8000",
        "svc:x/s is an alias of db.example.com: what that resolves to is not known here",
        id="externalName",
    ),
    param(
        service(ServicePort(8000, "none")),
        "8000",
        EMPTY,
        id="a named targetPort that no backend declares",
    ),
]


@pytest.mark.parametrize(("one", "port", "reason"), NOWHERE)
def test_a_flow_that_ends_nowhere_is_neither_allowed_nor_denied(one: Service, port: str, reason: str) -> None:
    decision = decide(stage(policy("x/p", ingress=(), egress=()), services=[one]), f"x/a -> svc:x/s {port}")
    assert (decision.verdict, decision.reason) == (Verdict.UNKNOWN, reason)
    assert decision.backends == ()


def test_endpoints_that_are_managed_manually_have_protocols_and_families() -> None:
    known = (("203.0.113.5", TCP), ("203.0.113.6", UDP), ("2001:db8::5", TCP))
    endpoints = tuple(ManualEndpoint(ip_address(address), 81, protocol) for address, protocol in known)
    manual = replace(service(ServicePort(8000, 81), selector={}), endpoints=endpoints)
    assert ends(decide(stage(services=[manual]), flow("x/a -> svc:x/s 8000", family=4))) == [
        "203.0.113.5:81 ."
    ]


def test_a_pod_that_is_not_ready_is_no_endpoint() -> None:
    pods = also(pod("x/b", {"app": "b"}, "10.244.1.2", ready=False))
    asked = "x/a -> svc:x/s 8000"
    assert mark(stage(services=[service()], pods=pods), asked) == "?"
    published = stage(services=[service(publish_not_ready=True)], pods=pods)
    assert ends(decide(published, asked)) == ["x/b:81 ."]


def test_headless_leads_to_the_pods_themselves_on_the_port_that_was_asked() -> None:
    """Its name resolves to the pods, so nothing translates the port (docs, headless Services)."""
    cluster = stage(tcp(80), services=[service(addresses=())])
    assert ends(decide(cluster, "x/a -> svc:x/s 80")) == ["x/b:80 ."]
    assert ends(decide(cluster, "x/a -> svc:x/s 8000")) == ["x/b:8000 X"]


def test_node_ports_have_numbers_of_their_own() -> None:
    cluster = stage(services=[service(ServicePort(8000, 81, node_port=30080))])
    assert ends(decide(cluster, flow("x/a -> svc:x/s 30080", via=Via.NODE_PORT))) == ["x/b:81 ."]
    decision = decide(cluster, flow("x/a -> svc:x/s 8000", via=Via.NODE_PORT))
    assert decision.reason == "svc:x/s has no node port 8000/TCP"


DUAL = also(
    pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1:1"),
    pod("x/b", {"app": "b"}, "10.244.1.2", "fd00::1:2"),
    pod("x/e", {"app": ""}, "fd00::1:3"),
    pod("x/n", {}),
)
OF_SERVICES = [
    param(("10.96.0.7",), "x/a", (4,), id="a Service with IPv4 alone"),
    param(("fd00:96::7",), "x/a", (6,), id="a Service with IPv6 alone"),
    param(("10.96.0.7", "fd00:96::7"), "x/a", (4, 6), id="a Service with both"),
    param(("10.96.0.7", "fd00:96::7"), "x/e", (6,), id="a source with IPv6 alone"),
    param((), "x/a", (4, 6), id="headless: those of its pods"),
    param(("10.96.0.7",), "x/e", (), id="none in common"),
    param(("10.96.0.7",), "x/n", (4,), id="a source whose address is not known"),
]


@pytest.mark.parametrize(("addresses", "source", "families"), OF_SERVICES)
def test_the_families_of_a_service(
    addresses: tuple[str, ...], source: str, families: tuple[Family, ...]
) -> None:
    cluster = stage(services=[service(addresses=addresses)], pods=DUAL)
    simulator = Simulator(cluster)
    assert simulator.families(PodRef.parse(source), ServiceRef("x", "s")) == families
    asked = flow(f"{source} -> svc:x/s 81" if not addresses else f"{source} -> svc:x/s 8000")
    decision = simulator.decide(asked)
    assert decision.verdict is (Verdict.ALLOW if families else Verdict.UNKNOWN)
    if len(families) == 1:
        assert [f.family for f, _ in decision.backends] == list(families)


def test_a_headless_service_of_pods_without_known_addresses() -> None:
    pods = also(pod("x/b", {"app": "b"}), pod("x/n", {}))
    simulator = Simulator(stage(services=[service(addresses=())], pods=pods))
    headless = ServiceRef("x", "s")
    assert simulator.families(PodRef("x", "n"), headless) == (None,)
    assert simulator.families(PodRef("x", "a"), headless) == (4,)
    assert ends(simulator.decide(flow("x/n -> svc:x/s 81"))) == ["x/b:81 ."]


def test_a_headless_service_has_the_families_of_its_own_pods() -> None:
    pods = also(
        pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1:1"),
        pod("x/e", {"app": ""}, "fd00::1:3"),
        pod("y/b", {"app": "b"}, "fd00::2:2"),
    )
    simulator = Simulator(stage(services=[service(addresses=())], pods=pods))
    assert simulator.families(PodRef("x", "a"), ServiceRef("x", "s")) == (4,)


def test_a_service_is_judged_in_its_own_family() -> None:
    """The Service has IPv4 alone, so that is what reaches the pod, although pod and source have both."""
    cluster = stage(
        policy("x/p", app("b"), ingress=[rule([block("10.244.1.1/32")])]), services=[service()], pods=DUAL
    )
    assert mark(cluster, "x/a -> svc:x/s 8000") == "."
    decision = decide(cluster, flow("x/a -> svc:x/s 8000", family=6))
    assert (decision.verdict, decision.reason) == (Verdict.UNKNOWN, "svc:x/s has no IPv6 address")


def test_without_a_common_family_a_service_is_out_of_reach() -> None:
    decision = decide(stage(services=[service()], pods=DUAL), "x/e -> svc:x/s 8000")
    assert decision.reason == "x/e and svc:x/s have no address family in common"


def test_only_backends_with_an_address_of_the_family_count() -> None:
    pods = also(
        pod("x/b", {"app": "b"}, "10.244.1.2"),
        pod("x/c", {"app": "b"}, "fd00::1:4"),
        pod("x/d", {"app": "b"}),
    )
    cluster = stage(services=[service()], pods=pods)
    assert ends(decide(cluster, "x/a -> svc:x/s 8000")) == ["x/b:81 .", "x/d:81 ."]


ITSELF = [
    param(CALICO, "X!", id="Calico judges it as any other flow"),
    param(CILIUM, ".!", id="Cilium lets it pass"),
    param(ANTREA, ".!", id="Antrea lets it pass"),
]


@pytest.mark.parametrize(("plugin", "expected"), ITSELF)
def test_a_pod_to_itself_through_its_service(plugin: Profile, expected: str) -> None:
    cluster = stage(policy("x/p", ingress=()), services=[service()])
    assert mark(cluster, "x/b -> svc:x/s 8000", plugin) == expected
    assert mark(cluster, "x/a -> svc:x/s 8000", plugin) == "X"


BEFORE_OR_AFTER = [
    param(block("10.96.0.0/16"), "X!", id="a block that holds the Service's address alone: undefined"),
    param(block("10.244.0.0/16"), ".!", id="a block that holds the pod's address alone: undefined"),
    param(block("10.0.0.0/8"), ".", id="a block that holds both"),
    param(block("192.0.2.0/24"), "X", id="a block that holds neither"),
    param(PodPeer(app("b")), ".", id="a selector sees the pod"),
]


@pytest.mark.parametrize(("peer", "expected"), BEFORE_OR_AFTER)
def test_an_egress_block_against_a_service_s_address(peer: Peer, expected: str) -> None:
    cluster = stage(policy("x/p", app("a"), egress=[rule([peer])]), services=[service()])
    assert mark(cluster, "x/a -> svc:x/s 8000") == expected


PORTS_BEFORE = [
    param([PortRange(TCP, 8000, 8000)], "X!", id="the Service's own port: might be seen before"),
    param([PortRange(TCP, 9, 9), PortRange(TCP, 8000, 8000)], "X!", id="the Service's own port among others"),
    param([PortRange(TCP, 8001, 8001)], "X", id="neither port"),
    param([PortRange(TCP, 81, 81)], "X", id="the pod's port with the Service's address: never together"),
    param([NamedPort("web")], "X", id="a name means nothing on a Service's address"),
]


@pytest.mark.parametrize(("ports", "expected"), PORTS_BEFORE)
def test_a_service_s_address_goes_with_its_own_port(ports: list[PortRange], expected: str) -> None:
    cluster = stage(
        policy("x/p", app("a"), egress=[rule([block("10.96.0.0/16")], ports)]), services=[service()]
    )
    assert mark(cluster, "x/a -> svc:x/s 8000") == expected


def test_a_selector_next_to_a_block_settles_it() -> None:
    peers: list[Peer] = [block("10.244.0.0/16"), PodPeer(app("b"))]
    cluster = stage(policy("x/p", app("a"), egress=[rule(peers)]), services=[service()])
    assert mark(cluster, "x/a -> svc:x/s 8000") == "."
    cluster = stage(policy("x/p", app("a"), egress=[rule([peers[0]]), rule()]), services=[service()])
    assert mark(cluster, "x/a -> svc:x/s 8000") == "."


def test_blocks_of_policies_that_do_not_select_the_source_have_no_say() -> None:
    cluster = stage(
        policy("x/p", app("a"), egress=()),
        policy("x/q", app("b"), egress=[rule([block("10.96.0.0/16")])]),
        policy("x/r", app("a"), ingress=[rule([block("10.96.0.0/16")])]),
        services=[service()],
    )
    assert mark(cluster, "x/a -> svc:x/s 8000") == "X"


def test_headless_has_no_address_to_be_seen_before_translation() -> None:
    cluster = stage(
        policy("x/p", app("a"), egress=[rule([block("10.244.0.0/16")])]), services=[service(addresses=())]
    )
    assert mark(cluster, "x/a -> svc:x/s 81") == "."


REWRITTEN = [
    param(policy("x/p", app("a"), ingress=()), ".", id="nothing isolates the backend"),
    param(policy("x/p", ingress=()), "X!", id="isolated: the source may have become a node's address"),
    param(policy("x/p", ingress=[rule([block("203.0.113.0/24")])]), ".!", id="by address: may be rewritten"),
    param(policy("x/p", ingress=[rule()]), ".", id="no from: whoever it is"),
]


@pytest.mark.parametrize(("one", "expected"), REWRITTEN)
def test_ingress_that_a_node_port_or_load_balancer_rewrites(one: Policy, expected: str) -> None:
    cluster = stage(one, services=[service()])
    assert mark(cluster, "out -> svc:x/s 8000") == expected


def test_a_node_port_rewrites_pods_too_and_a_service_address_does_not() -> None:
    cluster = stage(
        policy("x/p", app("b"), ingress=[rule([PodPeer(EVERYTHING)])]),
        services=[service(ServicePort(8000, 81, node_port=8000))],
    )
    assert mark(cluster, flow("x/a -> svc:x/s 8000", via=Via.NODE_PORT)) == ".!"
    assert mark(cluster, flow("x/a -> svc:x/s 8000", via=Via.SERVICE)) == "."
    assert mark(cluster, flow("x/a -> svc:x/s 8000", via=Via.DNS)) == "."
