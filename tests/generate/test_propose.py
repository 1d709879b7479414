"""What is proposed declares exactly what passes among pods today."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.generate import propose
from netprobe.generate.propose import ProposedRow
from netprobe.model.cluster import Cluster
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef, Protocol
from netprobe.model.policy import PodPeer, Policy, PolicyRef, PortRange, Rule
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, CILIUM, Profile, evaluate
from netprobe.suite import Declaration, Expectation, ExpectationRow
from netprobe.suite.ends import parse_end, parse_port
from tests.property.strategies import Shape, random_cluster

SHAPE = Shape(pods=9, policies=5, without_address=False)


def row(proposed: ProposedRow) -> ExpectationRow:
    asked = proposed.ports
    return ExpectationRow(
        tuple(map(parse_end, proposed.sources)),
        tuple(map(parse_end, proposed.destinations)),
        None if asked is None else tuple(parse_port(f"{port}/{protocol.value}") for port, protocol in asked),
        Verdict.ALLOW,
    )


def of_workloads(rng: Random, cluster: Cluster) -> Cluster:
    """Some pods are replicas of one workload; some of these have its labels and ports."""
    pods = dict(cluster.pods)
    for ref, pod in cluster.pods.items():
        workload = rng.choice((None, "one", "two"))
        alike = [other for other in pods.values() if other.workload and other.ref.namespace == ref.namespace]
        if workload and alike and rng.random() < 0.7:
            pods[ref] = replace(pod, labels=alike[0].labels, ports=alike[0].ports, workload=alike[0].workload)
        elif workload:
            pods[ref] = replace(pod, workload=f"Deployment/{workload}")
    return replace(cluster, pods=pods)


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([CALICO, CILIUM]))
def test_the_proposal_declares_what_passes(rng: Random, profile: Profile) -> None:
    cluster = of_workloads(rng, random_cluster(rng, SHAPE))
    evaluation = evaluate(cluster, profile)
    passing = {
        Flow(one, other, port.number, port.protocol)
        for one in cluster.pods
        for other in cluster.pods
        for port in cluster.pods[other].ports
        if one != other and evaluation.verdict(one, other, port.number, port.protocol) is Verdict.ALLOW
    }
    rows = tuple(map(row, propose(cluster, profile)))
    declared = Declaration(Expectation(Verdict.DENY, rows), cluster).matrix()
    assert {
        replace(flow, family=None) for flow, verdict in declared.items() if verdict is Verdict.ALLOW
    } == passing


def test_pods_of_one_workload_with_different_ports_are_named_one_by_one() -> None:
    """A row "shop/api, port 80" would declare port 80 of both pods, and one of them is isolated for it."""
    refs = [PodRef("shop", name) for name in ("api-1", "api-2", "web")]
    ports = [(ContainerPort(80), ContainerPort(81)), (), ()]
    workloads = ("Deployment/api", "Deployment/api", None)
    pods = {
        ref: Pod(ref, {"app": ref.name[:3]}, ports=own, workload=workload)
        for ref, own, workload in zip(refs, ports, workloads, strict=True)
    }
    allow = Rule((PodPeer(),), (PortRange(first=80, last=80),))
    isolating = Policy(PolicyRef("shop", "api"), ingress=(allow,))
    (only,) = propose(Cluster(pods=pods, policies=(isolating,)))
    assert only.destinations == ("shop/api-1",)
    assert only.ports == ((80, Protocol.TCP),)
