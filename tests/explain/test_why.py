"""The sentence next to a flow names policy, rule, peer and side, and where they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.diff import judge
from netprobe.explain.why import blame
from netprobe.model.flow import Flow, PodRef, ServiceRef, Via
from netprobe.model.policy import Direction, Origin, Place, Policy, PolicyRef
from netprobe.model.verdict import Cause, Decision, Effect, Side, Verdict
from tests.manifest_text import documents, policy
from tests.scenarios import MANIFESTS

A, B, POLICY = PodRef("x", "a"), PodRef("y", "b"), PolicyRef("y", "p")
IN, OUT = Direction.INGRESS, Direction.EGRESS
ORIGIN = Origin("p.yaml", 3, {"spec.podSelector": (5, 3), "spec.ingress[1]": (9, 5), "spec.egress": (20, 3)})
ISOLATES = Cause(IN, POLICY, Effect.ISOLATES)


def side(direction: Direction, *allowing: Cause, ref: PolicyRef = POLICY) -> Side:
    return Side(direction, (Cause(direction, ref, Effect.ISOLATES),), allowing)


CASES = [
    pytest.param(
        Decision(Verdict.DENY, ingress=side(IN)),
        "ingress: y/p [p.yaml:5] isolates y/b, and no rule allows TCP 80 from x/a",
        Place("p.yaml", 5, 3),
        id="denied at the destination",
    ),
    pytest.param(
        Decision(Verdict.DENY, egress=side(OUT, ref=PolicyRef("x", "q")), ingress=side(IN)),
        "egress: x/q isolates x/a, and no rule allows TCP 80 to y/b; "
        "ingress: y/p [p.yaml:5] isolates y/b, and no rule allows TCP 80 from x/a",
        Place("p.yaml", 5, 3),
        id="denied at both ends, one policy from nowhere",
    ),
    pytest.param(
        Decision(Verdict.ALLOW, ingress=side(IN, Cause(IN, POLICY, Effect.ALLOWS, 1, 0))),
        "egress: no policy isolates x/a; "
        "ingress: y/p allows it by rule 1, peer 0 (ingress[1].from[0]) [p.yaml:9]",
        Place("p.yaml", 9, 5),
        id="allowed by a peer; its place is the nearest that is known",
    ),
    pytest.param(
        Decision(Verdict.ALLOW, ingress=side(IN, Cause(IN, POLICY, Effect.ALLOWS, 0))),
        "egress: no policy isolates x/a; ingress: y/p allows it by rule 0 (ingress[0]) [p.yaml:3]",
        Place("p.yaml", 3),
        id="allowed by a rule without peers",
    ),
    pytest.param(
        Decision(Verdict.ALLOW),
        "egress: no policy isolates x/a; ingress: no policy isolates y/b",
        None,
        id="nobody isolates",
    ),
    pytest.param(Decision(Verdict.ALLOW, reason="itself"), "itself", None, id="no policy was asked"),
    pytest.param(Decision(Verdict.UNKNOWN, reason="no endpoint"), "no endpoint", None, id="unknown"),
]


@pytest.mark.parametrize(("decision", "sentence", "place"), CASES)
def test_why(decision: Decision, sentence: str, place: Place | None) -> None:
    why = blame([Policy(POLICY, origin=ORIGIN)])(judge(Flow(A, B, 80), None, decision, None))
    assert str(why) == sentence
    assert why.place == place


def test_each_backend_of_a_service_is_explained_by_itself() -> None:
    to_backend = Flow(A, B, 8080, via=Via.SERVICE)
    decision = Decision(Verdict.DENY, backends=((to_backend, Decision(Verdict.DENY, ingress=side(IN))),))
    flow = Flow(A, ServiceRef("y", "svc"), 80, via=Via.SERVICE)
    why = blame([Policy(POLICY, origin=ORIGIN)])(judge(flow, None, decision, None))
    assert why.sentences == (
        "y/b: ingress: y/p [p.yaml:5] isolates y/b, and no rule allows TCP 8080 from x/a",
    )
    assert why.place == Place("p.yaml", 5, 3)


def test_a_deny_rule_is_named_with_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(MANIFESTS / "platform-guardrails-mistake" / "suite.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "ingress: ClusterNetworkPolicy closed-by-default denies it by rule 0" in shown
    assert "no policy isolates" not in shown
    # Three flows share the reason, and no change is suggested for more than one of them.
    changes = re.findall(r"to be allowed, (\S+) -> shop/web 8080: add a ", shown)
    assert changes == ["monitoring/prometheus", "shop/db", "blog/web"]


RISKY = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: redis}
topology:
  namespaces:
    - name: shop
      pods:
        - {name: redis, labels: {app: redis}, ports: [80]}
        - {name: a}
        - {name: b}
        - {name: c, labels: {app: c}}
policies: [redis.yaml]
expect: {default: deny, flows: [{from: shop/c, to: shop/redis, port: 80, verdict: allow}]}
"""
OR_FOR_AND = policy(
    "{podSelector: {matchLabels: {app: redis}}, "
    "ingress: [{from: [{namespaceSelector: {}}, {podSelector: {matchLabels: {app: c}}}]}]}",
    name="redis",
)


def test_a_change_that_resolves_all_flows_with_a_reason_is_shown_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "suite.yaml").write_text(RISKY)
    (tmp_path / "redis.yaml").write_text(OR_FOR_AND)
    assert main(["simulate", str(tmp_path / "suite.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "MISMATCH shop/a -> shop/redis 80" in shown
    assert "MISMATCH shop/b -> shop/redis 80" in shown
    assert shown.count("to be denied: make ingress[0].from[0] and [1] one peer in shop/redis") == 1


TYPO = documents(
    policy("{podSelector: {}, policyTypes: [Ingress]}", name="closed"),
    policy(
        "{podSelector: {matchLabels: {app: redsi}}, "
        "ingress: [{from: [{podSelector: {matchLabels: {app: c}}}], ports: [{port: 80}]}]}",
        name="redis",
    ),
)


@pytest.mark.parametrize(
    ("policies", "change"),
    [
        (TYPO, "select pods app=redis, not app=redsi, in podSelector of shop/redis"),
        (
            TYPO.replace("redsi", "redis").replace("{app: c}", "{app: cc}"),
            "select pods app=c, not app=cc, in ingress[0].from[0].podSelector of shop/redis",
        ),
    ],
    ids=["the pods of a policy", "a peer"],
)
def test_a_selector_with_a_typo_is_corrected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], policies: str, change: str
) -> None:
    (tmp_path / "suite.yaml").write_text(RISKY)
    (tmp_path / "redis.yaml").write_text(policies)
    assert main(["simulate", str(tmp_path / "suite.yaml")]) == 1
    assert f"to be allowed: {change}\n" in capsys.readouterr().out


def test_causes_have_effect_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["simulate", str(MANIFESTS / "calico-tiers" / "suite.yaml"), "-o", "json"])
    causes = [cause for flow in json.loads(capsys.readouterr().out)["flows"] for cause in flow["because"]]
    assert {"denies", "passes", "allows"} <= {cause["effect"] for cause in causes}
    assert "GlobalNetworkPolicy" in {cause["kind"] for cause in causes}
