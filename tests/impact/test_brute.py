"""Impact against brute force: every pair, port and family decided by itself in both states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from netprobe.impact import FlowChange, Revision, Snapshot, impact, revise
from netprobe.impact.difference import GroupBundle, Scope, States, bundles, compare_states
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef
from netprobe.model.verdict import Decision, Verdict
from netprobe.report import IMPACT_FORMATS
from netprobe.simulate import CALICO, CILIUM, Profile, Simulator
from netprobe.simulate.bits import unpack
from netprobe.simulate.compared import Ports
from tests.conftest import schema
from tests.property.obvious import passes
from tests.property.strategies import Shape, random_cluster, random_policies

Told = dict[Flow, FlowChange]


def revisions(rng: Random, *, relabel: bool = True) -> Revision:
    """A random cluster, and a change of some of its policies, and of some labels."""
    old = random_cluster(rng, Shape(policies=6, pods=6))
    fresh = random_policies(rng, old, Shape(policies=4))
    pods = dict(old.pods)
    if relabel and rng.random() < 0.5:
        ref = rng.choice(list(pods))
        pods = {ref: replace(pods[ref], labels=pods[rng.choice(list(pods))].labels)}
    namespaces = dict(old.namespaces)
    described: frozenset[str] = frozenset()
    if relabel and rng.random() < 0.3:
        name = rng.choice(sorted(namespaces))
        labels = {**namespaces[name].labels, "env": rng.choice(("prod", "dev"))}
        namespaces[name] = replace(namespaces[name], labels=labels)
        described = frozenset([name])
    doomed = [policy.ref for policy in old.policies if rng.random() < 0.3]
    new = Snapshot(Cluster(namespaces, pods, fresh), described)
    kept = {policy.ref for policy in fresh}
    return revise(
        Snapshot(old, frozenset(old.namespaces)), new, delete=[ref for ref in doomed if ref not in kept]
    )


def output(revision: Revision, profile: Profile) -> tuple[Told, set[Flow]]:
    """What impact says of each flow, and all the flows that it compares."""
    states = compare_states(revision, Ports(revision.before, revision.after), profile)
    found: Told = {}
    for bundle in bundles(states):
        for flow in expanded(bundle, states):
            assert flow not in found, flow
            found[flow] = bundle.key.change
            assert_scope(flow, bundle.key.scope)
    compared = set()
    simulator = Simulator(revision.after, profile)
    groups = [states.groups[index] for index in unpack(states.pods | states.outside)]
    ends = [(end, states.ports_of_group[group.index]) for group in groups for end in group.members]
    for source, _ in ends:
        for destination, own_ports in ends:
            if source == destination or (isinstance(source, External) and isinstance(destination, External)):
                continue
            for family in simulator.families(source, destination):
                compared |= {Flow(source, destination, *port, family) for port in own_ports}
    return found, compared


def expanded(bundle: GroupBundle, states: States) -> Iterator[Flow]:
    ports = bundle.key.ports
    for to in unpack(bundle.destinations):
        for one in unpack(bundle.sources):
            for source in states.groups[one].members:
                for destination in states.groups[to].members:
                    if source != destination:
                        for port, protocol in states.ports_of_group[to] if ports is None else ports:
                            yield Flow(source, destination, port, protocol, bundle.key.family)


def assert_scope(flow: Flow, scope: Scope) -> None:
    source, destination = flow.source, flow.destination
    if isinstance(source, External):
        assert scope is Scope.FROM_OUTSIDE
    elif isinstance(destination, External):
        assert scope is Scope.TO_OUTSIDE
    elif scope is not Scope.INSIDE:
        assert isinstance(source, PodRef)
        assert isinstance(destination, PodRef)
        assert (scope is Scope.WITHIN) is (source.namespace == destination.namespace)


def of(found: Told, flow: Flow) -> FlowChange | None:
    """A flow told for its own family, or for all that its ends have."""
    if flow in found:
        assert flow.family is None or replace(flow, family=None) not in found
        return found[flow]
    return found.get(replace(flow, family=None))


def causes(decision: Decision) -> set[tuple[object, ...]]:
    return {(cause.direction, cause.policy, cause.effect) for cause in decision.because}


def expected(before: Decision, after: Decision) -> FlowChange | None:
    if before.verdict is not after.verdict:
        return FlowChange.OPENS if after.verdict is Verdict.ALLOW else FlowChange.CLOSES
    return FlowChange.REASON if causes(before) != causes(after) else None


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False), st.sampled_from([CALICO, CILIUM]), st.booleans())
def test_every_flow_is_reported_as_the_simulator_decides_it(
    rng: Random, profile: Profile, relabel: bool
) -> None:
    revision = revisions(rng, relabel=relabel)
    found, compared = output(revision, profile)
    before, after = Simulator(revision.before, profile), Simulator(revision.after, profile)
    changes = {flow: of(found, flow) for flow in compared}
    assert changes == {flow: expected(before.decide(flow), after.decide(flow)) for flow in compared}
    told_of = {replace(flow, family=None) for flow in found}
    assert told_of <= {replace(flow, family=None) for flow in compared}
    for flow, change in changes.items() if profile is CALICO else ():
        now = (passes(revision.before, flow), passes(revision.after, flow))
        assert (change is FlowChange.OPENS) is (now == (False, True)), flow
        assert (change is FlowChange.CLOSES) is (now == (True, False)), flow
    result = impact(revision, profile=profile)
    for kind in FlowChange:
        assert result.flows(kind) == sum(one is kind for one in found.values())
    for bundle in result.bundles:
        sample = replace(bundle.sample, via=Flow(bundle.sample.source, bundle.sample.destination, 1).via)
        assert of(found, sample) is bundle.change


VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema("impact").read_text()))


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False), st.booleans())
def test_every_document_keeps_the_schema(rng: Random, declare: bool) -> None:
    revision = revisions(rng)
    refs, simulator = list(revision.after.pods), Simulator(revision.before)
    flows = [Flow(one, other, 80, family=4) for one in refs for other in refs if one != other]
    verdicts = {flow: simulator.decide(flow).verdict for flow in flows} if declare else {}
    declared = {flow: verdict for flow, verdict in verdicts.items() if verdict is not Verdict.UNKNOWN}
    found = impact(revision, declared=declared if declare else None)
    VALIDATOR.validate(json.loads("".join(IMPACT_FORMATS.render(found, "json"))))
