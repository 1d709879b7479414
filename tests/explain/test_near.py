"""Policies that almost apply, and explanations of flows that cross several tiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.explain import Advisor, explain, lines
from netprobe.explain.explanation import Role
from netprobe.manifests import load
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import Action
from netprobe.simulate import Simulator
from tests.manifest_text import documents, pod, policy

PODS = documents(
    pod("a", namespace="n", ports="[{containerPort: 80}]", app="web", tier="x"),
    pod("b", namespace="n", app="db"),
    pod("c", namespace="o", app="api"),
)
DENY = policy("{podSelector: {}, policyTypes: [Ingress, Egress]}", name="deny", namespace="n")


def advisor(folder: Path, *policies: str) -> Advisor:
    file = folder / "m.yaml"
    file.write_text(documents(PODS, *policies))
    return Advisor(Simulator(load([file]).cluster))


def explained(folder: Path, *policies: str) -> str:
    return "\n".join(lines(explain(advisor(folder, *policies), Flow(PodRef("n", "b"), PodRef("n", "a"), 80))))


def near(spec: str, namespace: str = "n") -> str:
    return policy(spec, namespace=namespace)


WEB = "podSelector: {matchLabels: {app: web}}"
FRONT = "podSelector: {matchLabels: {app: web, role: front, zone: z}}"
NEAR = [
    pytest.param(
        [DENY, near(f"{{{FRONT}, ingress: [{{ports: [{{port: 80}}]}}]}}")],
        "it does not select n/a, which has no label role and zone (wanted: role=front,zone=z)",
        id="all missing labels",
    ),
    pytest.param(
        [near("{podSelector: {matchLabels: {app: wbe}}}")],
        "n/p [FILE] would close it, but it does not select n/a, which has app=web (wanted: app=wbe)",
        id="a typing mistake",
    ),
    pytest.param(
        [near(f"{{{WEB}}}", "o")],
        "it selects pods app=web of its own namespace o, which has none; such pods are in n",
        id="another namespace",
    ),
    pytest.param(
        [DENY, near(f"{{{WEB}, policyTypes: [Egress], ingress: [{{ports: [{{port: 443}}]}}]}}")],
        "n/p [FILE] would allow TCP 443, not TCP 80, but it has no effect on ingress: policyTypes does",
        id="a direction, and another port",
    ),
]


@pytest.mark.parametrize(("policies", "sentence"), NEAR)
def test_what_is_missing_is_named(policies: list[str], sentence: str, tmp_path: Path) -> None:
    text = explained(tmp_path, *policies)
    for part in sentence.split("[FILE]"):
        assert part in text


def test_what_selects_others_on_purpose_is_not_named(tmp_path: Path) -> None:
    text = explained(tmp_path, DENY, near("{podSelector: {matchLabels: {app: db}}, ingress: [{}]}"))
    assert "n/p" not in text


TIERS = """\
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: platform}
spec:
  {tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [
    {name: own, action: Pass, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: n}}}]},
    {name: rest, action: Deny, from: [{namespaces: {}}]}]}
---
apiVersion: policy.networking.k8s.io/v1beta1
kind: ClusterNetworkPolicy
metadata: {name: closed}
spec:
  {tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [
    {name: all, action: Deny, from: [{namespaces: {}}]}]}
"""


def test_each_tier_says_what_it_does_and_what_it_would_do(tmp_path: Path) -> None:
    tiers = advisor(tmp_path, TIERS)
    passed = explain(tiers, Flow(PodRef("n", "b"), PodRef("n", "a"), 80)).sides[1]
    assert [(tier.name, tier.outcome, tier.reached) for tier in passed.tiers] == [
        ("Admin", Action.PASS, True),
        ("Baseline", Action.DENY, True),
    ]
    assert [rule.role for rule in passed.tiers[0].policies[0].rules] == [Role.PASSES, Role.SHADOWED]
    ended = explain(tiers, Flow(PodRef("o", "c"), PodRef("n", "a"), 80))
    assert [(tier.outcome, tier.reached) for tier in ended.sides[1].tiers] == [
        (Action.DENY, True),
        (Action.DENY, False),
    ]
    assert ended.answer.startswith(
        'DENIED at the destination: ingress[1] "rest" of platform in tier Admin denies'
    )
    assert ended.change is not None
    assert ended.change.text.startswith(
        "add a ClusterNetworkPolicy before platform (tier Admin, priority 0) "
        "that selects pods app=web,tier=x of n and allows TCP 80"
    )
