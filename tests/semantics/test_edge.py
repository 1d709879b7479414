"""The edges of the map: a pod itself, nodes, host network. `!` marks what the API leaves undefined."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.errors import UsageError
from netprobe.model.flow import Via
from netprobe.model.labels import EVERYTHING
from netprobe.model.policy import Direction, NamedPort, Peer, PodPeer, Policy
from netprobe.model.verdict import Verdict
from netprobe.simulate import (
    ANTREA,
    CALICO,
    CILIUM,
    KUBE_NETWORK_POLICIES,
    PROFILES,
    Profile,
    Simulator,
    profile,
)
from netprobe.simulate.profile import Treatment
from tests.semantics.stage import (
    NODES,
    also,
    app,
    block,
    decide,
    facing,
    flow,
    mark,
    marks,
    param,
    pod,
    policy,
    rule,
    stage,
)

SHUT = policy("x/shut", ingress=(), egress=())
N1, N2 = (str(NODES[node]) for node in ("n1", "n2"))
EVERY_POD = PodPeer(EVERYTHING, EVERYTHING)
OWN_NODE_OPEN = replace(CALICO, name="own node open", own_node=Treatment.ALWAYS)


@pytest.mark.parametrize("asked", ["x/a -> x/a 80", "x/a -> x/a 53/UDP", "x/a -> 10.244.1.1 80"])
def test_a_pod_to_its_own_address_always_passes(asked: str) -> None:
    decision = decide(stage(SHUT), asked)
    assert decision.verdict is Verdict.ALLOW
    assert decision.undefined is None
    assert decision.reason == "a pod always reaches its own address"
    assert decision.because == ()


@pytest.mark.parametrize("asked", ["x/a -> x/b 80", "y/a -> x/a 80", "x/a -> y/a 80"])
def test_a_pod_of_the_same_group_is_not_itself(asked: str) -> None:
    """All pods of x look the same to this policy, and still only a pod itself gets through."""
    assert mark(stage(SHUT), asked) == "X"


NODE = [
    param(f"{N1} -> x/a 80", ".", id="a node to a pod on it: ingress always allowed"),
    param(f"{N2} -> x/a 80", "X", id="another node is any address"),
    param(f"{N2} -> y/a 80", ".", id="a pod that nothing isolates"),
    param(f"x/a -> {N1} 80", "X!", id="a pod to its own node: contested, shown with the profile's verdict"),
    param(f"x/a -> {N2} 80", "X", id="a pod to another node: any address"),
    param(f"y/a -> {N2} 80", ".", id="a pod that nothing isolates, to its own node: nothing to contest"),
]


@pytest.mark.parametrize(("asked", "expected"), NODE)
def test_nodes(asked: str, expected: str) -> None:
    assert mark(stage(SHUT), asked) == expected


def test_why_a_node_gets_through() -> None:
    decision = decide(stage(SHUT), f"{N1} -> x/a 80")
    assert decision.reason == "a node always reaches the pods that run on it"
    assert decision.ingress.isolating == ()


def test_a_node_is_known_by_the_pods_on_its_network_too() -> None:
    pods = also(
        pod("z/h", {}, "172.31.255.9", node="n1", host_network=True),
        pod("z/i", {}, "172.31.255.8", node=None, host_network=True),
    )
    cluster = stage(SHUT, pods=pods)
    assert marks(cluster, ["172.31.255.9 -> x/a 80", "172.31.255.8 -> x/a 80"]) == ". X"


OWN_NODE = [
    param(CALICO, block(f"{N1}/32"), ".!", id="a block that holds the node opens it"),
    param(OWN_NODE_OPEN, block("192.0.2.0/24"), ".!", id="a plugin that never holds it back"),
    param(CILIUM, block("0.0.0.0/0"), "X!", id="Cilium: no block matches a node"),
]


@pytest.mark.parametrize(("plugin", "peer", "expected"), OWN_NODE)
def test_a_pod_to_its_own_node(plugin: Profile, peer: Peer, expected: str) -> None:
    cluster = stage(policy("x/p", egress=[rule([peer])]))
    assert mark(cluster, f"x/a -> {N1} 80", plugin) == expected


def test_the_other_node_stays_shut_where_the_own_one_is_open() -> None:
    cluster = stage(SHUT)
    assert marks(cluster, [f"x/a -> {N1} 80", f"x/a -> {N2} 80"], OWN_NODE_OPEN) == ".! X"


# h1 and h2 are on the network of n1 and n2; x is on n1, y on n2
HOSTED = also(
    pod("x/h1", {"app": "h"}, "172.31.255.1", host_network=True),
    pod("x/h2", {"app": "h"}, "172.31.255.2", node="n2", host_network=True),
)
HOSTS = [
    param(policy("y/p"), "x/h1 -> x/a 80", ".", id="no policy speaks about either: as any other pod"),
    param(policy("x/p", ingress=()), "x/h1 -> x/a 80", ".!", id="as a source, its node: reaches pods on it"),
    param(policy("x/p", ingress=()), "x/h2 -> x/a 80", "X!", id="as a source, from another node: an address"),
    param(
        policy("x/p", ingress=[rule([PodPeer()])]), "x/h2 -> x/a 80", "X!", id="ignored by selectors of peers"
    ),
    param(policy("x/p", ingress=[rule([EVERY_POD])]), "x/h2 -> x/a 80", "X!", id="by the widest one too"),
    param(policy("x/p", ingress=[rule([block(f"{N2}/32")])]), "x/h2 -> x/a 80", ".!", id="a block holds it"),
    param(policy("x/p", ingress=[rule()]), "x/h2 -> x/a 80", ".!", id="no from: everybody"),
    param(policy("x/p", ingress=()), "y/a -> x/h1 80", ".!", id="as a subject: ignored, never isolated"),
    param(policy("x/p", egress=()), "x/h1 -> y/a 80", ".!", id="as a subject of egress: ignored"),
    param(policy("x/p", app("a"), ingress=()), "y/a -> x/h1 80", ".", id="not selected: nothing undefined"),
    param(policy("x/p", egress=()), "x/a -> x/h2 80", "X!", id="as a destination: an address"),
    param(policy("x/p", egress=()), "x/a -> x/h1 80", "X!", id="as a destination on the own node: contested"),
    param(policy("x/p", egress=[rule([PodPeer()])]), "x/a -> x/h2 80", "X!", id="ignored by egress"),
    param(policy("x/p", egress=[rule([block(f"{N2}/32")])]), "x/a -> x/h2 80", ".!", id="a block of `to`"),
    param(policy("x/p", ingress=(), egress=()), "x/h1 -> x/h2 80", ".!", id="two nodes: nobody isolates"),
    param(policy("x/p", ingress=(), egress=()), "x/h1 -> x/h1 80", ".", id="to itself: always"),
]


def test_a_node_whose_address_nobody_knows_is_in_no_block() -> None:
    unknown = pod("x/h3", {}, node=None, host_network=True)
    cluster = stage(policy("x/p", app("a"), egress=[rule([block("0.0.0.0/0")])]), pods=also(unknown))
    assert mark(cluster, "x/a -> x/h3 80") == "X!"


@pytest.mark.parametrize(("one", "asked", "expected"), HOSTS)
def test_pods_on_their_node_s_network(one: Policy, asked: str, expected: str) -> None:
    assert mark(stage(one, pods=HOSTED), asked) == expected


def test_a_pod_on_its_node_s_network_without_a_known_address() -> None:
    """Its node is known by name, so it is still the node of the pods that run there."""
    pods = also(
        replace(pod("z/h", {}, node="n1", host_network=True), node_addresses=()),
        replace(pod("z/i", {}, host_network=True), node=None, node_addresses=()),
        replace(pod("x/c", {}, "10.244.1.9"), node=None, node_addresses=()),
    )
    asked = ["z/h -> x/a 80", "z/h -> y/a 80", "z/h -> x/c 80", "z/i -> x/a 80", "z/i -> x/c 80"]
    cluster = stage(SHUT, policy("y/shut", ingress=()), pods=pods)
    assert marks(cluster, asked) == ".! X! X! X! X!"


def test_a_named_port_does_not_match_a_pod_on_its_node_s_network() -> None:
    cluster = stage(policy("x/p", egress=[rule(ports=[NamedPort("web")])]), pods=HOSTED)
    assert marks(cluster, ["x/a -> x/h2 80", "x/a -> y/a 80"]) == "X! ."


def test_no_block_of_cilium_matches_a_node() -> None:
    cluster = stage(policy("x/p", ingress=[rule([block("0.0.0.0/0")])]), pods=HOSTED)
    asked = ["x/h2 -> x/a 80", f"{N2} -> x/a 80", "out -> x/a 80"]
    assert marks(cluster, asked, CALICO) == ".! . ."
    assert marks(cluster, asked, CILIUM) == "X! X ."


@pytest.mark.parametrize("direction", Direction)
def test_an_address_that_a_pod_has_is_that_pod(direction: Direction) -> None:
    cluster = stage(facing(direction, "z/p", None, rule([PodPeer(app("b"), EVERYTHING)])))
    ends = ("10.244.1.2", "10.244.1.1")
    asked = [f"{e} -> z/a 80" if direction is Direction.INGRESS else f"z/a -> {e} 80" for e in ends]
    assert marks(cluster, asked) == ". X"


def test_between_two_addresses_outside_no_policy_decides() -> None:
    decision = decide(stage(SHUT), "out -> 198.51.100.7 80")
    assert (decision.verdict, decision.reason) == (Verdict.UNKNOWN, "neither end is a pod of the cluster")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        param("x/gone -> x/a 80", "there is no pod x/gone", id="source"),
        param("x/a -> x/gone 80", "there is no pod x/gone", id="destination"),
        param("x/a -> svc:x/gone 80", "there is no Service svc:x/gone", id="Service"),
        param("svc:x/s -> x/a 80", "svc:x/s cannot be the source of a flow", id="a Service as the source"),
    ],
)
def test_an_end_that_is_not_there_is_the_asker_s_mistake(asked: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Simulator(stage()).decide(flow(asked))


def test_profiles_by_name() -> None:
    assert {name: profile(name) for name in PROFILES} == {
        "calico": CALICO,
        "cilium": CILIUM,
        "kube-network-policies": KUBE_NETWORK_POLICIES,
        "antrea": ANTREA,
    }
    with pytest.raises(UsageError, match="there is no profile 'flannel'; choose from calico, cilium"):
        profile("flannel")


def test_a_pod_to_itself_through_the_host_is_itself() -> None:
    assert mark(stage(SHUT), flow("x/a -> x/a 80", via=Via.HOST)) == "."
