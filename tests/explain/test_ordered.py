"""Suggestions for policies of tiers: ClusterNetworkPolicy's and Calico's, where the order decides."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from netprobe.explain import Advisor, explain
from netprobe.explain.declared import ListedFlows
from netprobe.explain.effects import Guard
from netprobe.explain.world import Delta, World
from netprobe.manifests import load
from netprobe.model.flow import External, Flow, PodRef, Via
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, KUBE_NETWORK_POLICIES, Profile, Simulator
from tests.manifest_text import calico, cluster, documents, pod, policy

WEB, CART, DB = (PodRef("shop", name) for name in ("web", "cart", "db"))
PODS = documents(*(pod(ref.name, ports="[{containerPort: 80}]", app=ref.name) for ref in (WEB, CART, DB)), "")
TIER = calico("Tier", "{order: 100}", "platform") + "---\n"
SOME = "{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: cart}}}}"
EVERYONE = "{namespaces: {}}"


def cnp(
    name: str,
    priority: int,
    rules: str,
    tier: str = "Admin",
    *,
    section: str = "ingress",
    subject: str = SOME,
) -> str:
    made = cluster(f"{section}: [{rules}]", name, tier=tier, priority=priority, subject=subject)
    return f"{made}---\n"


def gnp(name: str, order: int, rules: str, selector: str = "all()", tier: str = "platform") -> str:
    spec = f'{{tier: {tier}, order: {order}, selector: "{selector}", types: [Ingress], ingress: [{rules}]}}'
    return f"{calico('GlobalNetworkPolicy', spec, name)}---\n"


NP_ALLOWS = policy(
    "{podSelector: {matchLabels: {app: cart}}, ingress: [{from: [{podSelector: {}}]}]}", name="cart"
)
DENY_ALL = "{action: Deny, from: [{namespaces: {}}]}"
ACCEPT_ALL = "{action: Accept, from: [{namespaces: {}}]}"
DENY_WEB = "{action: Deny, protocol: TCP, source: {selector: app == 'web'}}"
ALLOW_WEB = "{action: Allow, protocol: TCP, source: {selector: app == 'web'}}"
ALLOW_WEB_80 = ALLOW_WEB.replace("}}", "}, destination: {ports: [80]}}")
FROM_WEB = "TCP 80 from pods app=web of namespaces kubernetes.io/metadata.name=shop"

ROWS = [
    pytest.param(
        cnp("guard", 5, DENY_ALL) + NP_ALLOWS,
        [],
        f"add a rule to guard before ingress[0] that passes on to later tiers {FROM_WEB}",
        id="an Admin deny hides what a NetworkPolicy allows",
    ),
    pytest.param(
        cnp("guard", 5, DENY_ALL),
        [],
        f"add a rule to guard before ingress[0] that allows {FROM_WEB}",
        id="an Admin deny, and no later policy",
    ),
    pytest.param(
        cnp("guard", 5, DENY_ALL, subject=EVERYONE),
        [DB],
        "add a ClusterNetworkPolicy before guard (tier Admin, priority 4) "
        "that selects pods app=cart of shop and allows " + FROM_WEB,
        id="other subjects are declared as denied: a policy for this one",
    ),
    pytest.param(
        cnp("guard", 0, DENY_ALL, subject=EVERYONE),
        [DB],
        None,
        id="nothing comes before priority 0, and other subjects matter",
    ),
    pytest.param(
        cnp("first", 5, DENY_ALL) + cnp("later", 7, ACCEPT_ALL),
        [],
        f"add a rule to first before ingress[0] that allows {FROM_WEB}",
        id="a later policy accepts more than this flow",
    ),
    pytest.param(
        cnp("floor", 5, DENY_ALL, "Baseline", subject=EVERYONE),
        [DB],
        "add a ClusterNetworkPolicy before floor (tier Baseline, priority 4) "
        "that selects pods app=cart of shop and allows " + FROM_WEB,
        id="a Baseline deny",
    ),
    pytest.param(
        TIER + gnp("platform.deny", 10, DENY_WEB) + NP_ALLOWS,
        [DB],
        "add a GlobalNetworkPolicy before platform.deny (tier platform, order 9) "
        "that selects pods app=cart of shop and "
        f"passes on to later tiers {FROM_WEB}",
        id="a deny of a Calico tier hides what a NetworkPolicy allows",
    ),
    pytest.param(
        TIER + gnp("platform.deny", 10, DENY_WEB) + gnp("platform.allow", 20, ALLOW_WEB_80, "app == 'cart'"),
        [DB],
        "set spec.order of platform.allow to 9, before that of platform.deny",
        id="a policy of the tier allows the flow, and comes too late",
    ),
    pytest.param(
        TIER
        + gnp(
            "platform.cart",
            10,
            "{action: Deny, protocol: TCP, source: {selector: app != 'db'}}, " + ALLOW_WEB_80,
            "app == 'cart'",
        ),
        [],
        "move ingress[1] of platform.cart before ingress[0]",
        id="a rule of the policy allows the flow, and comes too late",
    ),
    pytest.param(
        gnp(
            "deny",
            10,
            "{action: Deny, protocol: TCP, destination: {ports: [80]}}",
            "app == 'cart'",
            "default",
        )
        + NP_ALLOWS.replace(
            "{from: [{podSelector: {}}]}", "{from: [{podSelector: {matchLabels: {app: web}}}]}"
        ),
        [],
        "set spec.order of deny to 1001, after that of shop/cart",
        id="a deny of the default tier comes before NetworkPolicies",
    ),
    pytest.param(
        TIER + gnp("platform.cart", 10, ALLOW_WEB.replace("web", "wep"), "app == 'cart'"),
        [],
        f"add a rule to platform.cart that allows {FROM_WEB}",
        id="no rule of the tier matches, and it ends with a deny",
    ),
]


@pytest.mark.parametrize(("policies", "closed", "expected"), ROWS)
def test_what_opens(policies: str, closed: list[PodRef], expected: str | None, tmp_path: Path) -> None:
    """web -> cart on port 80 should be allowed; web may not reach the pods in `closed`."""
    asked = Flow(WEB, CART, 80)
    declared = {asked: Verdict.ALLOW} | {Flow(WEB, pod, 80): Verdict.DENY for pod in closed}
    assert change(policies, asked, declared, tmp_path) == expected


@pytest.mark.parametrize(
    ("policies", "open_", "expected"),
    [
        pytest.param(
            cnp("guard", 5, ACCEPT_ALL) + NP_ALLOWS,
            [],
            f"add a rule to guard before ingress[0] that denies {FROM_WEB}",
            id="an Admin policy accepts",
        ),
        pytest.param(
            cnp("guard", 5, ACCEPT_ALL, subject=EVERYONE),
            [DB],
            "add a ClusterNetworkPolicy before guard (tier Admin, priority 4) "
            "that selects pods app=cart of shop and denies " + FROM_WEB,
            id="another subject needs the rule",
        ),
        pytest.param(
            TIER + gnp("platform.web", 10, ALLOW_WEB + ", {action: Pass}"),
            [DB],
            "add a GlobalNetworkPolicy before platform.web (tier platform, order 9) "
            "that selects pods app=cart of shop and denies " + FROM_WEB,
            id="a policy of Calico allows",
        ),
        pytest.param(
            TIER.replace("100", "100, defaultAction: Pass")
            + gnp("platform.cart", 10, DENY_WEB.replace("web", "wep"), "app == 'cart'"),
            [],
            f"add a rule to platform.cart that denies {FROM_WEB}",
            id="no rule matches, and the tier passes the flow on",
        ),
        pytest.param(
            TIER + gnp("platform.all", 10, DENY_WEB.replace("web", "wep") + ", {action: Pass}"),
            [DB],
            "add a GlobalNetworkPolicy before platform.all (tier platform, order 9) "
            "that selects pods app=cart of shop and denies " + FROM_WEB,
            id="a rule passes the flow on",
        ),
    ],
)
def test_what_closes(policies: str, open_: list[PodRef], expected: str, tmp_path: Path) -> None:
    asked = Flow(WEB, CART, 80)
    declared = {asked: Verdict.DENY} | {Flow(WEB, pod, 80): Verdict.ALLOW for pod in open_}
    assert change(policies, asked, declared, tmp_path) == expected


def test_an_address_outside_is_written_as_each_kind_writes_it(tmp_path: Path) -> None:
    outside = External(ip_address("203.0.113.9"))
    asked = Flow(CART, outside, 443, via=Via.EXTERNAL)
    rules = "{action: Deny, to: [{networks: [0.0.0.0/0]}]}"
    policies = cnp("guard", 5, rules, section="egress")
    expected = "add a rule to guard before egress[0] that allows TCP 443 to 203.0.113.9/32"
    assert change(policies, asked, {asked: Verdict.ALLOW}, tmp_path) == expected


def test_a_label_that_a_selector_of_calico_requires(tmp_path: Path) -> None:
    allow = gnp("platform.cart", 10, ALLOW_WEB_80, "app == 'cart' && tier == 'front'")
    asked = Flow(WEB, CART, 80)
    policies = TIER + allow + gnp("platform.deny", 20, "{action: Deny}", "app == 'cart'")
    assert change(policies, asked, {asked: Verdict.ALLOW}, tmp_path) == "label pod shop/cart tier=front"


def change(policies: str, asked: Flow, declared: dict[Flow, Verdict], folder: Path) -> str | None:
    """The suggestion for a flow; it does what it says, and breaks nothing that is declared."""
    file = folder / "all.yaml"
    file.write_text(PODS + policies)
    cluster = load([file]).cluster
    advisor = Advisor(Simulator(cluster), ListedFlows(declared))
    found = explain(advisor, asked).change
    if found is None:
        return None
    after = Simulator(advisor.world.delta(found.changes).cluster(cluster))
    assert {flow: after.decide(flow).verdict for flow in declared} == declared
    return found.text


PROFILES = pytest.mark.parametrize(
    "profile", [CALICO, KUBE_NETWORK_POLICIES], ids=lambda profile: profile.name
)
OUTWARD = Flow(CART, External(ip_address("203.0.113.9")), 443)


def floor(tmp_path: Path, profile: Profile, more: str = "") -> Simulator:
    """Baseline denies everything inside the cluster."""
    path = tmp_path / "policies.yaml"
    path.write_text(PODS + cnp("floor", 5, DENY_ALL, "Baseline") + more)
    return Simulator(load([path]).cluster, profile)


@PROFILES
def test_a_policy_of_the_other_direction_breaks_what_baseline_closes(
    tmp_path: Path, profile: Profile
) -> None:
    """A policy for egress of cart opens it for ingress where it hides Baseline; elsewhere it is undefined."""
    declared = {Flow(WEB, CART, 80): Verdict.DENY, OUTWARD: Verdict.DENY}
    change = explain(Advisor(floor(tmp_path, profile), ListedFlows(declared)), OUTWARD).change
    assert change is None, change


@PROFILES
def test_so_does_a_label_by_which_such_a_policy_selects_a_pod(tmp_path: Path, profile: Profile) -> None:
    closed = policy("{podSelector: {matchLabels: {tier: front}}, policyTypes: [Egress]}", name="closed")
    simulator = floor(tmp_path, profile, closed)
    cart = simulator.cluster.pods[CART]
    labelled = Delta(pods={CART: replace(cart, labels={**cart.labels, "tier": "front"})})
    effects = [
        Guard(simulator, World(simulator.cluster), ListedFlows({flow: Verdict.DENY})).effects(labelled)
        for flow in (Flow(WEB, CART, 80), OUTWARD)
    ]
    assert [one is None for one in effects] == [True, False]
