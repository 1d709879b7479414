"""Rules about policies with an order, and what NetworkPolicy rules make of these."""

from __future__ import annotations

import pytest

from netprobe.lint import Severity
from tests.lint.helpers import documents, found, linted, namespace, pod, policy

ERROR, WARNING, NOTE = Severity
NS = "kubernetes.io/metadata.name"
ANYONE = "{namespaces: {}}"


def cluster(
    rules: str, *, name: str = "c", tier: str = "Admin", priority: int = 10, subject: str = ANYONE
) -> str:
    """A ClusterNetworkPolicy with "ingress: […]" or "egress: […]"."""
    return (
        "{apiVersion: policy.networking.k8s.io/v1beta1, kind: ClusterNetworkPolicy, "
        f"metadata: {{name: {name}}}, "
        f"spec: {{tier: {tier}, priority: {priority}, subject: {subject}, {rules}}}}}\n"
    )


def calico(kind: str, spec: str, name: str) -> str:
    home = "" if kind in {"Tier", "GlobalNetworkPolicy", "StagedGlobalNetworkPolicy"} else ", namespace: shop"
    metadata = f"{{name: {name}{home}}}"
    return f"{{apiVersion: projectcalico.org/v3, kind: {kind}, metadata: {metadata}, spec: {spec}}}\n"


def everyone(action: str, ports: str = "") -> str:
    return f"ingress: [{{action: {action}, from: [{ANYONE}]{ports}}}]"


PORT_80 = ", protocols: [{tcp: {destinationPort: {number: 80}}}]"
PODS = (pod("web", app="web", ports="[{containerPort: 80}]"), pod("api", app="api"))
OPEN = policy("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", name="open")
DENY = policy("{podSelector: {}, policyTypes: [Ingress]}", name="deny")
SECURITY = calico("Tier", "{order: 100}", "security")
PASSING = calico("Tier", "{order: 100, defaultAction: Pass}", "security")
LOG = calico(
    "GlobalNetworkPolicy", "{tier: security, types: [Ingress], ingress: [{action: Log}]}", "security.log"
)

CASES = [
    (
        "shadowed-rule",
        [cluster(everyone("Deny")), cluster(everyone("Accept"), name="d", priority=20)],
        [WARNING],
    ),
    (
        "shadowed-rule",
        [cluster(everyone("Deny")), cluster(everyone("Deny", PORT_80), name="d", priority=20)],
        [NOTE],
    ),
    (
        "shadowed-rule",
        [cluster(everyone("Deny", PORT_80)), cluster(everyone("Accept"), name="d", priority=20)],
        [],
    ),
    ("shadowed-rule", [cluster(everyone("Deny")), OPEN], [WARNING]),
    ("shadowed-rule", [cluster(everyone("Pass")), OPEN], []),
    ("shadowed-rule", [cluster(everyone("Deny"), tier="Baseline"), OPEN], []),
    (
        "shadowed-rule",
        [cluster(everyone("Pass")), cluster(everyone("Deny"), name="d", priority=20), OPEN],
        [WARNING],
    ),
    ("shadowed-rule", [cluster(everyone("Deny"), subject="{namespaces: {matchLabels: {a: b}}}"), OPEN], []),
    (
        "shadowed-rule",
        [
            cluster(everyone("Deny"), subject="{namespaces: {matchLabels: {a: b}}}"),
            namespace("shop", a="b"),
            OPEN,
        ],
        [WARNING],
    ),
    ("tied-order", [cluster(everyone("Deny")), cluster(everyone("Accept"), name="d")], [WARNING]),
    ("tied-order", [cluster(everyone("Deny")), cluster(everyone("Accept"), name="d", priority=11)], []),
    ("tied-order", [cluster(everyone("Deny")), cluster(everyone("Deny"), name="d")], []),
    ("tied-order", [cluster(everyone("Deny")), cluster(everyone("Accept"), name="d", tier="Baseline")], []),
    (
        "tied-order",
        [
            calico("GlobalNetworkPolicy", "{ingress: [{action: Deny}]}", "a"),
            calico("GlobalNetworkPolicy", "{ingress: [{action: Allow}]}", "b"),
        ],
        [NOTE],
    ),
    (
        "tied-order",
        [
            calico("GlobalNetworkPolicy", "{selector: app == 'x', ingress: [{action: Deny}]}", "a"),
            calico("GlobalNetworkPolicy", "{selector: app == 'y', ingress: [{action: Allow}]}", "b"),
        ],
        [],
    ),
    ("pass-in-last-tier", [cluster(everyone("Pass"))], []),
    (
        "pass-in-last-tier",
        [calico("GlobalNetworkPolicy", "{tier: gone, ingress: [{action: Pass}]}", "gone.x")],
        [],
    ),
    ("pass-in-last-tier", [calico("GlobalNetworkPolicy", "{ingress: [{action: Pass}]}", "a")], [NOTE]),
    (
        "pass-in-last-tier",
        [
            calico("GlobalNetworkPolicy", "{ingress: [{action: Pass}]}", "a"),
            cluster(everyone("Deny"), tier="Baseline"),
        ],
        [],
    ),
    ("peer-not-on-calico", [cluster("egress: [{action: Accept, to: [{domainNames: [a.example]}]}]")], [NOTE]),
    ("peer-not-on-calico", [cluster("egress: [{action: Deny, to: [{nodes: {}}]}]"), SECURITY], [WARNING]),
    (
        "unmatched-subject",
        [cluster(everyone("Deny"), subject="{namespaces: {matchLabels: {a: b}}}"), *PODS],
        [],
    ),
    (
        "unmatched-subject",
        [
            cluster(everyone("Deny"), subject="{namespaces: {matchLabels: {a: b}}}"),
            namespace("kube-system"),
            pod("dns", namespace="kube-system"),
        ],
        [WARNING],
    ),
    ("unmatched-subject", [calico("NetworkPolicy", "{selector: a == 'b' && a == 'c'}", "p")], [ERROR]),
    ("tier-against-policy", [cluster(everyone("Accept")), DENY, *PODS], [WARNING]),
    ("tier-against-policy", [cluster(everyone("Accept", PORT_80)), DENY, *PODS], [NOTE]),
    ("tier-against-policy", [cluster(everyone("Accept")), DENY], []),
    ("tier-against-policy", [cluster(everyone("Accept")), OPEN, *PODS], []),
    ("tier-against-policy", [cluster(everyone("Pass")), DENY, *PODS], []),
    ("tier-against-policy", [cluster(everyone("Deny")), OPEN, *PODS], [WARNING]),
    ("tier-against-policy", [cluster(everyone("Deny"), tier="Baseline"), OPEN, *PODS], []),
    ("tier-against-policy", [SECURITY, LOG, OPEN, *PODS], [WARNING]),
    ("tier-against-policy", [PASSING, LOG, OPEN, *PODS], []),
    ("cuts-off-dns", [cluster("egress: [{action: Deny, to: [{namespaces: {}}]}]"), *PODS], [WARNING]),
    ("cuts-off-dns", [cluster("egress: [{action: Pass, to: [{namespaces: {}}]}]"), *PODS], []),
    (
        "cuts-off-dns",
        [cluster("egress: [{action: Deny, to: [{namespaces: {}}]}]", tier="Baseline"), *PODS],
        [WARNING],
    ),
    ("cuts-off-dns", [cluster(f"egress: [{{action: Deny, to: [{ANYONE}]{PORT_80}}}]"), *PODS], []),
    ("cuts-off-dns", [calico("GlobalNetworkPolicy", "{types: [Egress]}", "closed"), *PODS], [WARNING]),
    ("staged-changes", [calico("StagedGlobalNetworkPolicy", "{types: [Ingress]}", "s"), *PODS], [NOTE]),
    ("staged-changes", [calico("StagedGlobalNetworkPolicy", "{stagedAction: Delete}", "s"), *PODS], []),
    (
        "staged-changes",
        [
            calico("GlobalNetworkPolicy", "{types: [Ingress]}", "s"),
            calico("StagedGlobalNetworkPolicy", "{stagedAction: Delete}", "s"),
            *PODS,
        ],
        [NOTE],
    ),
]


@pytest.mark.parametrize(("rule", "objects", "severities"), CASES)
def test_rules_about_order(rule: str, objects: list[str], severities: list[Severity]) -> None:
    assert [finding.severity for finding in found(documents(*objects), rule)] == severities


ALLOW = policy("{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {}}]}]}")
NO_DNS = policy("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}")
TO_DNS = f"egress: [{{action: Accept, to: [{{namespaces: {{matchLabels: {{{NS}: kube-system}}}}}}]}}]"

BESIDE = [  # a rule about NetworkPolicies, what it reports, and a policy of another kind that settles it
    ("missing-default-deny", [ALLOW, *PODS], cluster(everyone("Deny"), tier="Baseline")),
    ("missing-default-deny", [ALLOW], cluster(everyone("Deny"), tier="Baseline")),
    ("missing-default-deny", [ALLOW, *PODS], calico("GlobalNetworkPolicy", "{types: [Ingress]}", "closed")),
    ("no-dns", [NO_DNS, *PODS], cluster(TO_DNS)),
]


@pytest.mark.parametrize(("rule", "objects", "other"), BESIDE)
def test_rules_about_network_policies_know_of_other_kinds(rule: str, objects: list[str], other: str) -> None:
    assert found(documents(*objects), rule)
    assert not found(documents(*objects, other), rule)


def test_a_cluster_of_all_kinds_is_linted_by_all_rules() -> None:
    objects = [DENY, PASSING, LOG, cluster(everyone("Accept", PORT_80)), *PODS]
    objects += [calico("NetworkPolicy", "{selector: app == 'web', ingress: [{action: Allow}]}", "np")]
    objects += [calico("StagedNetworkPolicy", "{selector: app == 'api', types: [Egress]}", "sp")]
    objects += [calico("NetworkSet", "{nets: [192.0.2.0/24]}", "nets")]
    seen = linted(documents(*objects))
    assert seen.policies == 5
    assert {"tier-against-policy", "staged-changes"} <= {finding.rule for finding in seen.findings}
    assert not seen.count(ERROR)
