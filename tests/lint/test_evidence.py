"""What rules conclude from what is, and is not, in the input."""

from __future__ import annotations

import pytest

from netprobe.lint import Severity
from tests.lint.helpers import documents, found, namespace, pod, policy

ERROR, WARNING, NOTE = Severity
NEEDS_MORE = (
    *("unmatched-namespace", "unmatched-pods", "other-namespace-pods", "unknown-port-name", "service-port"),
    *("host-network", "service-address", "pod-address", "namespace-by-name"),
)


def severities(text: str, rule: str) -> list[Severity]:
    return [finding.severity for finding in found(text, rule)]


def ingress(selector: str, rules: str, name: str = "p") -> str:
    return policy(f"{{podSelector: {selector}, ingress: [{rules}]}}", name=name)


def selecting(labels: str, namespace: str = "shop") -> str:
    return policy(f"{{podSelector: {{matchLabels: {labels}}}, policyTypes: [Ingress]}}", namespace=namespace)


TEAM = ingress(
    "{matchLabels: {app: a}}",
    "{from: [{namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: b}}}], "
    "ports: [{port: web}]}",
)


def test_policies_alone_say_nothing_of_labels_and_pods() -> None:
    assert found(TEAM, *NEEDS_MORE) == ()


NAMESPACES = [  # what else is in the input, whether a namespaceSelector that matches nothing is reported
    pytest.param([namespace("shop")], False, id="only its own namespace is described"),
    pytest.param([namespace("shop"), namespace("other")], True, id="another one is described"),
    pytest.param([namespace("other")], True, id="its own is not: podSelector is for that"),
    pytest.param([namespace("other"), pod("b", namespace="third")], False, id="a third may have the label"),
    pytest.param([namespace("kube-system")], True, id="a dump of a cluster"),
    pytest.param([namespace("other", team="x")], False, id="one has the label"),
]


@pytest.mark.parametrize(("around", "reported"), NAMESPACES)
def test_a_namespace_selector_that_matches_nothing(around: list[str], reported: bool) -> None:
    assert bool(found(documents(*around, TEAM), "unmatched-namespace")) is reported


def test_a_namespace_by_its_name_may_be_outside_the_input_but_not_outside_a_cluster() -> None:
    selector = "{matchLabels: {kubernetes.io/metadata.name: gone}}"
    named = ingress("{}", f"{{from: [{{namespaceSelector: {selector}}}], ports: [{{port: 80}}]}}")
    assert not found(documents(namespace("other"), named), "unmatched-namespace")
    assert found(documents(namespace("kube-system"), named), "unmatched-namespace")


def test_operators_create_pods_that_no_manifest_shows() -> None:
    custom = (
        "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: p, namespace: shop}}\n"
    )
    selected = selecting("{app: prometheus}")
    assert found(documents(pod("a", app="a"), selected), "unmatched-pods")
    assert not found(documents(pod("a", app="a"), custom, selected), "unmatched-pods")


def test_a_dump_without_the_pods_of_kube_system_is_not_a_dump_of_pods() -> None:
    dump = documents(namespace("kube-system"), namespace("shop"), selecting("{app: x}"))
    assert not found(dump, "unmatched-pods")
    assert found(documents(dump, pod("proxy", namespace="kube-system", app="p")), "unmatched-pods")


OR = "{namespaceSelector: {matchLabels: {team: x}}}, {podSelector: {matchLabels: {app: b}}}"
THERE = namespace("other", team="x")
OR_FOR_AND = [  # peers, what else is in the input, whether it is reported
    pytest.param(OR, [], True, id="nothing is known"),
    pytest.param(OR, [pod("b", app="b")], False, id="such pods are in its own namespace"),
    pytest.param(OR, [pod("a", app="a")], True, id="no such pod is in its own namespace"),
    pytest.param(
        OR,
        [THERE, pod("b", app="b"), pod("b", namespace="other", app="b")],
        True,
        id="here and there: AND would have chosen among the pods there",
    ),
    pytest.param(
        OR,
        [THERE, pod("a", app="a"), pod("c", namespace="other", app="c")],
        False,
        id="the pods there are known, and none matches",
    ),
    pytest.param(
        "{namespaceSelector: {matchLabels: {team: x}}}, {podSelector: {}}", [], False, id="all pods here"
    ),
    pytest.param(
        "{namespaceSelector: {matchLabels: {t: x}}, podSelector: {}}, {podSelector: {matchLabels: {a: b}}}",
        [],
        False,
        id="podSelector {} is written: the author knows the difference",
    ),
    pytest.param(
        "{podSelector: {matchLabels: {a: b}}}, {podSelector: {matchLabels: {c: d}}}, "
        "{namespaceSelector: {matchLabels: {team: x}}}",
        [],
        False,
        id="a longer list of alternatives",
    ),
]


@pytest.mark.parametrize(("peers", "around", "reported"), OR_FOR_AND)
def test_or_for_and_is_reported_where_it_looks_like_a_mistake(
    peers: str, around: list[str], reported: bool
) -> None:
    text = ingress("{}", f"{{from: [{peers}], ports: [{{port: 80}}]}}")
    assert bool(found(documents(*around, text), "or-for-and")) is reported


CALLS = "{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}"
DNS = "{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}"
APP_A, APP_B, TIER = "{matchLabels: {app: a}}", "{matchLabels: {app: b}}", "{matchLabels: {tier: t}}"


def egress(selector: str, *rules: str, name: str = "p") -> str:
    spec = f"{{podSelector: {selector}, policyTypes: [Egress], egress: [{', '.join(rules)}]}}"
    return policy(spec, name=name)


def address(port: int) -> str:
    return f"{{to: [{{ipBlock: {{cidr: 203.0.113.1/32}}}}], ports: [{{port: {port}}}]}}"


DNS_POD = pod("dns", namespace="kube-system", **{"k8s-app": "kube-dns"})
NO_DNS = [
    pytest.param([egress("{}")], [NOTE], id="nothing may leave the namespace"),
    pytest.param([egress(APP_A)], [], id="one app without any egress needs no names"),
    pytest.param([egress("{}", CALLS)], [WARNING], id="connections without names"),
    pytest.param([egress("{}", CALLS, DNS)], [], id="DNS in the same policy"),
    pytest.param([egress("{}", CALLS), egress("{}", DNS, name="dns")], [], id="DNS in another policy"),
    pytest.param([egress("{}", "{to: [{namespaceSelector: {}}]}")], [], id="every pod on every port"),
    pytest.param([egress(APP_A, CALLS), egress(TIER, DNS, name="d")], [], id="for what may be the same pods"),
    pytest.param([egress(APP_A, CALLS), egress(APP_B, DNS, name="d")], [WARNING], id="DNS for other pods"),
    pytest.param(
        [egress(APP_A, CALLS), egress(TIER, DNS, name="d"), pod("a", app="a")],
        [WARNING],
        id="the pod is known, and the policy with DNS does not select it",
    ),
    pytest.param([egress("{}"), egress(APP_A, CALLS, name="q")], [WARNING], id="once, for the widest"),
    pytest.param([egress("{}", CALLS, DNS), DNS_POD], [], id="the DNS pods are reached"),
    pytest.param([egress(APP_A, address(6443))], [], id="the API server needs no name"),
    pytest.param([egress(APP_A, address(443))], [WARNING], id="another address does"),
]


@pytest.mark.parametrize(("parts", "expected"), NO_DNS)
def test_no_dns(parts: list[str], expected: list[Severity]) -> None:
    assert severities(documents(*parts), "no-dns") == expected


def test_a_missing_default_deny_is_certain_only_if_open_pods_are_known() -> None:
    allow = ingress(APP_A, "{ports: [{port: 80}]}")
    assert severities(allow, "missing-default-deny") == [NOTE]
    assert not found(documents(allow, pod("a", app="a")), "missing-default-deny")
    (known,) = found(documents(allow, pod("a", app="a"), pod("b", app="b")), "missing-default-deny")
    assert known.severity is WARNING
    assert "pod/b" in known.message
    assert "pod/a" not in known.message


def job(name: str, ports: str = "[]") -> str:
    template = (
        f"{{metadata: {{labels: {{app: {name}}}}}, "
        f"spec: {{containers: [{{name: c, image: i, ports: {ports}}}]}}}}"
    )
    metadata = f"{{name: {name}, namespace: shop}}"
    return f"{{apiVersion: batch/v1, kind: Job, metadata: {metadata}, spec: {{template: {template}}}}}\n"


@pytest.mark.parametrize(
    ("other", "reported"),
    [
        pytest.param(job("migrate"), False, id="nobody connects to a Job without ports"),
        pytest.param(job("serve", "[{containerPort: 80}]"), True, id="a Job with a port"),
        pytest.param(pod("b"), True, id="a pod that declares no port may serve one"),
    ],
)
def test_which_pods_count_as_open(other: str, reported: bool) -> None:
    text = documents(ingress(APP_A, "{ports: [{port: 80}]}"), pod("a", app="a"), other)
    assert bool(found(text, "missing-default-deny")) is reported


def test_a_default_deny_is_not_missed_in_kube_system() -> None:
    allow = "{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}"
    for home, reported in (("shop", True), ("kube-system", False)):
        text = documents(policy(allow, namespace=home), pod("b", namespace=home, app="b"))
        assert bool(found(text, "missing-default-deny")) is reported


@pytest.mark.parametrize(
    ("service", "ports", "reported"),
    [
        ("{port: 80, targetPort: 8080}", "[{port: 80}]", True),
        ("{port: 80, targetPort: web}", "[{port: 80}]", True),
        ("{port: 80, targetPort: 8080}", "[{port: 80}, {port: 8080}]", False),
        ("{port: 80}", "[{port: 80}]", False),
        ("{port: 81, targetPort: 8080}", "[{port: 80}]", False),
        ("{port: 80, targetPort: 8080}", "[{port: 80, protocol: UDP}]", False),
    ],
)
def test_service_port(service: str, ports: str, reported: bool) -> None:
    text = documents(
        pod("a", app="a", ports="[{containerPort: 8080, name: web}]"),
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, "
        f"spec: {{selector: {{app: a}}, ports: [{service}]}}}}\n",
        ingress(APP_A, f"{{ports: {ports}}}"),
    )
    assert bool(found(text, "service-port")) is reported


def test_an_address_that_nobody_gave_a_service_is_not_reported() -> None:
    service = (
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: 80}]}}\n"
    )
    rule = "{to: [{ipBlock: {cidr: 10.96.0.0/24}}], ports: [{port: 80}]}"
    assert found(documents(service, egress("{}", rule)), "service-address") == ()


def test_redundant_policies() -> None:
    rules = "{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}"
    (finding,) = found(documents(policy(rules, name="one"), policy(rules, name="later")), "redundant-policy")
    assert finding.subject.name == "later"
    assert "one" in finding.message
    deny = policy("{podSelector: {}, policyTypes: [Ingress]}", name="default-deny")
    allow = ingress("{}", "{from: [{podSelector: {}}]}", name="same-namespace")
    assert found(documents(deny, allow), "redundant-policy") == (), "a default deny next to allow rules"
    other = egress("{}", "{ports: [{port: 80}]}", name="out")
    assert found(documents(ingress("{}", "{ports: [{port: 80}]}"), other), "redundant-policy") == ()


def test_the_pods_next_to_a_policy_without_a_namespace_are_unknown() -> None:
    default = pod("a", namespace="default", app="a")
    selected = selecting("{app: b}").replace(", namespace: shop", "")
    assert severities(documents(default, selected), "unmatched-pods") == [NOTE]
    peer = ingress("{}", "{from: [{podSelector: {matchLabels: {app: b}}}]}").replace(", namespace: shop", "")
    assert found(documents(default, peer), "unmatched-pods") == ()


def test_a_selector_that_only_excludes_labels_may_match_nothing() -> None:
    for operator in ("{key: app, operator: DoesNotExist}", "{key: app, operator: NotIn, values: [a]}"):
        rest = policy(f"{{podSelector: {{matchExpressions: [{operator}]}}, policyTypes: [Ingress]}}")
        assert found(documents(pod("a", app="a"), rest), "unmatched-pods") == ()


@pytest.mark.parametrize(
    ("selected", "severity"),
    [
        ("{app: shop, component: worker}", NOTE),  # a component that may be switched off
        ("{app: shop, tier: worker}", WARNING),
        ("{app: other, component: worker}", WARNING),
        ("{component: worker}", WARNING),
    ],
)
def test_a_component_that_does_not_exist(selected: str, severity: Severity) -> None:
    text = documents(selecting(selected), pod("web", app="shop", component="web", tier="web"))
    assert severities(text, "unmatched-pods") == [severity]


@pytest.mark.parametrize(
    ("peer", "severity"),
    [
        ("podSelector: {matchLabels: {app: a}}", NOTE),
        ("namespaceSelector: {matchLabels: {team: a}}", NOTE),
        ("namespaceSelector: {}, podSelector: {matchLabels: {app: a}}", NOTE),
        ("namespaceSelector: {}", WARNING),
        ("ipBlock: {cidr: 203.0.113.0/24}", WARNING),
    ],
)
def test_no_ports_is_a_warning_if_no_label_selects_the_peers(peer: str, severity: Severity) -> None:
    assert severities(ingress("{}", f"{{from: [{{{peer}}}]}}"), "no-ports") == [severity]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("[{port: https}]", [ERROR]),
        ("[{port: http}, {port: https}]", [WARNING]),
        ("[{port: 80}, {port: https}]", [WARNING]),
        ("[{port: https}, {port: htpp}]", [ERROR, ERROR]),
    ],
)
def test_a_port_name_next_to_one_that_exists(ports: str, expected: list[Severity]) -> None:
    text = documents(
        ingress(APP_A, f"{{ports: {ports}}}"), pod("a", ports="[{name: http, containerPort: 80}]", app="a")
    )
    assert severities(text, "unknown-port-name") == expected


WEB = pod("web", ports="[{containerPort: 8080}]", app="web")
CLIENTS = policy(
    "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 8080}]}]}"
)
BALANCER = (
    "{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, "
    "spec: {%s, ports: [{port: 80}]}}\n"
)
SELECTS = "selector: {app: web}, type: LoadBalancer"
EGRESS = "{podSelector: {}, policyTypes: [Egress], egress: [%s]}"
EXCEPT = "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}], ports: [{port: 443}]}"
NODE_DNS = pod("node-local-dns", namespace="kube-system", spec="hostNetwork: true")
DNS_PODS = "{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}"
DNS = f"{{to: [{DNS_PODS}], ports: [{{port: 53, protocol: UDP}}]}}"
AMBIENT = namespace("shop", **{"istio.io/dataplane-mode": "ambient"})
QUIET = [  # rule, what is in the input: the rule must say nothing
    ("client-address", [WEB, CLIENTS], "no Service"),
    ("client-address", [WEB, CLIENTS, BALANCER % "selector: {app: web}"], "a Service inside the cluster"),
    ("client-address", [WEB, CLIENTS, BALANCER % f"{SELECTS}, externalTrafficPolicy: Local"], "Local"),
    ("client-address", [WEB, CLIENTS, BALANCER % SELECTS.replace("web", "x")], "another pod's Service"),
    ("client-address", [CLIENTS, BALANCER % SELECTS], "pods that are not known"),
    ("reopened-except", [policy(EGRESS % EXCEPT)], "nothing else"),
    (
        "reopened-except",
        [policy(EGRESS % f"{EXCEPT}, {{to: [{{ipBlock: {{cidr: 10.0.0.10/32}}}}], ports: [{{port: 443}}]}}")],
        "a part of the exception",
    ),
    ("reopened-except", [policy(EGRESS % f"{EXCEPT}, {{ports: [{{port: 53}}]}}")], "other ports"),
    (
        "reopened-except",
        [
            policy(EGRESS % EXCEPT),
            policy("{podSelector: {matchLabels: {a: b}}, policyTypes: [Egress], egress: [{}]}", name="q"),
        ],
        "other pods",
    ),
    (
        "one-family",
        [WEB, policy(EGRESS % "{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}")],
        "addresses that are not known",
    ),
    (
        "host-bits",
        [policy(EGRESS % "{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 192.0.2.7/32}}]}")],
        "networks",
    ),
    ("node-local-dns", [policy(EGRESS % DNS)], "no node-local DNS"),
    (
        "node-local-dns",
        [NODE_DNS, policy(EGRESS % "{ports: [{port: 53, protocol: UDP}]}")],
        "DNS to everyone",
    ),
    ("ambient-mesh", [namespace("shop"), CLIENTS], "no mesh"),
    ("ambient-mesh", [AMBIENT, policy("{podSelector: {}, ingress: []}")], "a default deny"),
    ("ambient-mesh", [AMBIENT, policy("{podSelector: {}, ingress: [{}]}")], "every port"),
    ("null-section", [policy("{podSelector: {}, policyTypes: [Ingress]}")], "an absent section"),
    ("null-section", [policy("{podSelector: {}, ingress: []}")], "an empty section"),
    ("template-labels", [WEB, policy("{podSelector: {}}")], "no label is required"),
    (
        "kustomize-labels",
        [
            WEB,
            policy(
                "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: "
                "{matchLabels: {app: web}}}]}]}"
            ),
        ],
        "the own namespace",
    ),
    ("mixed-target-port", [WEB, BALANCER % SELECTS, CLIENTS], "a numeric target"),
    (
        "api-server-by-selector",
        [WEB, policy(EGRESS % "{to: [{namespaceSelector: {}}], ports: [{port: 443}]}")],
        "no API server in the input",
    ),
    ("webhook-closed", [WEB, policy("{podSelector: {}, policyTypes: [Ingress]}")], "no webhook"),
]


@pytest.mark.parametrize(
    ("rule", "parts"), [pytest.param(rule, parts, id=f"{rule}: {why}") for rule, parts, why in QUIET]
)
def test_a_rule_is_quiet_without_evidence(rule: str, parts: list[str]) -> None:
    assert found(documents(*parts), rule) == ()


FINISHED = pod("once", app="x").rstrip()[:-1] + ", status: {phase: Succeeded}}\n"
UNMATCHED = [  # what is in the input besides pod a, the severities of unmatched-pods for app=x,tier=y
    pytest.param([], [WARNING], id="nothing like it"),
    pytest.param(
        [FINISHED.replace("x}", "x, tier: y}").replace('"x"}', '"x", "tier": "y"}')], [], id="a finished pod"
    ),
    pytest.param([pod("b", app="x"), pod("c", tier="y")], [WARNING], id="each label on another pod"),
]


@pytest.mark.parametrize(("around", "expected"), UNMATCHED)
def test_a_selector_that_matches_nothing(around: list[str], expected: list[Severity]) -> None:
    text = documents(pod("a", app="a"), *around, selecting("{app: x, tier: y}"))
    assert severities(text, "unmatched-pods") == expected
