"""Policies that almost apply, and explanations of flows that cross several tiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.explain import Advisor, Role, explain, lines
from netprobe.manifests import load
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import Action
from netprobe.simulate import Simulator

POD = (
    "---\napiVersion: v1\nkind: Pod\n"
    "metadata: {{name: {name}, namespace: {space}, labels: {labels}}}\nspec: {spec}\n"
)
SPEC = "{containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}"
POLICY = (
    "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: n}\nspec: "
)
PODS = "".join(
    POD.format(name=name, space=space, labels=labels, spec=SPEC)
    for name, space, labels in (
        ("a", "n", "{app: web, tier: x}"),
        ("b", "n", "{app: db}"),
        ("c", "o", "{app: api}"),
    )
)
DENY = POLICY.replace("name: p,", "name: deny,") + "{podSelector: {}, policyTypes: [Ingress, Egress]}\n"


def explained(folder: Path, text: str, source: str, destination: str) -> str:
    file = folder / "m.yaml"
    file.write_text(text)
    flow = Flow(PodRef.parse(source), PodRef.parse(destination), 80)
    return "\n".join(lines(explain(Simulator(load([file]).cluster), flow)))


NEAR = [
    pytest.param(
        DENY
        + POLICY
        + "{podSelector: {matchLabels: {app: web, role: front, zone: z}}, ingress: [{ports: [{port: 80}]}]}",
        "it does not select n/a, which has no label role and zone (wanted: role=front,zone=z)",
        id="all missing labels",
    ),
    pytest.param(
        POLICY + "{podSelector: {matchLabels: {app: wbe}}}",
        "n/p [FILE] would close it, but it does not select n/a, which has app=web (wanted: app=wbe)",
        id="a typing mistake",
    ),
    pytest.param(
        (POLICY + "{podSelector: {matchLabels: {app: web}}}").replace("namespace: n", "namespace: o"),
        "it selects pods app=web of its own namespace o, which has none; such pods are in n",
        id="another namespace",
    ),
    pytest.param(
        DENY
        + POLICY
        + "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], "
        + "ingress: [{ports: [{port: 443}]}]}",
        "n/p [FILE] would allow TCP 443, not TCP 80, but it has no effect on ingress: policyTypes does",
        id="a direction, and another port",
    ),
]


@pytest.mark.parametrize(("policies", "sentence"), NEAR)
def test_what_is_missing_is_named(policies: str, sentence: str, tmp_path: Path) -> None:
    text = explained(tmp_path, PODS + policies, "n/b", "n/a")
    for part in sentence.split("[FILE]"):
        assert part in text


def test_what_selects_others_on_purpose_is_not_named(tmp_path: Path) -> None:
    text = explained(
        tmp_path,
        PODS + DENY + POLICY + "{podSelector: {matchLabels: {app: db}}, ingress: [{}]}",
        "n/b",
        "n/a",
    )
    assert "n/p" not in text


TIERS = """
---
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
    file = tmp_path / "m.yaml"
    file.write_text(PODS + TIERS)
    advisor = Advisor(Simulator(load([file]).cluster))
    passed = explain(advisor, Flow(PodRef("n", "b"), PodRef("n", "a"), 80)).sides[1]
    assert [(tier.name, tier.outcome, tier.reached) for tier in passed.tiers] == [
        ("Admin", Action.PASS, True),
        ("Baseline", Action.DENY, True),
    ]
    assert [rule.role for rule in passed.tiers[0].policies[0].rules] == [Role.PASSES, Role.SHADOWED]
    ended = explain(advisor, Flow(PodRef("o", "c"), PodRef("n", "a"), 80))
    assert [(tier.outcome, tier.reached) for tier in ended.sides[1].tiers] == [
        (Action.DENY, True),
        (Action.DENY, False),
    ]
    assert ended.answer.startswith(
        'DENIED at the destination: ingress[1] "rest" of platform in tier Admin denies'
    )
    assert ended.change is not None
    assert ended.change.text.startswith(
        "add a ClusterNetworkPolicy before platform that selects pods app=web,tier=x of n and allows TCP 80"
    )
