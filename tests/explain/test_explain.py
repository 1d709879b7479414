"""The whole explanation: the answer, both sides, the change, and the laws that hold them to the simulator."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest
from hypothesis import given, settings

from netprobe.explain import Advisor, document, explain, lines
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import External, Flow, PodRef, Protocol, ServiceRef, Via
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import PodPeer, Policy, PortRange, Rule
from netprobe.model.verdict import Verdict
from netprobe.simulate import CILIUM, Simulator
from tests.property.obvious import passes
from tests.property.strategies import Shape, all_flows, clusters
from tests.semantics.stage import OTHER_WEB, also, app, block, flow, pod, policy, rule, stage

WEB = PortRange(Protocol.TCP, 80, 80)
DENY = policy("y/default-deny", ingress=(), egress=())
FROM_B = policy(
    "y/allow-b", app("b"), ingress=[rule([PodPeer(app("b"), Selector.of({"team": "one"}))], [WEB])]
)

TWO = app("a"), Selector.of({"team": "two"})
X = "pods app=a of namespaces kubernetes.io/metadata.name=x"
ONE_OF_TWO = policy("y/p", ingress=[rule([PodPeer(app("a")), PodPeer(app("b"), Selector())])])
TWO_RULES = policy(
    "y/p", ingress=[rule(ports=[WEB, PortRange(Protocol.TCP, 443, 443)]), rule([block("10.0.0.0/8")])]
)

THERE, OPEN = "DENIED at the destination", "ALLOWED"
NEW = "add a policy to y that selects pods"
TO_B, FROM_A = "TCP 80 to pods app=b of y", "TCP 80 from pods app=a of y"
ANSWERS = [  # policies, flow, answer up to the first colon, suggested change
    ([DENY, FROM_B], "x/a -> y/b 80", THERE, f"add {X} to ingress[0].from of y/allow-b"),
    ([FROM_B], "x/b -> y/b 81", THERE, "add TCP 81 to ingress[0].ports of y/allow-b"),
    ([FROM_B], "x/n -> y/b 80", THERE, "label pod x/n app=b"),
    (
        [policy("y/p", app("b"), ingress=[rule([PodPeer(*TWO)], [WEB])])],
        "z/a -> y/b 80",
        THERE,
        "label namespace z team=two",
    ),
    (
        [DENY],
        "y/a -> y/b 80",
        "DENIED at both ends",
        f"{NEW} app=a and allows {TO_B} and {NEW} app=b and allows {FROM_A}",
    ),
    ([DENY], "y/b -> out 443", "DENIED at the source", f"{NEW} app=b and allows TCP 443 to 203.0.113.50/32"),
    ([FROM_B], "x/a -> y/b 81/UDP", THERE, f"add a rule to y/allow-b that allows UDP 81 from {X}"),
    ([], "x/a -> y/b 80", OPEN, f"{NEW} app=b for ingress and allows what they need"),
    ([DENY, FROM_B], "x/b -> y/b 80", OPEN, "remove ingress[0] from y/allow-b"),
    (
        [ONE_OF_TWO],
        "x/b -> y/b 80",
        OPEN,
        "remove ingress[0].from[1] (pods app=b of all namespaces) from y/p",
    ),
    (
        [TWO_RULES],
        "x/b -> y/b 80",
        OPEN,
        "remove ingress[0].ports[0] (TCP 80) from y/p and remove ingress[1] from y/p",
    ),
]


@pytest.mark.parametrize(("policies", "asked", "answer", "change"), ANSWERS)
def test_the_answer_and_the_change(policies: list[Policy], asked: str, answer: str, change: str) -> None:
    explanation = explain(Simulator(stage(*policies)), flow(asked))
    assert explanation.answer.partition(":")[0] == answer
    assert explanation.change is not None
    assert explanation.change.text == change
    assert explanation.change.verdict is not explanation.verdict


def test_the_text() -> None:
    cluster = stage(DENY, FROM_B)
    assert "\n".join(lines(explain(Simulator(cluster), flow("x/a -> y/b 81")))) == (
        """\
DENIED at the destination: y/default-deny isolates y/b for ingress, \
and none of its 2 policies allows TCP 81 from x/a

Source, egress of x/a: passes, no policy isolates it

Destination, ingress of y/b: denied, 2 policies isolate it
  y/allow-b
    ingress[0]: does not match
      from[0]: x/a has app=a (wanted: app=b)
      ports[0]: it opens TCP 80, not TCP 81
  y/default-deny: has no rule, allows nothing

To be allowed: add a rule to y/allow-b that allows TCP 81 from pods app=a of namespaces \
kubernetes.io/metadata.name=x"""
    )


def test_what_overrides_policies_has_a_reason_and_no_sides() -> None:
    explanation = explain(Simulator(stage(DENY)), flow("y/a -> y/a 80"))
    assert explanation.answer == "ALLOWED: a pod always reaches its own address"
    assert (explanation.sides, explanation.change) == ((), None)


def test_each_backend_of_a_service_for_itself() -> None:
    service = Service(ServiceRef("y", "s"), {"tier": "t"}, (), (ServicePort(80, 80),), publish_not_ready=True)
    pods = also(
        pod("y/a", {"app": "a", "tier": "t"}, "10.244.2.1"),
        pod("y/b", {"app": "b", "tier": "t"}, "10.244.2.2", ports=OTHER_WEB),
    )
    simulator = Simulator(stage(policy("y/p", app("b"), ingress=()), services=[service], pods=pods))
    explanation = explain(simulator, flow("x/a -> svc:y/s 80"))
    assert explanation.answer == "UNKNOWN: the backends differ: 1 of 2 would answer"
    assert [str(part.flow.destination) for part in explanation.parts] == ["y/a", "y/b"]
    assert [part.verdict for part in explanation.parts] == [Verdict.ALLOW, Verdict.DENY]
    assert any(line.startswith("  x/a -> y/b 80/TCP: DENIED") for line in lines(explanation))


def test_backends_that_are_decided_alike_are_explained_once() -> None:
    """And the change's side effect is the other one, by its name."""
    service = Service(ServiceRef("y", "s"), {"app": "b"}, (), (ServicePort(80, 80),), publish_not_ready=True)
    pods = also(pod("y/b", {"app": "b"}, "10.244.2.1"), pod("y/c", {"app": "b"}, "10.244.2.2"))
    simulator = Simulator(stage(DENY, services=[service], pods=pods))
    (part,) = explain(simulator, flow("y/a -> svc:y/s 80")).parts
    assert [str(each.destination) for each in part.others] == ["y/c"]
    assert part.change is not None
    assert [str(effect) for effect in part.change.effects.opens] == ["y/a -> y/c 80"]


def test_each_family_for_itself_where_they_differ() -> None:
    pods = also(
        pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1:1"),
        pod("y/a", {"app": "a"}, "10.244.2.1", "fd00::2:1"),
    )
    simulator = Simulator(stage(policy("y/p", ingress=[rule([block("0.0.0.0/0")])]), pods=pods))
    explanation = explain(simulator, flow("x/a -> y/a 80"))
    assert [(part.flow.family, part.verdict) for part in explanation.parts] == [
        (4, Verdict.ALLOW),
        (6, Verdict.DENY),
    ]
    assert explanation.parts[1].change is not None


def test_a_side_effect_names_its_family_if_the_other_one_does_not_change() -> None:
    """A rule by labels opens IPv6 to x/b too; IPv4 is open already."""
    pods = also(
        pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1:1"),
        pod("x/b", {"app": "a", "tier": "t"}, "10.244.1.2", "fd00::1:2"),
        pod("y/a", {"app": "a"}, "10.244.2.1", "fd00::2:1"),
    )
    policies = policy("y/p", ingress=[rule([block("10.244.0.0/16")])]), policy("x/p", app("z"), ingress=())
    simulator = Simulator(stage(*policies, pods=pods))
    (change,) = [
        part.change
        for part in explain(simulator, flow("x/a -> y/a 80")).parts
        if part.verdict is Verdict.DENY
    ]
    assert change is not None
    assert {effect.family for effect in change.effects.opens} == {6}
    assert all(str(effect).endswith(" IPv6") for effect in change.effects.opens)


def test_a_flow_is_no_side_effect_of_its_own_change() -> None:
    """Its address may be the one that would stand for all others, and a Service's endpoint has no name."""
    asked = Flow(PodRef("y", "b"), External(ip_address("198.51.100.1")), 443, via=Via.EXTERNAL)
    opened = explain(Simulator(stage(DENY)), asked).change
    assert opened is not None
    assert opened.effects.opens == ()
    everywhere = policy("y/p", egress=[rule(ports=[PortRange(Protocol.TCP, 443, 443)])])
    closed = explain(Simulator(stage(everywhere)), asked).change
    assert closed is not None
    assert "any other address" in {effect.destination for effect in closed.effects.closes}


def test_an_assumed_address_is_named() -> None:
    def explained(rules: list[Rule]) -> tuple[list[str], list[str]]:
        simulator = Simulator(stage(policy("x/p", app("a"), egress=rules), pods=also(pod("y/b", {}))))
        found = explain(simulator, flow("x/a -> y/b 80"))
        text = [line for line in lines(found) if "no address" in line]
        return text, document(found)["sides"][0]["assumed"]

    assert explained([rule([PodPeer(EVERYTHING, EVERYTHING)])]) == ([], []), "selectors need no address"
    assert explained([rule([block("0.0.0.0/0")])]) == (
        ["  y/b has no address yet; blocks are compared with 10.244.255.254"],
        ["10.244.255.254"],
    )


def test_a_case_that_is_left_to_the_implementation_says_so() -> None:
    service = Service(ServiceRef("y", "s"), {"app": "b"}, (), (ServicePort(80, 80),))
    simulator = Simulator(stage(DENY, services=[service]), CILIUM)
    explanation = explain(simulator, flow("y/b -> svc:y/s 80"))
    assert explanation.answer == "ALLOWED: cilium allows it whatever the policies say"
    assert any("undefined by the NetworkPolicy API: a pod to itself" in line for line in lines(explanation))


def test_the_document_is_plain_data() -> None:
    data = document(explain(Simulator(stage(DENY, FROM_B)), flow("x/a -> y/b 80")))
    assert json.loads(json.dumps(data)) == data
    assert (data["kind"], data["verdict"], data["from"], data["to"]) == ("Explanation", "deny", "x/a", "y/b")
    rule_ = data["sides"][1]["policies"][0]["rules"][0]
    assert rule_["peers"][0]["obstacle"]["kind"] == "label-different"
    assert rule_["ports"][0]["matches"]
    assert data["change"]["edits"][0]["path"] == "spec.ingress[0].from"


SMALL = Shape(pods=4, policies=4, protocols=(Protocol.TCP, Protocol.UDP))


@settings(max_examples=10, deadline=None)
@given(cluster=clusters(SMALL))
def test_the_sides_are_those_of_the_decision(cluster: Cluster) -> None:
    simulator = Simulator(cluster)
    for asked in all_flows(cluster, (80, 81), (Protocol.TCP,)):
        decision = simulator.decide(asked)
        explanation = explain(simulator, asked, suggest=False)
        assert explanation.verdict is decision.verdict
        for side, judged in zip(explanation.sides, (decision.egress, decision.ingress), strict=False):
            assert [view.policy for view in side.policies] == [cause.policy for cause in judged.isolating]
            assert [
                (view.policy, rule.index, peer.index, port.index)
                for view in side.policies
                for rule in view.rules
                for peer in rule.peers
                for port in rule.ports
                if peer.obstacle is None and port.obstacle is None
            ] == [(cause.policy, cause.rule, cause.peer, cause.port) for cause in judged.allowing]


def test_a_change_turns_the_verdict_by_the_obvious_evaluator_too() -> None:
    turned: set[Verdict] = set()

    @settings(max_examples=10, deadline=None)
    @given(cluster=clusters(SMALL))
    def law(cluster: Cluster) -> None:
        advisor = Advisor(Simulator(cluster))
        for asked in all_flows(cluster, (80,), (Protocol.TCP,)):
            change = explain(advisor, asked).change
            if change is not None:
                after = advisor.world.delta(change.changes).cluster(cluster)
                assert passes(after, asked) is not passes(cluster, asked)
                assert passes(after, asked) is (change.verdict is Verdict.ALLOW)
                turned.add(change.verdict)

    law()
    assert turned == {Verdict.ALLOW, Verdict.DENY}
