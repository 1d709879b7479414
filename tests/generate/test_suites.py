"""Random suites: what is proved by crowds holds flow by flow, and what is refused is refused flow by flow."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.generate import generate
from netprobe.generate.declared import crowded
from netprobe.generate.proof import flows
from netprobe.generate.text import file_name, manifest
from netprobe.manifests import Reader, parse_policy
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from netprobe.suite import Declaration
from tests.generate.flows import listed
from tests.suite.random_suites import expectation, problems, sound, world


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_by_crowds_as_flow_by_flow(rng: Random) -> None:
    cluster = world(rng)
    expected = sound(expectation(rng), cluster)
    if problems(expected, cluster):
        return
    matrix, declared = Declaration(expected, cluster).matrix(), crowded(expected, cluster)
    denies = expected.default is Verdict.DENY
    made = generate(declared, cluster, denies_by_default=denies)
    assert bool(made.refusals) == bool(
        generate(listed(matrix, cluster), cluster, denies_by_default=denies).refusals
    )
    assert flows(declared) == len(matrix)
    if made.refusals:
        assert not made.policies
        return
    texts = {file_name(one): manifest(one, [str(n) for n in range(9)], "suite.yaml") for one in made.policies}
    reader = Reader()
    read = [parse_policy(document) for name, text in texts.items() for document in reader.text(name, text)]
    assert read == [one.policy for one in made.policies]
    simulator = Simulator(replace(cluster, policies=tuple(read)))
    assert {flow: simulator.decide(flow).verdict for flow in matrix} == dict(matrix)
