"""Ways to the same verdict: a slow, obvious evaluator, one decision at a time, all pairs, the lab's rules.

The clusters have policies of every kind, mixed, or NetworkPolicies alone. For NETPROBE_FUZZ_SECONDS and
NETPROBE_FUZZ_SEED see fuzz.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import permutations

import pytest

from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, PROFILES, Simulator, evaluate
from netprobe.simulate.doubt import Doubt
from tests.lab.fabric.packetfilter import passes as rules_pass
from tests.property.fuzz import Budget
from tests.property.kinds import random_mixed
from tests.property.obvious import WAYS, Ways, passes
from tests.property.strategies import OUTSIDE, all_flows, random_cluster, seeded

EXTERNALS = tuple(External(address) for address in OUTSIDE)
PORTS, PROTOCOLS = (80, 81), (Protocol.TCP, Protocol.UDP)
OPEN = (
    "unknown_peers_fail_closed",
    "knows_nodes_and_domains",
    "namespaces_have_sets",
    "domains_match",
    "hides_baseline",
    "last_of_tied_first",
)


def cluster_of(seed: int) -> Cluster:
    return random_mixed(seeded(seed)) if seed % 3 else random_cluster(seeded(seed))


@pytest.mark.parametrize("profile", PROFILES)
def test_evaluators_agree(profile: str) -> None:
    worlds = 14
    for seed in Budget.given(worlds).seeds():
        found = list(disagreements(cluster_of(seed + list(PROFILES).index(profile) * worlds), profile))
        assert not found, f"seed {seed}: {found[:3]}"


def disagreements(cluster: Cluster, profile: str) -> Iterator[str]:
    """What evaluators say differently about some flow of a cluster; and what is wrongly certain."""
    ways = WAYS[profile]
    simulator = Simulator(cluster, PROFILES[profile])
    evaluation = evaluate(cluster, PROFILES[profile], externals=EXTERNALS)
    defined: dict[Flow, bool] = {}
    for flow in all_flows(cluster, PORTS, PROTOCOLS):
        source, destination = flow.source, flow.destination
        assert isinstance(source, PodRef | External)
        assert isinstance(destination, PodRef | External)
        expected = passes(cluster, flow, ways)
        decision = simulator.decide(flow)
        found = evaluation.verdict(source, destination, flow.port, flow.protocol, flow.family)
        if (decision.verdict is Verdict.ALLOW) is not expected or found is not decision.verdict:
            yield f"{flow}: obvious {expected}, alone {decision.verdict}, all pairs {found}"
        table = evaluation.table(flow.port, flow.protocol, flow.family) if flow.family else None
        if table and table.undefined(source, destination) is not (decision.undefined is not None):
            yield f"{flow}: all pairs do not say that it is undefined as alone: {decision.undefined}"
        if decision.undefined is None:
            defined[flow] = expected
            yield from wrongly_certain(cluster, flow, ways, expected=expected)
    if profile == CALICO.name:
        for flow, allowed in rules_pass(cluster, defined):
            if allowed is not defined[flow]:
                yield f"{flow}: obvious {defined[flow]}, by the lab's rules {allowed}"


def wrongly_certain(cluster: Cluster, flow: Flow, ways: Ways, *, expected: bool) -> Iterator[str]:
    """The other ways to decide what is open, one at a time, that change a verdict."""
    for name in OPEN:
        if name == "knows_nodes_and_domains" and ways.knows_nodes_and_domains:
            continue  # as the API says; only to fail closed is an implementation's own way
        if passes(cluster, flow, replace(ways, **{name: not getattr(ways, name)})) is not expected:
            yield f"{flow} depends on {name} and is not marked"


def test_pairs_and_counts_are_the_decisions() -> None:
    """Also where the place of a tier is not known, so that some verdicts are UNKNOWN."""
    seen: Counter[Verdict] = Counter()
    for seed in Budget.given(40).seeds():
        cluster = replace(cluster_of(seed), tiers_known=seed % 2 == 0)
        simulator, evaluation = Simulator(cluster), evaluate(cluster, externals=EXTERNALS)
        rows = [row for group in evaluation.groups for row in group.members]
        assert Counter(rows) == Counter([*cluster.pods, *EXTERNALS])
        pairs = list(evaluation.pairs(80))
        flows = {Flow(p.source, p.destination, p.port, p.protocol, p.family): p for p in pairs}
        for flow, pair in flows.items():
            decision = simulator.decide(flow)
            assert pair.verdict is decision.verdict, (seed, flow)
            assert pair.undefined is (decision.undefined is not None), (seed, flow)
            seen[pair.verdict] += 1
        whole = {replace(flow, family=None) for flow in flows}
        assert set(flows) == {row for flow in whole for row in simulator.split(flow)}
        for family in evaluation.families:
            table = evaluation.table(80, family=family)
            verdicts = Counter(
                table.verdict(one, other)
                for one, other in permutations(evaluation.ends, 2)
                if not (isinstance(one, External) and isinstance(other, External))
            )
            counts = table.counts()
            found = {Verdict.ALLOW: counts.allow, Verdict.DENY: counts.deny, Verdict.UNKNOWN: counts.unknown}
            assert found == {verdict: verdicts[verdict] for verdict in Verdict}, seed
    assert set(seen) == set(Verdict)


def test_the_generator_reaches_what_the_laws_are_about() -> None:
    seen: set[str] = set()
    undefined: set[str | None] = set()
    for seed in range(100):
        cluster = random_mixed(seeded(seed))
        for policy in cluster.policies:
            for direction in Direction:
                seen |= {name for rule in policy.rules(direction) or () for name in _names(rule)}
        if seed < 30:
            simulator = Simulator(cluster)
            undefined |= {simulator.decide(flow).undefined for flow in all_flows(cluster, (80,))}
    peers = "AnyPeer PodPeer IPBlock Networks ServicePeer NodePeer DomainPeer UnknownPeer AllPeers NotPeer"
    ports = "AnyPort PortRange NamedPort OtherProtocol"
    expressions = "AllOf AnyOf Negation ValuePart Requirement"
    assert set(f"{peers} {ports} {expressions}".split()) <= seen
    assert len(undefined & {doubt.value for doubt in Doubt}) > 2


def _names(record: object) -> Iterator[str]:
    """The names of the classes in a record."""
    if isinstance(record, tuple):
        for each in record:
            yield from _names(each)
    elif is_dataclass(record):
        yield type(record).__name__
        for each in fields(record):
            yield from _names(getattr(record, each.name))
