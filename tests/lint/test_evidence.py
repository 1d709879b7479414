"""What is not in the input is not concluded from: the rules that need labels or pods stay silent."""

from __future__ import annotations

import pytest

from netprobe.lint import Severity
from tests.lint.helpers import documents, found, namespace, pod, policy

NEEDS_MORE = (
    "unmatched-namespace",
    "unmatched-pods",
    "other-namespace-pods",
    "unknown-port-name",
    "service-port",
    "host-network",
    "service-address",
    "pod-address",
    "namespace-by-name",
)
TEAM = policy(
    "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{namespaceSelector: {matchLabels: "
    "{team: x}}, podSelector: {matchLabels: {app: b}}}], ports: [{port: web}]}]}"
)


def test_policies_alone_say_nothing_of_labels_and_pods() -> None:
    assert found(TEAM, *NEEDS_MORE) == ()


@pytest.mark.parametrize(
    ("around", "speaks"),
    [
        pytest.param([namespace("shop")], False, id="only its own namespace is described"),
        pytest.param([namespace("shop"), namespace("other")], True, id="another namespace is described"),
        pytest.param([namespace("other")], True, id="its own is not: podSelector is for that"),
        pytest.param(
            [namespace("other"), pod("b", namespace="third")],
            False,
            id="a third, undescribed, may have the label",
        ),
        pytest.param([namespace("kube-system")], True, id="a dump of a cluster"),
        pytest.param([namespace("other", team="x")], False, id="one has the label"),
    ],
)
def test_a_namespace_selector_that_matches_nothing(around: list[str], speaks: bool) -> None:
    assert bool(found(documents(*around, TEAM), "unmatched-namespace")) is speaks


def test_a_namespace_by_its_name_may_be_outside_the_input_but_not_outside_a_cluster() -> None:
    named = policy(
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: "
        "{kubernetes.io/metadata.name: gone}}}], ports: [{port: 80}]}]}"
    )
    assert not found(documents(namespace("other"), named), "unmatched-namespace")
    assert found(documents(namespace("kube-system"), named), "unmatched-namespace")


def test_operators_make_pods_that_no_manifest_shows() -> None:
    selected = policy("{podSelector: {matchLabels: {app: prometheus}}, policyTypes: [Ingress]}")
    custom = (
        "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: p, namespace: shop}}\n"
    )
    assert found(documents(pod("a", app="a"), selected), "unmatched-pods")
    assert not found(documents(pod("a", app="a"), custom, selected), "unmatched-pods")


def test_a_dump_without_the_pods_of_kube_system_is_no_dump_of_pods() -> None:
    selected = policy("{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress]}")
    dump = documents(namespace("kube-system"), namespace("shop"), selected)
    assert not found(dump, "unmatched-pods")
    assert found(documents(dump, pod("proxy", namespace="kube-system", app="p")), "unmatched-pods")


OR = policy(
    "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: x}}}, "
    "{podSelector: {matchLabels: {app: b}}}], ports: [{port: 80}]}]}"
)


@pytest.mark.parametrize(
    ("around", "asks"),
    [
        pytest.param([], True, id="nothing is known"),
        pytest.param([pod("b", app="b")], False, id="such pods are at home"),
        pytest.param([pod("a", app="a")], True, id="no such pod is at home"),
        pytest.param(
            [namespace("other", team="x"), pod("b", app="b"), pod("b", namespace="other", app="b")],
            True,
            id="at home and there: AND would have chosen among the pods there",
        ),
        pytest.param(
            [namespace("other", team="x"), pod("a", app="a"), pod("c", namespace="other", app="c")],
            False,
            id="the pods there are given, and none is such",
        ),
    ],
)
def test_or_for_and_asks_where_it_looks_like_a_slip(around: list[str], asks: bool) -> None:
    assert bool(found(documents(*around, OR), "or-for-and")) is asks


@pytest.mark.parametrize(
    "peers",
    [
        pytest.param(
            "{namespaceSelector: {matchLabels: {team: x}}}, {podSelector: {}}", id="all pods at home"
        ),
        pytest.param(
            "{namespaceSelector: {matchLabels: {t: x}}, podSelector: {}}, "
            "{podSelector: {matchLabels: {a: b}}}",
            id="podSelector {} is written: the difference is known",
        ),
        pytest.param(
            "{podSelector: {matchLabels: {a: b}}}, {podSelector: {matchLabels: {c: d}}}, "
            "{namespaceSelector: {matchLabels: {team: x}}}",
            id="a longer list of alternatives",
        ),
    ],
)
def test_or_for_and_leaves_sound_lists_alone(peers: str) -> None:
    text = policy(f"{{podSelector: {{}}, ingress: [{{from: [{peers}], ports: [{{port: 80}}]}}]}}")
    assert found(text, "or-for-and") == ()


CALLS = "{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}"
DNS = "{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}"


def egress(selector: str, *rules: str, name: str = "p") -> str:
    return policy(
        f"{{podSelector: {selector}, policyTypes: [Egress], egress: [{', '.join(rules)}]}}", name=name
    )


@pytest.mark.parametrize(
    ("parts", "severities"),
    [
        pytest.param([egress("{}")], [Severity.NOTE], id="nothing may leave the namespace"),
        pytest.param(
            [egress("{matchLabels: {app: a}}")], [], id="one app may call nobody: it needs no names"
        ),
        pytest.param([egress("{}", CALLS)], [Severity.WARNING], id="calls without names"),
        pytest.param([egress("{}", CALLS, DNS)], [], id="DNS in the same policy"),
        pytest.param([egress("{}", CALLS), egress("{}", DNS, name="dns")], [], id="DNS in another"),
        pytest.param([egress("{}", "{to: [{namespaceSelector: {}}]}")], [], id="every pod on every port"),
        pytest.param(
            [egress("{matchLabels: {app: a}}", CALLS), egress("{matchLabels: {tier: t}}", DNS, name="dns")],
            [],
            id="DNS for pods that may be the same",
        ),
        pytest.param(
            [egress("{matchLabels: {app: a}}", CALLS), egress("{matchLabels: {app: b}}", DNS, name="dns")],
            [Severity.WARNING],
            id="DNS for other pods",
        ),
        pytest.param(
            [
                egress("{matchLabels: {app: a}}", CALLS),
                egress("{matchLabels: {tier: t}}", DNS, name="dns"),
                pod("a", app="a"),
            ],
            [Severity.WARNING],
            id="the pod is given, and the policy with DNS does not select it",
        ),
        pytest.param(
            [egress("{}"), egress("{matchLabels: {app: a}}", CALLS, name="q")],
            [Severity.WARNING],
            id="said once, of the widest",
        ),
        pytest.param(
            [egress("{}", CALLS, DNS), pod("dns", namespace="kube-system", **{"k8s-app": "kube-dns"})],
            [],
            id="the DNS pods are reached",
        ),
    ],
)
def test_no_dns(parts: list[str], severities: list[Severity]) -> None:
    assert [finding.severity for finding in found(documents(*parts), "no-dns")] == severities


def test_a_default_deny_is_missed_for_certain_only_where_open_pods_are_known() -> None:
    allow = policy("{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}")
    (unknown,) = found(allow, "missing-default-deny")
    assert unknown.severity is Severity.NOTE
    assert not found(documents(allow, pod("a", app="a")), "missing-default-deny")
    (known,) = found(documents(allow, pod("a", app="a"), pod("b", app="b")), "missing-default-deny")
    assert known.severity is Severity.WARNING
    assert "pod/b" in known.message
    assert "pod/a" not in known.message


@pytest.mark.parametrize(
    ("service", "policy_ports", "found_it"),
    [
        ("{port: 80, targetPort: 8080}", "[{port: 80}]", True),
        ("{port: 80, targetPort: web}", "[{port: 80}]", True),
        ("{port: 80, targetPort: 8080}", "[{port: 80}, {port: 8080}]", False),
        ("{port: 80}", "[{port: 80}]", False),
        ("{port: 81, targetPort: 8080}", "[{port: 80}]", False),
        ("{port: 80, targetPort: 8080}", "[{port: 80, protocol: UDP}]", False),
    ],
)
def test_service_port(service: str, policy_ports: str, found_it: bool) -> None:
    text = documents(
        pod("a", app="a", ports="[{containerPort: 8080, name: web}]"),
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, "
        f"spec: {{selector: {{app: a}}, ports: [{service}]}}}}\n",
        policy(f"{{podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: {policy_ports}}}]}}"),
    )
    assert bool(found(text, "service-port")) is found_it


def test_an_address_that_nobody_gave_a_service_is_not_reported() -> None:
    text = documents(
        "{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, "
        "spec: {selector: {app: a}, ports: [{port: 80}]}}\n",
        policy(
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.0.0/24}}], "
            "ports: [{port: 80}]}]}"
        ),
    )
    assert found(text, "service-address") == ()


def test_redundant_names_the_wider_policy_and_of_two_equal_ones_the_later() -> None:
    rules = "{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}"
    (finding,) = found(
        documents(policy(rules, name="first"), policy(rules, name="later")), "redundant-policy"
    )
    assert finding.subject.name == "later"
    assert "first" in finding.message


def test_a_default_deny_beside_allow_rules_is_not_redundant() -> None:
    deny = policy("{podSelector: {}, policyTypes: [Ingress]}", name="default-deny")
    allow = policy("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}", name="same-namespace")
    assert found(documents(deny, allow), "redundant-policy") == ()


def test_a_policy_in_another_direction_is_not_redundant() -> None:
    ingress = policy("{podSelector: {}, ingress: [{ports: [{port: 80}]}]}", name="in")
    both = policy("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}", name="out")
    assert found(documents(ingress, both), "redundant-policy") == ()


HOMELESS = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: "


def test_where_a_policy_without_namespace_lands_nobody_knows_the_other_pods() -> None:
    at_home = pod("a", namespace="default", app="a")
    selected = HOMELESS + "{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}}\n"
    (finding,) = found(documents(at_home, selected), "unmatched-pods")
    assert finding.severity is Severity.NOTE
    peer = HOMELESS + "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}]}}\n"
    assert found(documents(at_home, peer), "unmatched-pods") == ()


def test_a_selector_that_only_keeps_labels_out_may_be_left_with_nothing() -> None:
    for operator in ("{key: app, operator: DoesNotExist}", "{key: app, operator: NotIn, values: [a]}"):
        rest = policy(f"{{podSelector: {{matchExpressions: [{operator}]}}, policyTypes: [Ingress]}}")
        assert found(documents(pod("a", app="a"), rest), "unmatched-pods") == ()


@pytest.mark.parametrize(
    ("peer", "severity"),
    [
        ("podSelector: {matchLabels: {app: a}}", Severity.NOTE),
        ("namespaceSelector: {matchLabels: {team: a}}", Severity.NOTE),
        ("namespaceSelector: {}, podSelector: {matchLabels: {app: a}}", Severity.NOTE),
        ("namespaceSelector: {}", Severity.WARNING),
        ("ipBlock: {cidr: 203.0.113.0/24}", Severity.WARNING),
    ],
)
def test_no_ports_weighs_more_where_no_label_chooses(peer: str, severity: Severity) -> None:
    (finding,) = found(policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{peer}}}]}}]}}"), "no-ports")
    assert finding.severity is severity


def test_a_default_deny_is_not_asked_for_in_kube_system() -> None:
    allow = "{podSelector: {matchLabels: {app: a}}, ingress: [{ports: [{port: 80}]}]}"
    for home, speaks in (("shop", True), ("kube-system", False)):
        text = documents(policy(allow, namespace=home), pod("b", namespace=home, app="b"))
        assert bool(found(text, "missing-default-deny")) is speaks


@pytest.mark.parametrize(("port", "speaks"), [(6443, False), (443, True)])
def test_the_api_server_needs_no_name(port: int, speaks: bool) -> None:
    text = policy(
        "{podSelector: {matchLabels: {app: a}}, policyTypes: [Egress], "
        f"egress: [{{to: [{{ipBlock: {{cidr: 203.0.113.1/32}}}}], ports: [{{port: {port}}}]}}]}}"
    )
    assert bool(found(text, "no-dns")) is speaks


def job(name: str, ports: str = "[]") -> str:
    containers = f"[{{name: c, image: i, ports: {ports}}}]"
    template = f"{{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: {containers}}}}}"
    return (
        f"{{apiVersion: batch/v1, kind: Job, metadata: {{name: {name}, namespace: shop}}, "
        f"spec: {{template: {template}}}}}\n"
    )


ALLOW_A = policy(
    "{podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {}}], ports: [{port: 80}]}]}"
)


@pytest.mark.parametrize(
    ("other", "speaks"),
    [
        pytest.param(job("migrate"), False, id="a Job that serves nothing"),
        pytest.param(job("serve", "[{containerPort: 80}]"), True, id="a Job with a port"),
        pytest.param(pod("b"), True, id="a pod that declares no port may serve one"),
    ],
)
def test_nobody_talks_to_a_job(other: str, speaks: bool) -> None:
    text = documents(ALLOW_A, pod("a", app="a"), other)
    assert bool(found(text, "missing-default-deny")) is speaks


@pytest.mark.parametrize(
    ("selected", "severity"),
    [
        ("{app: shop, component: worker}", Severity.NOTE),
        ("{app: shop, tier: worker}", Severity.WARNING),
        ("{app: other, component: worker}", Severity.WARNING),
        ("{component: worker}", Severity.WARNING),
    ],
)
def test_a_component_that_is_not_there_may_be_switched_off(selected: str, severity: Severity) -> None:
    text = documents(
        policy(f"{{podSelector: {{matchLabels: {selected}}}, policyTypes: [Ingress]}}"),
        pod("web", app="shop", component="web", tier="web"),
    )
    (finding,) = found(text, "unmatched-pods")
    assert finding.severity is severity


@pytest.mark.parametrize(
    ("ports", "severities"),
    [
        ("[{port: https}]", [Severity.ERROR]),
        ("[{port: http}, {port: https}]", [Severity.WARNING]),
        ("[{port: 80}, {port: https}]", [Severity.WARNING]),
        ("[{port: https}, {port: htpp}]", [Severity.ERROR, Severity.ERROR]),
    ],
)
def test_a_port_name_beside_one_that_is_there(ports: str, severities: list[Severity]) -> None:
    text = documents(
        policy(f"{{podSelector: {{matchLabels: {{app: a}}}}, ingress: [{{ports: {ports}}}]}}"),
        pod("a", ports="[{name: http, containerPort: 80}]", app="a"),
    )
    assert [finding.severity for finding in found(text, "unknown-port-name")] == severities
