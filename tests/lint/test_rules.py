"""What rules conclude from what is, and is not, in the input."""

from __future__ import annotations

import pytest

from netprobe.lint import Severity
from tests.lint.helpers import found, linted
from tests.manifest_text import calico, cluster, documents, namespace, pod, policy, service, workload

LETTERS = {"e": Severity.ERROR, "w": Severity.WARNING, "n": Severity.NOTE}
NS = "kubernetes.io/metadata.name"


def ingress(selector: str, rules: str, name: str = "p") -> str:
    return policy(f"{{podSelector: {selector}, ingress: [{rules}]}}", name=name)


def egress(selector: str, *rules: str, name: str = "p") -> str:
    spec = f"{{podSelector: {selector}, policyTypes: [Egress], egress: [{', '.join(rules)}]}}"
    return policy(spec, name=name)


def selecting(labels: str) -> str:
    return policy(f"{{podSelector: {{matchLabels: {labels}}}, policyTypes: [Ingress]}}")


def peers(text: str) -> str:
    return ingress("{}", f"{{from: [{text}], ports: [{{port: 80}}]}}")


def block(cidr: str, port: int) -> str:
    return f"{{to: [{{ipBlock: {{cidr: {cidr}}}}}], ports: [{{port: {port}}}]}}"


def everyone(action: str, ports: str = "") -> str:
    return f"ingress: [{{action: {action}, from: [{{namespaces: {{}}}}]{ports}}}]"


A, B, TIER = "{matchLabels: {app: a}}", "{matchLabels: {app: b}}", "{matchLabels: {tier: t}}"
JOB = workload("Job", "j", "{app: j}")
POD_A, POD_B = pod("a", app="a"), pod("b", app="b")
OTHER = namespace("other", team="x")
TEAM = ingress(
    A,
    "{from: [{namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: b}}}], "
    "ports: [{port: web}]}",
)
NAMED = peers(f"{{namespaceSelector: {{matchLabels: {{{NS}: gone}}}}}}")
PROMETHEUS = "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: p}}\n"
DUMP = documents(namespace("kube-system"), namespace("shop"), selecting("{app: x}"))
TEAM_X = "{namespaceSelector: {matchLabels: {team: x}}}"
OR = peers(f"{TEAM_X}, {{podSelector: {B}}}")
CALLS = f"{{to: [{{podSelector: {B}}}], ports: [{{port: 5432}}]}}"
DNS = "{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}"
DNS_POD = pod("dns", namespace="kube-system", **{"k8s-app": "kube-dns"})
NODE_DNS = pod("node-local-dns", namespace="kube-system", spec="hostNetwork: true")
ALLOW_A = ingress(A, "{ports: [{port: 80}]}")
WEB = pod("web", ports="[{containerPort: 8080, name: web}]", app="a")
OFFICE = ingress("{}", "{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 8080}]}")
BALANCER = "selector: {app: a}, type: LoadBalancer, ports: [{port: 80}]"
EXCEPT = "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}"
AMBIENT = namespace("shop", **{"istio.io/dataplane-mode": "ambient"})
FINISHED = pod("once", app="x", tier="y").rstrip()[:-1] + ", status: {phase: Succeeded}}\n"
HTTP = pod("a", ports="[{name: http, containerPort: 80}]", app="a")
BY_PORT = "selector: {app: a}, ports: [{port: 80, targetPort: 8080}]"

PORT_80 = ", protocols: [{tcp: {destinationPort: {number: 80}}}]"
PODS = (pod("web", app="web", ports="[{containerPort: 80}]"), pod("api", app="api"))
OPEN = policy("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", name="open")
DENY = policy("{podSelector: {}, policyTypes: [Ingress]}", name="deny")
DENIED, PASSED, OPENED = (cluster(everyone(action)) for action in ("Deny", "Pass", "Accept"))
LABELLED = "{namespaces: {matchLabels: {a: b}}}"
SOME_DENIED = cluster(everyone("Deny"), subject=LABELLED)
BASELINE = cluster(everyone("Deny"), "base", tier="Baseline")
SECURITY = calico("Tier", "{order: 100}", "security")
PASSING = calico("Tier", "{order: 100, defaultAction: Pass}", "security")
LOG = calico(
    "GlobalNetworkPolicy", "{tier: security, types: [Ingress], ingress: [{action: Log}]}", "security.log"
)


def gnp(spec: str, name: str = "a") -> str:
    return calico("GlobalNetworkPolicy", f"{{{spec}}}", name)


def to_all(action: str, ports: str = "", tier: str = "Admin") -> str:
    return cluster(f"egress: [{{action: {action}, to: [{{namespaces: {{}}}}]{ports}}}]", tier=tier)


CLOSED = gnp("types: [Ingress]", "s")
STAGED_DELETE = calico("StagedGlobalNetworkPolicy", "{stagedAction: Delete}", "s")

ROWS: dict[str, list[tuple[str, str, list[str]]]] = {  # rule: the severities, why, what is in the input
    "unmatched-namespace": [
        ("", "policies alone", [TEAM]),
        ("", "only its own namespace is described", [namespace("shop"), TEAM]),
        ("w", "another one is described", [namespace("shop"), namespace("other"), TEAM]),
        ("w", "its own is not: podSelector is for that", [namespace("other"), TEAM]),
        ("", "a third may have the label", [namespace("other"), pod("b", namespace="third"), TEAM]),
        ("w", "a dump of a cluster", [namespace("kube-system"), TEAM]),
        ("", "one has the label", [OTHER, TEAM]),
        ("", "one of that name may be outside the input", [namespace("other"), NAMED]),
        ("w", "but not outside a cluster", [namespace("kube-system"), NAMED]),
    ],
    "unmatched-pods": [
        ("", "policies alone", [TEAM]),
        ("w", "no pod has the label", [POD_A, selecting("{app: x}")]),
        ("", "an operator may create one", [POD_A, PROMETHEUS, selecting("{app: x}")]),
        ("", "a dump without the pods of kube-system is not a dump of pods", [DUMP]),
        ("w", "a dump with these pods is", [DUMP, DNS_POD]),
        ("n", "without a namespace it may be for another", [
            pod("a", namespace="default", app="a"), selecting("{app: b}").replace(", namespace: shop", "")]),
        ("", "what a key must not be", [POD_A, policy(
            "{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}")]),
        ("n", "a component that may be switched off", [
            pod("w", app="shop", component="web"), selecting("{app: shop, component: worker}")]),
        ("w", "a component of nothing", [POD_A, selecting("{component: worker}")]),
        ("", "a finished pod", [POD_A, FINISHED, selecting("{app: x, tier: y}")]),
        ("w", "each label on another pod", [
            pod("b", app="x"), pod("c", tier="y"), selecting("{app: x, tier: y}")]),
    ],
    "or-for-and": [
        ("w", "nothing is known", [OR]),
        ("", "such pods are in its own namespace", [POD_B, OR]),
        ("w", "no such pod is in its own namespace", [POD_A, OR]),
        ("w", "here and there: AND chooses", [OTHER, POD_B, pod("b", namespace="other", app="b"), OR]),
        ("", "the pods there are known, and none matches", [OTHER, POD_A, pod("c", namespace="other"), OR]),
        ("", "all pods here", [peers(f"{TEAM_X}, {{podSelector: {{}}}}")]),
        ("", "podSelector {} is written: the author knows", [
            peers(f"{{namespaceSelector: {TIER}, podSelector: {{}}}}, {{podSelector: {B}}}")]),
        ("", "a longer list", [peers(f"{{podSelector: {A}}}, {{podSelector: {B}}}, {TEAM_X}")]),
    ],
    "no-dns": [
        ("n", "nothing may leave the namespace", [egress("{}")]),
        ("", "one app without any egress needs no names", [egress(A)]),
        ("w", "connections without names", [egress("{}", CALLS)]),
        ("", "DNS in the same policy", [egress("{}", CALLS, DNS)]),
        ("", "DNS in another policy", [egress("{}", CALLS), egress("{}", DNS, name="dns")]),
        ("", "every pod on every port", [egress("{}", "{to: [{namespaceSelector: {}}]}")]),
        ("", "for what may be the same pods", [egress(A, CALLS), egress(TIER, DNS, name="d")]),
        ("w", "DNS for other pods", [egress(A, CALLS), egress(B, DNS, name="d")]),
        ("w", "the pod is known, and has no DNS", [egress(A, CALLS), egress(TIER, DNS, name="d"), POD_A]),
        ("w", "once, for the widest", [egress("{}"), egress(A, CALLS, name="q")]),
        ("", "the DNS pods are reached", [egress("{}", CALLS, DNS), DNS_POD]),
        ("", "the API server needs no name", [egress(A, block("203.0.113.1/32", 6443))]),
        ("w", "another address does", [egress(A, block("203.0.113.1/32", 443))]),
    ],
    "missing-default-deny": [
        ("n", "open pods are not known", [ALLOW_A]),
        ("", "there are none", [ALLOW_A, POD_A]),
        ("w", "there is one", [ALLOW_A, POD_A, POD_B]),
        ("", "nobody connects to a Job without ports", [ALLOW_A, POD_A, JOB]),
        ("w", "a Job with a port", [ALLOW_A, POD_A, JOB.replace("[]", "[{containerPort: 80}]")]),
        ("", "in kube-system", [
            policy(f"{{podSelector: {A}, ingress: [{{ports: [{{port: 80}}]}}]}}", namespace="kube-system"),
            pod("b", namespace="kube-system", app="b")]),
    ],
    "service-port": [
        ("e", "by number", [WEB, service(BY_PORT), ALLOW_A]),
        ("e", "by name", [WEB, service(BY_PORT.replace("8080", "web")), ALLOW_A]),
        ("", "both are open", [WEB, service(BY_PORT), ingress(A, "{ports: [{port: 80}, {port: 8080}]}")]),
        ("", "the same port", [WEB, service("selector: {app: a}, ports: [{port: 80}]"), ALLOW_A]),
        ("", "another port of the Service", [WEB, service(BY_PORT.replace(" 80,", " 81,")), ALLOW_A]),
        ("", "another protocol", [WEB, service(BY_PORT), ingress(A, "{ports: [{port: 80, protocol: UDP}]}")]),
    ],
    "service-address": [
        ("", "an address that nobody gave", [
            service("ports: [{port: 80}]"), egress("{}", block("10.96.0.0/24", 80))]),
    ],
    "redundant-policy": [
        ("n", "of two the later one", [ALLOW_A, ALLOW_A.replace("name: p,", "name: q,")]),
        ("", "a default deny next to allow rules", [DENY, OPEN]),
        ("", "another direction", [
            ingress("{}", "{ports: [{port: 80}]}"), egress("{}", "{ports: [{port: 80}]}", name="q")]),
    ],
    "no-ports": [
        ("n", "from pods by label", [ingress("{}", f"{{from: [{{podSelector: {A}}}]}}")]),
        ("n", "from namespaces by label", [ingress("{}", f"{{from: [{TEAM_X}]}}")]),
        ("w", "from all namespaces", [ingress("{}", "{from: [{namespaceSelector: {}}]}")]),
        ("w", "from addresses", [ingress("{}", "{from: [{ipBlock: {cidr: 203.0.113.0/24}}]}")]),
    ],
    "unknown-port-name": [
        ("", "policies alone", [TEAM]),
        ("e", "no pod has it", [HTTP, ingress(A, "{ports: [{port: https}]}")]),
        ("w", "next to one that exists", [HTTP, ingress(A, "{ports: [{port: http}, {port: https}]}")]),
        ("w", "next to a number", [HTTP, ingress(A, "{ports: [{port: 80}, {port: https}]}")]),
        ("ee", "two of them", [HTTP, ingress(A, "{ports: [{port: https}, {port: htpp}]}")]),
    ],
    "client-address": [
        ("", "no Service", [WEB, OFFICE]),
        ("w", "a load balancer", [WEB, OFFICE, service(BALANCER)]),
        ("", "a ClusterIP", [WEB, OFFICE, service("selector: {app: a}, ports: [{port: 80}]")]),
        ("", "Local", [WEB, OFFICE, service(f"externalTrafficPolicy: Local, {BALANCER}")]),
        ("", "another pod's Service", [WEB, OFFICE, service(BALANCER.replace("app: a", "app: b"))]),
        ("", "pods that are not known", [OFFICE, service(BALANCER)]),
    ],
    "reopened-except": [
        ("", "nothing else", [egress("{}", EXCEPT)]),
        ("", "a part of the exception", [egress("{}", EXCEPT, block("10.0.0.10/32", 443))]),
        ("", "other ports", [egress("{}", EXCEPT, "{ports: [{port: 53}]}")]),
        ("", "other pods", [egress("{}", EXCEPT), egress(A, "{}", name="q")]),
    ],
    "one-family": [("", "addresses that are not known", [WEB, egress("{}", block("0.0.0.0/0", 443))])],
    "host-bits": [("", "networks", [egress("{}", block("10.0.0.0/8", 80), block("192.0.2.7/32", 80))])],
    "node-local-dns": [
        ("", "no node-local DNS", [egress("{}", DNS)]),
        ("", "DNS to everyone", [NODE_DNS, egress("{}", "{ports: [{port: 53, protocol: UDP}]}")]),
    ],
    "ambient-mesh": [
        ("", "no mesh", [namespace("shop"), OFFICE]),
        ("", "a default deny", [AMBIENT, policy("{podSelector: {}, ingress: []}")]),
        ("", "every port", [AMBIENT, ingress("{}", "{}")]),
    ],
    "null-section": [("", "absent", [DENY]), ("", "empty", [policy("{podSelector: {}, ingress: []}")])],
    "template-labels": [("", "no label is required", [WEB, policy("{podSelector: {}}")])],
    "kustomize-labels": [("", "the own namespace", [WEB, ingress(A, f"{{from: [{{podSelector: {A}}}]}}")])],
    "mixed-target-port": [("", "a numeric target", [WEB, service(BALANCER), OFFICE])],
    "api-server-by-selector": [
        ("", "no API server in the input", [
            WEB, egress("{}", "{to: [{namespaceSelector: {}}], ports: [{port: 443}]}")]),
    ],
    "webhook-closed": [("", "no webhook", [WEB, DENY])],
    "shadowed-rule": [
        ("w", "another action", [DENIED, cluster(everyone("Accept"), "d", priority=20)]),
        ("n", "the same action", [DENIED, cluster(everyone("Deny", PORT_80), "d", priority=20)]),
        ("", "a wider one", [
            cluster(everyone("Deny", PORT_80)), cluster(everyone("Accept"), "d", priority=20)]),
        ("w", "a NetworkPolicy", [DENIED, OPEN]),
        ("", "behind a Pass", [PASSED, OPEN]),
        ("", "in front of Baseline", [BASELINE, OPEN]),
        ("w", "a Pass hides its own tier", [PASSED, cluster(everyone("Deny"), "d", priority=20), OPEN]),
        ("", "a subject that is not known", [SOME_DENIED, OPEN]),
        ("w", "a subject that is", [SOME_DENIED, namespace("shop", a="b"), OPEN]),
    ],
    "tied-order": [
        ("w", "one priority", [DENIED, cluster(everyone("Accept"), "d")]),
        ("", "two", [DENIED, cluster(everyone("Accept"), "d", priority=11)]),
        ("", "one action", [DENIED, cluster(everyone("Deny"), "d")]),
        ("", "two tiers", [DENIED, cluster(everyone("Accept"), "d", tier="Baseline")]),
        ("n", "Calico goes by names", [
            gnp("ingress: [{action: Deny}]"), gnp("ingress: [{action: Allow}]", "b")]),
        ("", "other pods", [
            gnp("selector: app == 'x', ingress: [{action: Deny}]"),
            gnp("selector: app == 'y', ingress: [{action: Allow}]", "b")]),
    ],
    "pass-in-last-tier": [
        ("", "other tiers follow", [PASSED]),
        ("", "a tier whose place is not known", [gnp("tier: gone, ingress: [{action: Pass}]", "gone.x")]),
        ("n", "the default tier", [gnp("ingress: [{action: Pass}]")]),
        ("", "Baseline follows", [gnp("ingress: [{action: Pass}]"), BASELINE]),
    ],
    "peer-not-on-calico": [
        ("n", "perhaps not Calico", [
            cluster("egress: [{action: Accept, to: [{domainNames: [a.example]}]}]")]),
        ("w", "Calico", [cluster("egress: [{action: Deny, to: [{nodes: {}}]}]"), SECURITY]),
    ],
    "unmatched-subject": [
        ("", "a namespace may be outside the input", [SOME_DENIED, *PODS]),
        ("w", "a whole cluster", [SOME_DENIED, namespace("kube-system"), DNS_POD]),
        ("e", "it contradicts itself", [calico("NetworkPolicy", "{selector: a == 'b' && a == 'c'}", "p")]),
    ],
    "tier-against-policy": [
        ("w", "opens everything", [OPENED, DENY, *PODS]),
        ("n", "opens a port", [cluster(everyone("Accept", PORT_80)), DENY, *PODS]),
        ("", "pods are not known", [OPENED, DENY]),
        ("", "both are open", [OPENED, OPEN, *PODS]),
        ("", "Pass", [PASSED, DENY, *PODS]),
        ("w", "closes everything", [DENIED, OPEN, *PODS]),
        ("", "Baseline", [BASELINE, OPEN, *PODS]),
        ("w", "the end of a tier", [SECURITY, LOG, OPEN, *PODS]),
        ("", "a tier that passes", [PASSING, LOG, OPEN, *PODS]),
    ],
    "cuts-off-dns": [
        ("w", "a Deny", [to_all("Deny"), *PODS]),
        ("", "a Pass", [to_all("Pass"), *PODS]),
        ("w", "a Deny in Baseline", [to_all("Deny", tier="Baseline"), *PODS]),
        ("", "another port", [to_all("Deny", PORT_80), *PODS]),
        ("w", "the end of a tier", [gnp("types: [Egress]"), *PODS]),
    ],
    "staged-changes": [
        ("n", "closes", [calico("StagedGlobalNetworkPolicy", "{types: [Ingress]}", "s"), *PODS]),
        ("", "deletes nothing", [STAGED_DELETE, *PODS]),
        ("n", "deletes", [CLOSED, STAGED_DELETE, *PODS]),
    ],
}  # fmt: skip
CASES = [pytest.param(rule, *row, id=f"{rule}: {row[1]}") for rule, rows in ROWS.items() for row in rows]


@pytest.mark.parametrize(("rule", "letters", "why", "parts"), CASES)
def test_a_rule_reports_what_the_input_shows(rule: str, letters: str, why: str, parts: list[str]) -> None:
    findings = found(documents(*parts), rule)
    assert [finding.severity for finding in findings] == [LETTERS[letter] for letter in letters], why


def test_messages_name_what_is_wrong() -> None:
    (open_pods,) = found(documents(ALLOW_A, POD_A, POD_B), "missing-default-deny")
    assert "pod/b" in open_pods.message
    assert "pod/a" not in open_pods.message
    (redundant,) = found(documents(ALLOW_A, ALLOW_A.replace("name: p,", "name: q,")), "redundant-policy")
    assert redundant.subject.name == "q"


ALLOW_WEB = ingress("{matchLabels: {app: web}}", "{from: [{podSelector: {}}]}")
TO_SYSTEM = f"{{action: Accept, to: [{{namespaces: {{matchLabels: {{{NS}: kube-system}}}}}}]}}"
BESIDE = [  # a rule about NetworkPolicies, what it reports, and a policy of another kind that settles it
    ("missing-default-deny", [ALLOW_WEB, *PODS], BASELINE),
    ("missing-default-deny", [ALLOW_A], BASELINE),
    ("missing-default-deny", [ALLOW_WEB, *PODS], CLOSED),
    ("no-dns", [egress("{}", "{ports: [{port: 443}]}"), *PODS], cluster(f"egress: [{TO_SYSTEM}]")),
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
    assert not seen.count(Severity.ERROR)
