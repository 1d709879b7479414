"""Laws that hold whatever the cluster and its policies are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, Flow, PodRef, Protocol
from netprobe.model.policy import Direction, Policy, Rule
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.policies.networkpolicy import dump_policy
from netprobe.simulate import Simulator
from tests.policies.reading import validate_policy
from tests.property.strategies import (
    Shape,
    all_flows,
    clusters,
    random_cluster,
    random_policies,
    seeded,
    shuffled,
)

SHAPE = Shape(protocols=(Protocol.TCP, Protocol.UDP))
RANDOM = st.randoms(use_true_random=False)


def flows(cluster: Cluster) -> Iterator[Flow]:
    return all_flows(cluster, (80, 81), (Protocol.TCP, Protocol.UDP))


def verdicts(cluster: Cluster) -> dict[Flow, Verdict]:
    simulator = Simulator(cluster)
    return {flow: simulator.decide(flow).verdict for flow in flows(cluster)}


@settings(max_examples=25, deadline=None)
@given(cluster=clusters(SHAPE), rng=RANDOM)
def test_the_order_of_policies_rules_peers_and_ports_has_no_meaning(cluster: Cluster, rng: Random) -> None:
    turned = tuple(shuffle(rng, policy) for policy in shuffled(rng, cluster.policies))
    assert verdicts(replace(cluster, policies=turned)) == verdicts(cluster)


def shuffle(rng: Random, policy: Policy) -> Policy:
    return replace(policy, ingress=_shuffle(rng, policy.ingress), egress=_shuffle(rng, policy.egress))


def _shuffle(rng: Random, rules: tuple[Rule, ...] | None) -> tuple[Rule, ...] | None:
    if rules is None:
        return None
    return shuffled(rng, [Rule(shuffled(rng, rule.peers), shuffled(rng, rule.ports)) for rule in rules])


@settings(max_examples=40, deadline=None)
@given(cluster=clusters(SHAPE), rng=RANDOM)
def test_a_policy_more_adds_for_the_isolated_and_removes_for_the_others(
    cluster: Cluster, rng: Random
) -> None:
    a_policy_more(cluster, rng)


def test_a_policy_more_adds_and_removes_among_the_first_clusters() -> None:
    """That the law was tried at all, which no random choice may decide."""
    seen: set[bool] = set()
    for seed in range(30):
        seen |= a_policy_more(random_cluster(seeded(seed), SHAPE), seeded(seed))
    assert seen == {True, False}


def a_policy_more(cluster: Cluster, rng: Random) -> set[bool]:
    """Hold one more policy to the law. Returns whether flows were gained (True) or lost (False)."""
    more = random_policies(rng, cluster, replace(SHAPE, policies=1))
    if not more:
        return set()
    added = replace(more[0], ref=replace(more[0].ref, name="one-more"))
    if rng.random() < 0.5:  # else few pods would be isolated before
        deny = Policy(replace(added.ref, name="deny"), ingress=(), egress=())
        cluster = replace(cluster, policies=(*cluster.policies, deny))
    before, after = verdicts(cluster), verdicts(replace(cluster, policies=(*cluster.policies, added)))
    changes = {flow: after[flow] is Verdict.ALLOW for flow in before if before[flow] is not after[flow]}
    for flow, gained in changes.items():
        assert gained in isolated_before(cluster, added, flow), f"{flow}: gained {gained}"
    return set(changes.values())


def isolated_before(cluster: Cluster, added: Policy, flow: Flow) -> set[bool]:
    """For each end that a policy selects in its direction: whether others isolated it already."""
    return {
        any(selected(cluster, policy, end, direction) for policy in cluster.policies)
        for direction, end in ((Direction.EGRESS, flow.source), (Direction.INGRESS, flow.destination))
        if selected(cluster, added, end, direction)
    }


def selected(cluster: Cluster, policy: Policy, end: End, direction: Direction) -> bool:
    return (
        isinstance(end, PodRef)
        and policy.rules(direction) is not None
        and end.namespace == policy.ref.namespace
        and policy.subject.pods.matches(cluster.pods[end].labels)
    )


@settings(max_examples=25, deadline=None)
@given(cluster=clusters())
def test_a_policy_written_out_and_read_again_keeps_every_verdict(cluster: Cluster) -> None:
    written = [dump_policy(policy) for policy in cluster.policies]
    assert [validate_policy(obj) for obj in written] == [[] for _ in written]
    again = tuple(NETWORK_POLICY.policy(obj) for obj in written)
    assert [dump_policy(policy) for policy in again] == written
    assert verdicts(replace(cluster, policies=again)) == verdicts(cluster)


def test_the_generator_reaches_what_the_laws_are_about() -> None:
    """A law says when it was not tested: every kind of thing occurs in a few hundred clusters."""
    seen: set[str] = set()
    for seed in range(300):
        cluster = random_cluster(seeded(seed))
        for policy in cluster.policies:
            for direction in Direction:
                rules = policy.rules(direction)
                seen.add(
                    f"{direction.value} {'absent' if rules is None else 'empty' if not rules else 'rules'}"
                )
                for rule in rules or ():
                    seen |= {type(entry).__name__ for entry in (*rule.peers, *rule.ports)}
                    seen.add(f"{min(len(rule.peers), 2)} peers")
        seen |= {
            f"{requirement.operator.value} in subjects"
            for policy in cluster.policies
            for requirement in policy.subject.pods.requirements
        }
        seen |= {f"{len(pod.addresses)} addresses" for pod in cluster.pods.values()}
        seen |= {"host network" for pod in cluster.pods.values() if pod.host_network}
    assert seen == {
        *(f"{d} {what}" for d in ("ingress", "egress") for what in ("absent", "empty", "rules")),
        *("AnyPeer", "PodPeer", "IPBlock", "AnyPort", "PortRange", "NamedPort", "1 peers", "2 peers"),
        *(f"{operator} in subjects" for operator in ("In", "NotIn", "Exists", "DoesNotExist")),
        *(f"{number} addresses" for number in (0, 1, 2)),
        "host network",
    }
