"""What impact calls idle can go: without it, no flow that there is turns."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.impact import Revision, Snapshot, Unneeded, impact, revise
from netprobe.impact.difference import families_of
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import Direction, NamedPort, PodPeer, Policy, PolicyRef, PortRange, Rule, Subject
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.simulate.compared import outside
from tests.impact.world import WORLD, allow
from tests.property.strategies import PORTS, Shape, random_cluster

NUMBERS = (1, 79, *PORTS, 443, 65535)


def verdicts(cluster: Cluster, ends: tuple[External, ...]) -> dict[Flow, Verdict]:
    simulator = Simulator(cluster)
    everybody: list[PodRef | External] = [
        *(ref for ref, pod in cluster.pods.items() if not pod.host_network),
        *ends,
    ]
    found = {}
    for source in everybody:
        for destination in everybody:
            if isinstance(source, External) and isinstance(destination, External):
                continue
            for family in simulator.families(source, destination):
                for number in NUMBERS:
                    for protocol in Protocol:
                        flow = Flow(source, destination, number, protocol, family)
                        found[flow] = simulator.decide(flow).verdict
    return found


def without(cluster: Cluster, gone: list[Unneeded]) -> Cluster:
    kept = []
    for policy in cluster.policies:
        own = [one for one in gone if one.policy == policy.ref]
        if any(one.direction is None for one in own):
            continue
        rules = {
            direction: tuple(
                rule
                for index, rule in enumerate(policy.rules(direction) or ())
                if not any((one.direction, one.rule) == (direction, index) for one in own)
            )
            if policy.rules(direction) is not None
            else None
            for direction in Direction
        }
        kept.append(replace(policy, ingress=rules[Direction.INGRESS], egress=rules[Direction.EGRESS]))
    return replace(cluster, policies=tuple(kept))


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_without_what_is_idle_no_flow_turns(rng: Random) -> None:
    new = random_cluster(rng, Shape(pods=4, policies=4))
    revision = revise(Snapshot(replace(new, policies=())), Snapshot(new))
    ends = outside([new], families_of(Revision(new, new)))
    found = impact(revision).unneeded
    before = verdicts(new, ends)
    policies = [one for one in found if one.rule is None]
    assert verdicts(without(new, policies), ends) == before
    for one in found:
        if one.rule is not None:
            assert verdicts(without(new, [one]), ends) == before, one


def idle(*policies: Policy, old: tuple[Policy, ...] = ()) -> set[str]:
    state = Snapshot(replace(WORLD, policies=old), frozenset(WORLD.namespaces))
    return {str(one) for one in impact(revise(state, Snapshot(Cluster(policies=policies)))).unneeded}


WEB = Selector.of({"app": "web"})


def test_what_matches_nothing_is_left_alone() -> None:
    deny = Policy(PolicyRef("shop", "deny"), ingress=(), egress=())
    dns = Selector.of({"kubernetes.io/metadata.name": "kube-system"})
    for policy in (
        allow("nobody", WEB, PodPeer(Selector.of({"app": "ghost"}))),
        allow("ghost", Selector.of({"app": "ghost"}), PodPeer()),
        Policy(PolicyRef("shop", "named"), Subject(WEB), ingress=(Rule(ports=(NamedPort("nope"),)),)),
        Policy(PolicyRef("shop", "dns"), egress=(Rule((PodPeer(EVERYTHING, dns),)),)),
    ):
        assert idle(policy) == set()
        assert idle(policy, old=(deny,)) == set(), "another policy isolates the same pods"


def test_a_policy_of_another_kind_does_not_isolate() -> None:
    guard = Policy(
        PolicyRef("", "guard", "ClusterNetworkPolicy"), Subject(namespaces=EVERYTHING), (), (), tier="Admin"
    )
    assert idle(Policy(PolicyRef("shop", "deny"), ingress=()), old=(guard,)) == set()


def test_a_wider_policy_makes_an_older_one_idle_and_of_two_equal_ones_one_is_needed() -> None:
    narrow = allow("narrow", WEB, PodPeer(Selector.of({"app": "api"})))
    assert idle(allow("wide", WEB, PodPeer()), old=(narrow,)) == {
        "shop/narrow: other policies do all that it does"
    }
    twins = (allow("one", WEB, PodPeer()), allow("two", WEB, PodPeer()))
    assert len(idle(*twins)) == 1


def test_what_was_idle_before_and_is_not_touched_is_left_to_lint() -> None:
    old = (
        allow("one", WEB, PodPeer()),
        allow("two", WEB, PodPeer()),
        allow("api", Selector.of({"app": "api"}), PodPeer()),
    )
    change = allow("api", Selector.of({"app": "api"}), PodPeer(EVERYTHING, EVERYTHING))
    assert idle(change, old=old) == set()


def test_two_equal_rules_of_one_policy_one_is_named() -> None:
    rule = Rule((PodPeer(),), (PortRange(Protocol.TCP, 80, 80),))
    assert idle(Policy(PolicyRef("shop", "twice"), Subject(WEB), ingress=(rule, rule))) == {
        "shop/twice ingress rule 1: other rules allow all that it allows"
    }
