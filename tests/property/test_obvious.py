"""The simulator says what the slow, obvious evaluator says, on random clusters."""

from __future__ import annotations

from hypothesis import given, settings

from netprobe.model.cluster import Cluster
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from tests.property.obvious import passes
from tests.property.strategies import all_flows, clusters


@settings(max_examples=60, deadline=None)
@given(cluster=clusters())
def test_decide_is_the_obvious_evaluator(cluster: Cluster) -> None:
    simulator = Simulator(cluster)
    for flow in all_flows(cluster):
        expected = Verdict.ALLOW if passes(cluster, flow) else Verdict.DENY
        assert simulator.decide(flow).verdict is expected, flow
