"""All pairs flow by flow, and in an overview: what the simulator decides for each flow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from itertools import groupby
from random import Random

import pytest

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster, Namespace, Service, ServicePort
from netprobe.model.flow import ContainerPort, External, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import CHOSEN_LATER, Selector
from netprobe.model.policy import (
    Action,
    IPBlock,
    NamedPort,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
)
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import AllPairs, Question, Simulator, evaluate, evaluate_both, read_question

TCP, UDP = Protocol.TCP, Protocol.UDP
WEB = ContainerPort(80, TCP, "http")


def pod(index: int, namespace: str, *, dual: bool = False, host: bool = False, ports: int = 1) -> Pod:
    addresses = [IPv4Address(f"10.0.{index // 200}.{index % 200 + 1}")]
    return Pod(
        PodRef(namespace, f"p{index}"),
        {"app": "abc"[index % 3], "noise": str(index)},
        (*addresses, *([IPv6Address(f"fd00::{index + 1:x}")] if dual else [])),
        (WEB, ContainerPort(53, UDP))[:ports],
        node=f"n{index % 2}",
        node_addresses=(IPv4Address(f"172.31.0.{index % 2 + 1}"),),
        host_network=host,
    )


def cluster(seed: int, pods: int = 9) -> Cluster:
    """Three namespaces, pods of either family or both, one on its node's network; policies of every sort.

    In some, one policy is in a tier whose place is not known.
    """
    random = Random(seed)  # noqa: S311 (a test's own dice)
    names = ["x", "y", "z"]
    made = [
        pod(i, random.choice(names), dual=random.random() < 0.5, host=i == 7, ports=random.randint(0, 2))
        for i in range(pods)
    ]
    made[::4] = [replace(each, addresses=each.addresses[-1:]) for each in made[::4]]
    peers: list[Peer] = [
        PodPeer(Selector.of({"app": "a"})),
        PodPeer(Selector.of({"app": "b"}), Selector.of({"team": "y"})),
        IPBlock(IPv4Network("10.0.0.0/29")),
    ]
    ports: list[Port] = [PortRange(TCP, 80, 80), PortRange(UDP), NamedPort("http")]
    rules = [Rule((random.choice(peers),), (random.choice(ports),)) for _ in range(8)]
    policies = tuple(
        Policy(
            PolicyRef(random.choice(names), f"policy-{i}"),
            Subject(Selector.of({"app": random.choice("abc")})),
            ingress=tuple(random.sample(rules, random.randint(0, 2))) if i % 2 else None,
            egress=None if i % 2 else tuple(random.sample(rules, random.randint(0, 2))),
        )
        for i in range(5)
    )
    namespaces = {name: Namespace(name, {"team": name}) for name in names}
    unplaced = seed % 4 == 3
    if unplaced:
        policies = (replace(policies[0], tier="not-here"), *policies[1:])
    pods_by_name = {each.ref: each for each in made}
    return Cluster(namespaces, pods_by_name, policies, tiers_known=not unplaced)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ports", [(), ((80, TCP), (53, UDP))], ids=["declared ports", "ports asked for"])
def test_each_decision_is_the_simulators(seed: int, ports: tuple[tuple[int, Protocol], ...]) -> None:
    of = cluster(seed)
    outside = External(IPv4Address("203.0.113.7"))
    all_pairs = AllPairs(read_question(of, ports=ports, externals=[outside], include_self=seed % 2 == 0))
    simulator = Simulator(of)
    decisions = list(all_pairs.decisions())
    assert decisions
    for flow, decision in decisions:
        assert decision == simulator.decide(flow)
        assert flow in simulator.split(replace(flow, family=None))
    assert len({flow for flow, _ in decisions}) == len(decisions)
    assert len({replace(flow, family=None) for flow, _ in decisions}) == all_pairs.question.size


def with_hashes(of: Cluster) -> Cluster:
    """The cluster with labels that a controller chooses later, which some of its policies name."""
    pods = {
        ref: replace(pod, labels={**pod.labels, "hash": CHOSEN_LATER + "*"}) if i % 2 else pod
        for i, (ref, pod) in enumerate(of.pods.items())
    }
    one, other, *rest = of.policies
    by_hash = PodPeer(Selector.of({"app": "b", "hash": "h1"}), Selector.of({}))
    egress = (Rule((by_hash,)),)
    return replace(
        of,
        pods=pods,
        policies=(
            replace(one, subject=Subject(Selector.of({"app": "a", "hash": "h1"}))),
            replace(other, ingress=(*(other.ingress or ()), Rule((by_hash,)))),
            Policy(PolicyRef("x", "by-hash"), Subject(Selector.of({"hash": "h2"})), egress=egress),
            *rest,
        ),
    )


def with_client_ports(of: Cluster) -> Cluster:
    """The cluster with rules that match some of the ports that a client may have."""
    some = (PortRange(TCP, 40000, 50000),)
    late = tuple(Rule((PodPeer(Selector.of({"app": app})),), source_ports=some) for app in "bc")
    a, b = (Subject(Selector.of({"app": app}), Selector()) for app in "ab")
    policies = (
        Policy(PolicyRef("x", "into"), a, ingress=late),
        Policy(PolicyRef("x", "out-of"), b, egress=late),
        Policy(PolicyRef("y", "out-of-y"), egress=(Rule(source_ports=some),)),
    )
    return replace(of, policies=(*of.policies, *policies))


def with_denied_client_ports(of: Cluster) -> Cluster:
    """The cluster with an egress rule that may deny what the next one allows; no ingress rule is open."""
    rules = (Rule(action=Action.DENY, source_ports=(PortRange(TCP, 40000, 50000),)), Rule())
    return replace(of, policies=(*of.policies, Policy(PolicyRef("x", "may-deny"), egress=rules)))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ports", [(), ((80, TCP), (53, UDP))], ids=["declared ports", "ports asked for"])
@pytest.mark.parametrize("changed", [replace, with_hashes, with_client_ports, with_denied_client_ports])
def test_the_overview_counts_the_decisions(
    seed: int, ports: tuple[tuple[int, Protocol], ...], changed: Callable[[Cluster], Cluster]
) -> None:
    of = changed(cluster(seed, pods=14))
    sources = ["x/*", "y/p1*"] if seed % 3 == 0 else []
    all_pairs = AllPairs(read_question(of, ports=ports, sources=[s for s in sources if _matches(of, s)]))
    on_node = {ref for ref, pod in of.pods.items() if pod.host_network}
    decisions = [
        (flow, decision.verdict, decision.undefined is not None)
        for flow, decision in all_pairs.decisions()
        if not on_node & {flow.source, flow.destination}
    ]
    found = all_pairs.overview()
    counted: Counter[tuple[object, ...]] = Counter()
    for bundle in found.bundles:
        key = bundle.port, bundle.protocol, bundle.family, bundle.verdict, bundle.undefined
        counted[key] += bundle.flows
    assert counted == Counter((f.port, f.protocol, f.family, *rest) for f, *rest in decisions)
    assert found.left_out == all_pairs.question.size - len({replace(f, family=None) for f, *_ in decisions})


def test_a_label_chosen_later_of_the_first_group() -> None:
    """With the hash that a policy names, nobody reaches the pod."""
    later = replace(pod(0, "x"), labels={"hash": CHOSEN_LATER + "*"})
    isolates = Policy(PolicyRef("x", "p"), Subject(Selector.of({"hash": "h1"})), ingress=())
    of = Cluster({"x": Namespace("x", {})}, {p.ref: p for p in (later, pod(1, "x"))}, (isolates,))
    assert Simulator(of).decide(Flow(later.ref, later.ref, 80)).verdict is Verdict.ALLOW
    bundles = AllPairs(read_question(of, ports=[(80, TCP)])).overview().bundles
    assert {str(b.destinations): b.verdict for b in bundles} == {
        "x/p0": Verdict.UNKNOWN,
        "x/p1": Verdict.ALLOW,
    }


@pytest.mark.parametrize("seed", range(4))
def test_two_states_on_the_same_groups_are_as_each_alone(seed: int) -> None:
    before, outside = cluster(seed), [External(IPv4Address("203.0.113.7"))]
    after = replace(before, policies=cluster(seed + 4).policies)
    both = evaluate_both(before, after, externals=outside, apart=lambda end: "1" in str(end))
    old, new = ([group.members for group in evaluation.groups] for evaluation in both)
    assert old == new
    assert all(len({"1" in str(end) for end in members}) == 1 for members in new)
    homes = [namespace for namespace, _ in groupby(group.namespace for group in both[0].groups)]
    assert len(homes) == len(set(homes)), "the groups of a namespace are side by side"
    for state, evaluation in zip((before, after), both, strict=True):
        assert set(evaluation.pairs(80)) == set(evaluate(state, externals=outside).pairs(80))


def _matches(of: Cluster, pattern: str) -> bool:
    namespace, _, name = pattern.partition("/")
    return any(ref.namespace == namespace and ref.name.startswith(name.rstrip("*")) for ref in of.pods)


def test_bundles_are_named_after_their_pods() -> None:
    pods = {p.ref: p for p in (pod(i, "xyz"[i % 3]) for i in range(9))}
    closed = Policy(PolicyRef("x", "closed"), ingress=())
    of = Cluster({n: Namespace(n, {}) for n in "xyz"}, pods, (closed,))
    bundles = AllPairs(read_question(of)).overview().bundles
    assert sorted((str(b.sources), str(b.destinations), b.verdict.value, b.flows) for b in bundles) == [
        ("all 9 pods", "x/* (3 pods)", "deny", 24),
        ("all 9 pods", "y/*, z/* (6 pods)", "allow", 48),
    ]
    one_open = Policy(PolicyRef("x", "open"), ingress=(Rule((PodPeer(Selector.of({"noise": "3"})),)),))
    mostly = AllPairs(read_question(replace(of, policies=(one_open,)))).overview().bundles
    assert [
        (str(b.sources), str(b.destinations), b.flows) for b in mostly if "x/*" in str(b.destinations)
    ] == [
        ("x/p3", "x/* (3 pods)", 2),
        ("all others (8 pods)", "x/* (3 pods)", 22),
    ]
    narrowed = AllPairs(read_question(of, sources=["x/p0", "x/p3", "y/p1"])).overview().bundles
    assert {str(b.sources) for b in narrowed} == {"x/p0 +2"}


class TestAsking:
    of = Cluster(
        {"shop": Namespace("shop", {}), "db": Namespace("db", {})},
        {p.ref: p for p in (pod(0, "shop"), pod(1, "shop"), pod(2, "db", ports=2))},
        services={
            ServiceRef("shop", "cart"): Service(
                ServiceRef("shop", "cart"),
                {"app": "a"},
                (IPv4Address("10.96.0.9"),),
                (ServicePort(8080, 80),),
            )
        },
    )

    def flows(self, question: Question) -> list[str]:
        all_pairs = AllPairs(question)
        overview = all_pairs.overview()
        assert sum(bundle.flows for bundle in overview.bundles) == question.size - overview.left_out
        return [str(flow) for flow, _ in all_pairs.decisions()]

    def test_every_ordered_pair_of_different_pods_on_the_ports_that_the_destination_declares(self) -> None:
        assert self.flows(read_question(self.of)) == [
            "shop/p0 -> shop/p1 80/TCP",
            "shop/p0 -> db/p2 80/TCP",
            "shop/p0 -> db/p2 53/UDP",
            "shop/p1 -> shop/p0 80/TCP",
            "shop/p1 -> db/p2 80/TCP",
            "shop/p1 -> db/p2 53/UDP",
            "db/p2 -> shop/p0 80/TCP",
            "db/p2 -> shop/p1 80/TCP",
        ]

    def test_ports_requested_substitute_for_the_declared_ones(self) -> None:
        assert self.flows(
            read_question(self.of, ports=[(9, TCP), (9, UDP), (9, TCP)], sources=["db/p2"])
        ) == [
            "db/p2 -> shop/p0 9/TCP",
            "db/p2 -> shop/p0 9/UDP",
            "db/p2 -> shop/p1 9/TCP",
            "db/p2 -> shop/p1 9/UDP",
        ]

    @pytest.mark.parametrize(
        ("sources", "destinations", "expected"),
        [
            (["db"], [], ["db/p2 -> shop/p0 80/TCP", "db/p2 -> shop/p1 80/TCP"]),
            (["*/p1"], ["d*/*"], ["shop/p1 -> db/p2 80/TCP", "shop/p1 -> db/p2 53/UDP"]),
            (["db/p2"], ["svc:shop/*"], ["db/p2 -> svc:shop/cart 8080/TCP"]),
            (
                ["203.0.113.7"],
                ["shop/p?"],
                ["203.0.113.7 -> shop/p0 80/TCP", "203.0.113.7 -> shop/p1 80/TCP"],
            ),
        ],
    )
    def test_patterns(self, sources: list[str], destinations: list[str], expected: list[str]) -> None:
        assert self.flows(read_question(self.of, sources=sources, destinations=destinations)) == expected

    def test_an_external_is_both_ends_and_talks_to_no_other(self) -> None:
        outside = [External(IPv4Address("203.0.113.7")), External(IPv4Address("203.0.113.8"))]
        flows = self.flows(read_question(self.of, ports=[(443, TCP)], externals=outside))
        assert "203.0.113.7 -> db/p2 443/TCP" in flows
        assert "db/p2 -> 203.0.113.8 443/TCP" in flows
        assert not any(flow.count("203.0.113") == 2 for flow in flows)
        assert len(flows) == 3 * 2 + 2 * 2 * 3

    def test_a_pod_to_itself_is_requested_by_name_only(self) -> None:
        flows = self.flows(read_question(self.of, sources=["db"], destinations=["db"], include_self=True))
        assert flows == ["db/p2 -> db/p2 80/TCP", "db/p2 -> db/p2 53/UDP"]
        assert self.flows(read_question(self.of, sources=["db"], destinations=["db"])) == []

    @pytest.mark.parametrize(
        ("sources", "destinations", "message"),
        [
            (["nowhere/anybody"], [], "--from nowhere/anybody: no such pod; NAMESPACE/POD"),
            (["shpo/p1"], [], r"--from shpo/p1: no such pod; did you mean shop/p1\?"),
            ([], ["svc:nowhere/x"], "--to svc:nowhere/x: no such Service; "),
            (["svc:shop/cart"], [], "connections come from pods"),
        ],
    )
    def test_a_pattern_that_matches_nothing_is_an_error(
        self, sources: list[str], destinations: list[str], message: str
    ) -> None:
        with pytest.raises(UsageError, match=message):
            read_question(self.of, sources=sources, destinations=destinations)

    def test_changed_only_leaves_out_what_passes(self) -> None:
        closed = replace(self.of, policies=(Policy(PolicyRef("db", "closed"), ingress=()),))
        decisions = AllPairs(read_question(closed)).decisions(changed_only=True)
        assert {(flow.destination, decision.verdict) for flow, decision in decisions} == {
            (PodRef("db", "p2"), Verdict.DENY)
        }


def test_decisions_are_made_as_they_are_read() -> None:
    pods = {p.ref: p for p in (pod(i, "x") for i in range(400))}
    all_pairs = AllPairs(read_question(Cluster({"x": Namespace("x", {})}, pods)))
    decisions = all_pairs.decisions()
    assert next(decisions)[0] == Flow(PodRef("x", "p0"), PodRef("x", "p1"), 80, family=4)
    assert all_pairs.question.size == 400 * 399


KEPT = [(9, "0 1 2 3 4 5"), (8, "0 3 1 4 2 5")]


@pytest.mark.parametrize(("most", "order"), KEPT, ids=["all answers are kept", "those of one group"])
def test_a_pair_of_groups_is_decided_once(most: int, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six pods in three groups, and one on its node's network, which shares no answers."""
    pods = {p.ref: p for p in (*(pod(i, "x") for i in range(6)), pod(6, "x", host=True))}
    by_app = Policy(
        PolicyRef("x", "p"), ingress=tuple(Rule((PodPeer(Selector.of({"app": a})),)) for a in "ab")
    )
    of = Cluster({"x": Namespace("x", {})}, pods, (by_app,))
    monkeypatch.setattr("netprobe.simulate.pairs.MOST_KEPT", most)
    all_pairs = AllPairs(read_question(of, ports=[(80, TCP)]))
    simulator, asked = Simulator(of), list[Flow]()

    def decide(flow: Flow) -> Decision:
        asked.append(flow)
        return simulator.decide(flow)

    monkeypatch.setattr(all_pairs.simulator, "decide", decide)
    decisions = list(all_pairs.decisions())
    assert dict(decisions) == {flow: simulator.decide(flow) for flow, _ in decisions}
    host = PodRef("x", "p6")
    assert len([flow for flow in asked if host not in {flow.source, flow.destination}]) == 9
    sources = dict.fromkeys(flow.source for flow, _ in decisions if flow.source != host)
    assert " ".join(str(source)[-1] for source in sources) == order


def test_a_reason_names_its_own_ends() -> None:
    four = [pod(i, "x") for i in (0, 3)]
    six = replace(pod(6, "x"), addresses=(IPv6Address("fd00::7"),))
    of = Cluster({"x": Namespace("x", {})}, {p.ref: p for p in (*four, six)})
    decisions = AllPairs(read_question(of, sources=["x/p0", "x/p3"], destinations=["x/p6"])).decisions()
    assert [decision.reason for _, decision in decisions] == [
        f"x/{name} and x/p6 have no address family in common" for name in ("p0", "p3")
    ]
