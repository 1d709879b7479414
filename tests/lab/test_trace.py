"""`netprobe lab trace` and `netprobe lab add-host` on a lab that runs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from netprobe.cli import main
from netprobe.lab.fabric.state import CountedRule
from netprobe.lab.trace import RuleCounts, UnclearError
from netprobe.model.flow import PodRef
from tests.lab.playground import OPEN, SILENT, Playground, pod, policy, service

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(dual_stack: Playground) -> Playground:
    made = dual_stack
    made.namespace("shop")
    ports = {"port": 80, "targetPort": "http", "nodePort": 30100}
    made.apply(
        pod("shop/web", node="n1")
        + pod("shop/other", node="n1")
        + pod("shop/api", "http=8080", "53/UDP", node="n2")
        + service("shop/api", "api", ports, type="NodePort")
        + service("shop/none", "none", {"port": 80})
    )
    block = {"ipBlock": {"cidr": "192.0.2.0/24"}}
    from_web = [block, {"podSelector": {"matchLabels": {"app": "web"}}}]
    rules = [{"from": [block]}, {"from": from_web, "ports": [{"port": "http"}]}]
    made.apply(policy("shop/closed", "api", ingress=[]) + policy("shop/allow-web", "api", ingress=rules))
    made.apply(policy("shop/out", "other", policyTypes=["Egress"], egress=[{"ports": [{"port": 8080}]}]))
    made.eventually(lambda: made.probe("shop/other", made.address("shop/api"), 8080), SILENT)
    made.eventually(lambda: made.probe("shop/web", made.vip("shop/api"), 80), OPEN)
    return made


def trace(
    lab: Playground, capsys: pytest.CaptureFixture[str], source: str, target: str, port: str, *more: str
) -> tuple[str, list[dict[str, Any]]]:
    """The outcome and the steps, each with what it has to say."""
    arguments = ["lab", "trace", source, target, "--port", port, "--lab", lab.lab.name, "-o", "json", *more]
    assert main(arguments) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["from"], output["to"]) == (source, target)
    steps = [
        {key: value for key, value in step.items() if value not in (None, [], 0)} for step in output["steps"]
    ]
    for step in steps:
        step.pop("packets", None)
    return output["outcome"], steps


NOT_ISOLATED = {"stage": "egress", "node": "n1", "effect": "not isolated"}
ISOLATING = ["shop/allow-web", "shop/closed"]


def test_the_rule_that_lets_it_pass(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    outcome, steps = trace(lab, capsys, "shop/web", "shop/api", "http")
    allowed = {"stage": "ingress", "node": "n2", "effect": "allowed", "by": "shop/allow-web"}
    allowed |= {"rule": 1, "peer": 1, "isolating": ISOLATING}  # type: ignore[dict-item]
    assert (outcome, steps) == ("connected", [NOT_ISOLATED, allowed])


def test_through_a_service_and_through_a_node_port(
    lab: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    end = f"{lab.address('shop/api')}:8080"
    for target, port, node in (
        ("svc:shop/api", "80", "n1"),
        (lab.vip("shop/api"), "80", "n1"),
        ("172.31.255.1", "30100", "n1"),
        ("172.31.255.2", "30100", "n2"),
    ):
        outcome, steps = trace(lab, capsys, "shop/web", target, port)
        first = {
            "stage": "service",
            "node": node,
            "effect": "translated",
            "by": "shop/api port 80/tcp",
            "to": end,
        }
        assert first in steps, target
        assert steps[-1]["stage"] == "ingress"
        # A node port is reached under the node's own address, which no selector means.
        through_node = port != "80"
        assert outcome == ("timed_out" if through_node and node == "n1" else "connected")


def test_what_denied_it(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    outcome, steps = trace(lab, capsys, "shop/other", "shop/api", "8080")
    assert outcome == "timed_out"
    assert [(step["stage"], step["effect"]) for step in steps] == [
        ("egress", "allowed"),
        ("ingress", "denied"),
    ]
    assert steps[0]["by"] == "shop/out"
    assert steps[1]["isolating"] == ISOLATING
    outcome, steps = trace(lab, capsys, "shop/other", "shop/api", "53/udp")
    assert outcome == "timed_out"
    denied = {"stage": "egress", "node": "n1", "effect": "denied", "isolating": ["shop/out"]}
    assert steps == [denied]


def test_a_rule_of_another_tier(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    """It denies before the namespace's own policies."""
    pods = {"podSelector": {"matchLabels": {"app": "other"}}, "namespaceSelector": {}}
    ports = [{"tcp": {"destinationPort": {"number": 8080}}}]
    deny = {"action": "Deny", "to": [{"namespaces": {}}], "protocols": ports}
    spec = {"tier": "Admin", "priority": 1, "subject": {"pods": pods}, "egress": [deny]}
    kind = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy"}
    lab.apply(json.dumps({**kind, "metadata": {"name": "no-web"}, "spec": spec}))
    denied: dict[str, Any] = {"stage": "egress", "node": "n1", "effect": "denied"}
    denied |= {"by": "ClusterNetworkPolicy/no-web", "isolating": ["shop/out"]}
    look = partial(trace, lab, capsys, "shop/other", "shop/api", "8080")
    lab.eventually(look, ("timed_out", [denied]))
    lab.delete("ClusterNetworkPolicy", "no-web", None)


def test_the_family_that_was_requested(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    """A block of IPv4 opens nothing over IPv6."""
    block = {"ipBlock": {"cidr": "10.244.0.0/16"}}
    lab.apply(
        policy("shop/from-v4", "api", ingress=[{"from": [block], "ports": [{"port": 53, "protocol": "UDP"}]}])
    )
    four, six = ("--ip-family", "ipv4"), ("--ip-family", "ipv6")
    lab.eventually(lambda: trace(lab, capsys, "shop/web", "shop/api", "53/udp", *four)[0], "connected")
    outcome, steps = trace(lab, capsys, "shop/web", "shop/api", "53/udp", *six)
    assert (outcome, steps[-1]["effect"]) == ("timed_out", "denied")
    lab.delete("NetworkPolicy", "from-v4", "shop")


def test_what_never_comes_to_a_policy(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    assert trace(lab, capsys, "shop/api", "shop/api", "8080") == ("connected", [])
    for target, effect, outcome in (
        ("svc:shop/none", "refused", "refused"),
        ("svc:shop/api", "refused", "refused"),
        ("10.96.77.77", "dropped", "timed_out"),
    ):
        port = "81" if target == "svc:shop/api" else "80"
        found, steps = trace(lab, capsys, "shop/web", target, port)
        assert (found, [step["effect"] for step in steps]) == (outcome, [effect])


def test_the_table(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "trace", "shop/other", "shop/api", "--port", "8080", "--lab", lab.lab.name]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "shop/other -> shop/api 8080/TCP: timed_out"
    assert [line.split("  ")[0].strip() for line in rest] == ["Stage", "egress", "ingress"]
    assert "denied: isolated by shop/allow-web, shop/closed, and no rule lets it pass" in rest[2]


CANNOT: list[tuple[list[str], str]] = [
    (["shop/nobody", "shop/api", "--port", "80"], "no running pod shop/nobody"),
    (["shop/web", "shop/nobody", "--port", "80"], "no running pod shop/nobody"),
    (["shop/web", "svc:shop/nobody", "--port", "80"], "nobody"),
    (["shop/web", "example.com", "--port", "80"], "neither NAMESPACE/POD"),
    (["shop/web", "svc:x", "--port", "80"], "svc:x"),
    (["shop/web", "svc:shop/api", "--port", "80", "--ip-family", "ipv6"], "has no IPv6 address"),
    (["shop/web", "shop/api", "--port", "80/sctp"], "SCTP cannot be traced"),
]


def test_what_cannot_be_traced(lab: Playground, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in CANNOT:
        assert main(["lab", "trace", *arguments, "--lab", lab.lab.name]) == 2, arguments
        assert said in capsys.readouterr().err


def test_an_outside_host_comes_is_traced_and_goes(
    lab: Playground, capsys: pytest.CaptureFixture[str]
) -> None:
    which = ["--lab", lab.lab.name]
    assert main(["lab", "add-host", "partner", "203.0.113.50", "--port", "443", *which]) == 0
    assert trace(lab, capsys, "shop/web", "203.0.113.50", "443") == ("connected", [NOT_ISOLATED])
    outcome, steps = trace(lab, capsys, "netprobe-outside/partner", "shop/api", "8080")
    assert outcome == "timed_out"
    assert [(step["stage"], step["effect"]) for step in steps] == [("ingress", "denied")]
    assert main(["lab", "add-host", "bad", "10.244.9.9", *which]) == 3
    assert "a network of the lab's own" in capsys.readouterr().err
    assert main(["lab", "add-host", "partner", *which]) == 2
    assert main(["lab", "add-host", "partner", "--remove", *which]) == 0
    assert main(["lab", "add-host", "partner", "--remove", *which]) == 2
    assert "no external host partner" in capsys.readouterr().err
    left = lab.do(lab.cluster.find("Pod", "netprobe-outside"))
    assert "partner" not in {pod["metadata"]["name"] for pod in left}


RULES = [
    CountedRule("n1", "inet netprobe", "from/p1", "jump egress/x/a", "", None),
    CountedRule("n1", "inet netprobe", "from/p1", "drop", "egress denied: x/p", 5),
    CountedRule("n1", "inet netprobe", "egress/x/a", "accept", "egress x/a rule 0", 7),
    CountedRule("n1", "inet netprobe", "egress/x/a", "accept", "egress x/a rule 1 port 2", 7),
]


def counted(*more: int) -> RuleCounts:
    after = [replace(rule, packets=(rule.packets or 0) + n) for rule, n in zip(RULES[1:], more, strict=True)]
    return RuleCounts(RULES, [RULES[0], *after])


def test_one_rule_counts_and_two_are_unclear() -> None:
    assert counted(0, 0, 2).policies("egress", "n1", PodRef("x", "p")).port == 2
    assert counted(3, 0, 0).policies("egress", "n1", PodRef("x", "p")).effect == "denied"
    assert counted(0, 0, 0).policies("egress", "n1", PodRef("x", "p")).effect == "not seen"
    assert counted(0, 0, 0).policies("ingress", "n1", PodRef("x", "p")).effect == "not isolated"
    assert counted(0, 0, 0).policies("egress", "n2", PodRef("x", "p")).effect == "not enforced"
    with pytest.raises(UnclearError):
        counted(1, 0, 1).policies("egress", "n1", PodRef("x", "p"))
    with pytest.raises(UnclearError):
        RuleCounts(RULES, RULES[:-1])
