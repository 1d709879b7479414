"""Tiers, orders and actions: who reaches x/a on TCP 80, and which rules and policies decide (kinds.md).

The columns are x/b and y/a, whose policies are the subject's only. A row holds for both directions: with
EGRESS x/a is the source.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import PodRef, Protocol, ServiceRef
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import (
    ADMIN_TIER,
    ANY_PEER,
    ANY_PORT,
    BASELINE_TIER,
    DEFAULT_TIER,
    STANDARD_TIERS,
    Action,
    Direction,
    DomainPeer,
    NamedPort,
    Networks,
    NetworkSet,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
    Tier,
    UnknownPeer,
)
from netprobe.model.verdict import Side, Verdict
from netprobe.simulate import CALICO, CILIUM, KUBE_NETWORK_POLICIES, evaluate
from tests.semantics.stage import (
    OTHER_WEB,
    also,
    app,
    block,
    decide,
    flow,
    mark,
    marks,
    param,
    pod,
    policy,
    rule,
    stage,
    toward,
)

ALLOW, DENY, PASS, LOG = Action.ALLOW, Action.DENY, Action.PASS, Action.LOG
EARLY = Tier("early", 5, DENY)
ALSO_1000 = Tier("zone", 1_000, DENY)
TIERS = (BASELINE_TIER, ALSO_1000, DEFAULT_TIER, EARLY, ADMIN_TIER)
"""Not in their order, which is in the records."""

X_A = Subject(app("a"), Selector.of({"team": "one"}))
B = PodPeer(app("b"), EVERYTHING)


def to(action: Action, *peers: Peer, ports: Iterable[Port] = ANY_PORT) -> Rule:
    return Rule(peers or ANY_PEER, tuple(ports), action)


def coming_from(first: int, last: int, protocol: Protocol = Protocol.TCP) -> Rule:
    """A rule that allows connections from these ports."""
    return replace(to(ALLOW), source_ports=(PortRange(protocol, first, last),))


def tiered(name: str, tier: Tier | str, *rules: Rule, order: float = 0, subject: Subject = X_A) -> Policy:
    """A cluster-scoped policy of another kind than NetworkPolicy, for both directions."""
    ref = PolicyRef("", name, "Other")
    tier_name = tier if isinstance(tier, str) else tier.name
    return Policy(ref, subject, rules, rules, tier=tier_name, order=order)


def np(*rules: Rule) -> Policy:
    return policy("x/np", app("a"), ingress=rules, egress=rules)


OPEN = [  # x/b y/a
    param([], ". .", id="no policy"),
    # one tier
    param([tiered("p", EARLY, to(ALLOW, B))], ". X", id="no match: the tier's default, DENY"),
    param(
        [tiered("p", EARLY, subject=Subject(app("a"), Selector.of({NAME_LABEL: "z"})))],
        ". .",
        id="a subject of other namespaces does not count",
    ),
    # the order of policies
    param(
        [tiered("b", ADMIN_TIER, to(ALLOW), order=1.5), tiered("c", ADMIN_TIER, to(DENY, B), order=-1)],
        "X .",
        id="orders may be negative and have fractions",
    ),
    param(
        [tiered("pa", ADMIN_TIER, to(ALLOW)), tiered("pa-x", ADMIN_TIER, to(DENY, B))],
        "X .",
        id="one order: by the text NAME/NAMESPACE/KIND, so pa-x is before pa",
    ),
    # the order of tiers
    param(
        [tiered("a", ALSO_1000, to(DENY)), tiered("z", ADMIN_TIER, to(ALLOW, B))],
        ". X",
        id="tiers of one order by name",
    ),
    param(
        [tiered("a", "gone", to(ALLOW, B)), tiered("z", BASELINE_TIER, to(PASS))],
        ". X",
        id="a tier that does not exist comes last and denies",
    ),
    param([tiered("a", "gone"), tiered("z", BASELINE_TIER, to(ALLOW, B))], ". X", id="... after all others"),
    # between tiers
    param(
        [tiered("a", EARLY, to(PASS, B)), tiered("b", EARLY, to(DENY, B), order=1)],
        ". X",
        id="PASS skips the later policies of its tier",
    ),
    param(
        [tiered("a", EARLY, to(PASS)), tiered("b", ADMIN_TIER, to(PASS)), tiered("z", "gone")],
        "X X",
        id="PASS through several tiers",
    ),
    # peers
    param(
        [tiered("p", EARLY, to(ALLOW, PodPeer()), subject=Subject(namespaces=EVERYTHING))],
        "X X",
        id="the own namespace of a policy that has none",
    ),
    param([tiered("p", EARLY, to(ALLOW, UnknownPeer()))], "X X", id="an unknown peer matches nobody"),
    param([tiered("p", EARLY, to(ALLOW, UnknownPeer(), B))], "X! X", id="... and its rule allows nobody"),
    param(
        [tiered("p", EARLY, to(ALLOW, Networks((ip_network("10.244.1.0/24"),))))],
        ". X",
        id="networks match pods",
    ),
    param(
        [tiered("p", EARLY, to(ALLOW, Networks((ip_network("192.0.2.0/24"), ip_network("10.244.2.0/24")))))],
        "X .",
        id="any of several networks",
    ),
    param(
        [tiered("p", EARLY, to(ALLOW, ports=[PortRange(first=79, last=81)]))], ". .", id="a range of ports"
    ),
    param([tiered("p", EARLY, to(ALLOW, ports=[PortRange(first=81)]))], "X X", id="another port"),
    param([tiered("p", EARLY, to(ALLOW, ports=[OtherProtocol("ICMP")]))], "X X", id="another protocol"),
    # the port that a client connects from is any of 32768 to 60999
    param([tiered("p", EARLY, coming_from(1, 32767))], "X X", id="no client has such a port"),
    param([tiered("p", EARLY, coming_from(32768, 60999))], ". .", id="every client has such a port"),
    param([tiered("p", EARLY, coming_from(32769, 60999))], "X! X!", id="some clients have such a port"),
    param(
        [tiered("p", EARLY, replace(coming_from(40000, 50000), action=DENY), to(ALLOW))],
        ".! .!",
        id="some clients are denied",
    ),
    param([tiered("p", EARLY, coming_from(60999, 65535))], "X! X!", id="the last port of clients"),
    param([tiered("p", EARLY, coming_from(61000, 65535))], "X X", id="above the ports of clients"),
    param(
        [tiered("p", EARLY, coming_from(32768, 60999, Protocol.UDP))], "X X", id="ports of another protocol"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "expected"), OPEN)
@pytest.mark.parametrize("direction", Direction)
def test_who_is_let_through(policies: list[Policy], expected: str, direction: Direction) -> None:
    cluster = replace(stage(*policies), tiers=TIERS)
    assert marks(cluster, toward(direction, "x/a", "x/b y/a")) == expected


def test_a_policy_for_one_direction_leaves_the_other_alone() -> None:
    only = replace(tiered("p", EARLY, to(DENY)), egress=None)
    cluster = replace(stage(only), tiers=TIERS)
    assert marks(cluster, ["x/b -> x/a 80", "x/a -> x/b 80"]) == "X ."


def test_networks_match_pods_with_every_plugin_and_blocks_do_not() -> None:
    networks = Networks((ip_network("10.244.1.2/32"), ip_network("fd00::/64")))
    flows = ["x/b -> x/a 80", "x/e -> x/a 80"]
    for peer, expected in ((networks, ". X"), (block("10.244.1.2/32"), "X X")):
        cluster = replace(stage(tiered("p", EARLY, to(ALLOW, peer))), tiers=TIERS)
        assert marks(cluster, flows, CILIUM) == expected


def test_networks_take_a_pod_without_an_address_at_the_end_of_the_pod_network() -> None:
    cluster = stage(
        tiered("p", BASELINE_TIER, to(DENY, Networks((ip_network("10.244.255.0/24"),)))),
        pods=also(pod("x/b", {"app": "b"})),
    )
    assert marks(cluster, ["x/b -> x/a 80", "y/a -> x/a 80"]) == "X ."


def test_what_is_open_about_a_peer_is_open_about_its_negation() -> None:
    no_domain = tiered("p", ADMIN_TIER, to(DENY, NotPeer(DomainPeer(("example.com",)))))
    assert marks(stage(no_domain), ["x/a -> x/b 80", "x/a -> out 80"], KUBE_NETWORK_POLICIES) == "X X!"
    office = NetworkSet("y", "office", {}, (ip_network("203.0.113.0/24"),))
    two = PodPeer(EVERYTHING, Selector.of({"team": "two"}), sets=None)
    cluster = replace(stage(tiered("p", ADMIN_TIER, to(DENY, NotPeer(two)))), network_sets=(office,))
    assert marks(cluster, ["out -> x/a 80", "x/b -> x/a 80"]) == ".! X"


def test_a_port_by_name_is_that_of_each_destination() -> None:
    named = tiered(
        "p", EARLY, to(DENY, B, ports=[NamedPort("web")]), to(ALLOW), subject=Subject(namespaces=EVERYTHING)
    )
    cluster = replace(
        stage(named, pods=also(pod("y/b", {"app": "b"}, "10.244.2.2", ports=OTHER_WEB))), tiers=TIERS
    )
    assert marks(cluster, ["x/b -> x/a 80", "x/b -> y/b 80", "x/b -> x/n 81", "x/b -> y/b 81"]) == "X . . X"


def test_a_denial_by_name_is_narrowed_to_the_subjects_that_have_it() -> None:
    """x/e and x/b are under the same policies, and only one of them calls 81 "web"."""
    own = Subject(namespaces=Selector.of({"team": "one"}))
    policies = [tiered("p", ADMIN_TIER, to(DENY, ports=[NamedPort("web")]), to(ALLOW, B), subject=own)]
    cluster = replace(stage(*policies, tiered("z", BASELINE_TIER, to(DENY), subject=own)), tiers=TIERS)
    assert marks(cluster, ["y/b -> x/b 81", "y/b -> x/e 81", "y/a -> x/e 81"]) == "X . X"


def test_each_family_of_a_pair_says_for_itself_whether_it_is_undefined() -> None:
    pods = also(
        pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1"), pod("x/b", {"app": "b"}, "10.244.1.2", "fd00::2")
    )
    only = tiered("p", EARLY, to(ALLOW, Networks((ip_network("::/0"),))), coming_from(40000, 50000))
    evaluation = evaluate(replace(stage(only, pods=pods), tiers=TIERS))
    pairs = evaluation.pairs(80, sources=[PodRef("x", "b")], destinations=[PodRef("x", "a")])
    assert [(each.family, each.verdict.mark, each.undefined) for each in pairs] == [
        (4, "X", True),
        (6, ".", False),
    ]


def causes(side: Side) -> str:
    """Each cause as "tier policy effect rule"."""
    return ", ".join(
        f"{cause.tier} {cause.policy} {cause.effect.value}" + ("" if cause.rule is None else f" {cause.rule}")
        for cause in side.because
    )


BECAUSE = [
    param([tiered("p", ADMIN_TIER, to(LOG), to(DENY))], "Admin p denies 1", id="a rule that denies"),
    param(
        [tiered("p", ADMIN_TIER, to(DENY), to(DENY, B), to(ALLOW), to(DENY))],
        "Admin p denies 0, Admin p denies 1",
        id="each of the first rules with one action would have decided",
    ),
    param([tiered("p", EARLY)], "early p tier-default", id="the default of a tier"),
    param([np()], "default x/np isolates", id="... which isolates for a NetworkPolicy"),
    param(
        [tiered("p", ADMIN_TIER, to(PASS, B)), np(rule())],
        "Admin p passes 0, default x/np allows 0",
        id="a rule that passes is a cause",
    ),
    param(
        [tiered("p", ADMIN_TIER, to(ALLOW, UnknownPeer())), np(rule())],
        "default x/np allows 0",
        id="a default that passes is none",
    ),
    param([tiered("p", ADMIN_TIER, to(ALLOW, UnknownPeer()))], "", id="nothing decides"),
    param([tiered("p", ADMIN_TIER, to(PASS, UnknownPeer()))], "Admin p denies 0", id="a rule fails closed"),
]  # fmt: skip


@pytest.mark.parametrize(("policies", "expected"), BECAUSE)
def test_what_decides(policies: list[Policy], expected: str) -> None:
    decision = decide(replace(stage(*policies), tiers=TIERS), "x/b -> x/a 80")
    assert causes(decision.ingress) == expected
    assert decision.ingress.applies
    assert decision.because == decision.ingress.because
    assert not decision.egress.applies


def test_defaults_that_pass_are_kept_once() -> None:
    tiers = (tiered("p", ADMIN_TIER), tiered("z", BASELINE_TIER, to(DENY, B)))
    cluster = stage(*tiers, policy("x/np", app("a"), egress=()))
    for plugin in (CALICO, KUBE_NETWORK_POLICIES):
        ingress = decide(cluster, "y/a -> x/a 80", plugin).ingress
        assert [str(cause.policy) for cause in ingress.passing] == ["p", "z"]


def test_a_side_keeps_what_isolates_next_to_what_allows_or_denies() -> None:
    cluster = stage(np(rule([B])), tiered("a", DEFAULT_TIER, to(DENY), order=2000))
    allowed, denied = (decide(cluster, f"{source} -> x/a 80").ingress for source in ("x/b", "y/a"))
    assert [str(cause.policy) for cause in allowed.isolating] == ["x/np", "a"]
    assert [str(cause.policy) for cause in denied.isolating] == ["x/np", "a"]
    assert (allowed.verdict, denied.verdict) == (Verdict.ALLOW, Verdict.DENY)
    assert [cause.kind for cause in denied.denying] == ["Other"]


def test_without_tiers_of_its_own_a_cluster_has_the_standard_ones() -> None:
    cluster = stage(tiered("a", ADMIN_TIER, to(ALLOW, B)), np(), tiered("z", BASELINE_TIER, to(ALLOW)))
    assert cluster.tiers == STANDARD_TIERS
    assert marks(cluster, ["x/b -> x/a 80", "y/a -> x/a 80"]) == ". X"


def test_a_pod_to_itself_and_a_node_to_its_pod_are_exempt() -> None:
    cluster = stage(tiered("p", ADMIN_TIER, to(DENY), subject=Subject(namespaces=EVERYTHING)))
    asked = [flow("x/a -> x/a 80"), flow("172.31.255.1 -> x/a 80"), flow("172.31.255.2 -> x/a 80")]
    assert marks(cluster, asked) == ". . X"


OPENED = [  # of x/a x/b: the pods that may talk to each because of this policy alone
    param(None, "x/a: x/b y/a y/b; x/b: x/b y/a y/b", id="all rules that allow"),
    param(0, "x/a: y/b; x/b: y/b", id="one rule"),
    param(1, "x/a: ; x/b: ", id="a rule that denies"),
    param(2, "x/a: x/b y/a; x/b: x/b y/a", id="a rule of a port by name, where it is that port"),
]


@pytest.mark.parametrize(("index", "expected"), OPENED)
def test_what_one_policy_allows(index: int | None, expected: str) -> None:
    team_two, y_b = Selector.of({"team": "two"}), PodPeer(app("b"), Selector.of({"team": "two"}))
    rules = (
        to(ALLOW, y_b),
        to(DENY),
        to(
            ALLOW,
            PodPeer(app("b"), Selector.of({"team": "one"})),
            PodPeer(app("a"), team_two),
            ports=[NamedPort("web")],
        ),
    )
    one = tiered("p", EARLY, *rules, subject=Subject(namespaces=EVERYTHING))
    evaluation = evaluate(stage(one, pods=also(pod("x/b", {"app": "b"}, "10.244.1.2"))))
    groups = {name: evaluation.group_of(PodRef.parse(name)).index for name in ("x/a", "x/b", "y/a", "y/b")}
    found = evaluation.table(80).opened(Direction.INGRESS, 0, index)
    peers = {
        name: [
            other
            for other in groups
            if any(subjects >> groups[name] & 1 and bits >> groups[other] & 1 for subjects, bits in found)
        ]
        for name in ("x/a", "x/b")
    }
    assert "; ".join(f"{name}: {' '.join(others)}" for name, others in peers.items()) == expected


def test_networks_may_see_a_services_address_before_it_is_translated() -> None:
    elsewhere = ip_network("192.0.2.0/24")
    networks = [Networks((elsewhere, ip_network(cidr))) for cidr in ("10.96.0.0/16", "10.97.0.0/16")]
    service = Service(ServiceRef("x", "s"), {"app": "b"}, (ip_address("10.96.0.1"),), (ServicePort(80, 81),))
    found = []
    for peer in networks:
        only = replace(tiered("p", EARLY, to(ALLOW, peer)), ingress=None)
        found.append(mark(replace(stage(only, services=[service]), tiers=TIERS), "x/a -> svc:x/s 80"))
    assert found == ["X!", "X"]


def test_one_of_a_services_addresses_is_enough() -> None:
    pods = also(
        pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1"), pod("x/b", {"app": "b"}, "10.244.1.2", "fd00::2")
    )
    addresses = (ip_address("10.96.0.1"), ip_address("fd00:96::1"))
    service = Service(ServiceRef("x", "s"), {"app": "b"}, addresses, (ServicePort(80, 81),))
    peer = Networks((ip_network("10.96.0.0/16"),))
    only = replace(tiered("p", EARLY, to(ALLOW, peer)), ingress=None)
    assert mark(replace(stage(only, pods=pods, services=[service]), tiers=TIERS), "x/a -> svc:x/s 80") == "X!"
