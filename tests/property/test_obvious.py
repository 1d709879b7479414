"""Three ways to the same verdict: the slow, obvious evaluator, one decision at a time, all pairs at once."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import PROFILES, Simulator, evaluate
from tests.property.obvious import passes
from tests.property.strategies import (
    OUTSIDE,
    PORTS,
    TIERS,
    Shape,
    all_flows,
    clusters,
    random_cluster,
    seeded,
)

TIERED = Shape(tiers=TIERS, policies=8)
CLUSTERS = st.one_of(clusters(), st.integers(0, 10**6).map(lambda seed: random_cluster(seeded(seed), TIERED)))
"""NetworkPolicies alone, and among policies of several tiers."""

EXTERNALS = tuple(External(address) for address in OUTSIDE)


@settings(max_examples=100, deadline=None)
@given(cluster=CLUSTERS)
def test_decide_is_the_obvious_evaluator(cluster: Cluster) -> None:
    simulator = Simulator(cluster)
    for flow in all_flows(cluster):
        expected = Verdict.ALLOW if passes(cluster, flow) else Verdict.DENY
        assert simulator.decide(flow).verdict is expected, flow


@settings(max_examples=100, deadline=None)
@given(cluster=CLUSTERS)
def test_all_pairs_are_the_obvious_evaluator(cluster: Cluster) -> None:
    evaluation = evaluate(cluster, externals=EXTERNALS)
    for flow in all_flows(cluster):
        source, destination = flow.source, flow.destination
        assert isinstance(source, PodRef | External)
        assert isinstance(destination, PodRef | External)
        expected = Verdict.ALLOW if passes(cluster, flow) else Verdict.DENY
        found = evaluation.verdict(source, destination, flow.port, flow.protocol, flow.family)
        assert found is expected, flow


@settings(max_examples=60, deadline=None)
@given(cluster=CLUSTERS)
def test_all_pairs_are_the_decisions_under_every_profile(cluster: Cluster) -> None:
    for profile in PROFILES.values():
        simulator = Simulator(cluster, profile)
        evaluation = evaluate(cluster, profile, externals=EXTERNALS)
        for port in PORTS[:2]:
            pairs = list(evaluation.pairs(port, Protocol.TCP, include_self=True))
            flows = [Flow(p.source, p.destination, p.port, p.protocol, p.family) for p in pairs]
            for pair, flow in zip(pairs, flows, strict=True):
                decision = simulator.decide(flow)
                assert pair.verdict is decision.verdict, flow
                assert pair.undefined is (decision.undefined is not None), flow
            whole = {Flow(flow.source, flow.destination, port) for flow in flows}
            assert set(flows) == {row for flow in whole for row in simulator.split(flow)}


@settings(max_examples=60, deadline=None)
@given(cluster=CLUSTERS)
def test_groups_and_counts_add_up_to_the_pairs(cluster: Cluster) -> None:
    evaluation = evaluate(cluster, externals=EXTERNALS)
    assert Counter(member for group in evaluation.groups for member in group.members) == Counter(
        [*cluster.pods, *EXTERNALS]
    )
    for port in PORTS[:2]:
        for family in evaluation.families:
            table = evaluation.table(port, Protocol.TCP, family)
            verdicts = Counter(
                table.verdict(source, destination)
                for source in evaluation.ends
                for destination in evaluation.ends
                if source != destination
                and not (isinstance(source, External) and isinstance(destination, External))
            )
            counts = table.counts()
            assert (counts.allow, counts.deny, counts.unknown) == (
                verdicts[Verdict.ALLOW],
                verdicts[Verdict.DENY],
                verdicts[Verdict.UNKNOWN],
            )
