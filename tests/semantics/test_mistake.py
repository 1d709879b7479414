"""The mistakes that other simulators make. Each is a row of another table too; here they stand by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from netprobe.manifests import from_objects
from netprobe.model.flow import PodRef, Protocol
from netprobe.model.labels import EVERYTHING, Operator, Selector
from netprobe.model.policy import Direction, NamedPort, Peer, PodPeer, PortRange
from netprobe.simulate import evaluate
from tests.semantics.stage import (
    app,
    block,
    expression,
    facing,
    mark,
    marks,
    policy,
    rule,
    stage,
    toward,
    with_address,
)

TCP = Protocol.TCP


def ports(first: int, last: int) -> PortRange:
    return PortRange(TCP, first, last)


def test_notin_on_an_absent_key_matches() -> None:
    peer = PodPeer(expression("app", Operator.NOT_IN, "a"))
    assert mark(stage(policy("x/p", app("a"), ingress=[rule([peer])])), "x/n -> x/a 80") == "."


def test_two_peers_of_one_rule_each_have_all_its_ports() -> None:
    peers: list[Peer] = [PodPeer(app("b")), block("203.0.113.0/24")]
    cluster = stage(policy("x/p", app("a"), ingress=[rule(peers, [ports(80, 81), ports(90, 91)])]))
    for source in ("x/b", "out"):
        asked = [f"{source} -> x/a {port}" for port in (79, 80, 81, 82, 90, 91, 92)]
        assert marks(cluster, asked) == "X . . X . . X"


@pytest.mark.parametrize("turned", [False, True])
def test_the_overlap_of_an_ingress_and_an_egress_range_is_open(turned: bool) -> None:
    lower, higher = ports(80, 100), ports(90, 110)
    out_of, into = (higher, lower) if turned else (lower, higher)
    cluster = stage(policy("x/p", egress=[rule(ports=[out_of])]), policy("y/p", ingress=[rule(ports=[into])]))
    assert marks(cluster, [f"x/a -> y/a {port}" for port in (80, 89, 90, 100, 101, 110)]) == "X X . . X X"


def test_a_named_port_toward_an_address_outside_does_not_stop_the_analysis() -> None:
    cluster = stage(policy("x/p", egress=[rule(ports=[NamedPort("web")]), rule([block("203.0.113.0/24")])]))
    assert marks(cluster, ["x/a -> out 80", "x/a -> 198.51.100.7 80", "x/a -> y/a 80"]) == ". X ."


@pytest.mark.parametrize("direction", Direction)
def test_an_empty_value_does_not_match_a_pod_without_the_label(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule([PodPeer(app(""))])))
    assert marks(cluster, toward(direction, "x/a", "x/e x/n")) == ". X"
    cluster = stage(facing(direction, "x/p", app("")))
    asked = [toward(direction, subject, "y/a")[0] for subject in ("x/e", "x/n")]
    assert marks(cluster, asked) == "X ."


def test_absent_policytypes_do_not_crash() -> None:
    objects: list[Mapping[str, object]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}},
        *(_pod(name) for name in ("a", "b")),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": "x", "name": "p"},
            "spec": {"podSelector": {}},
        },
    ]
    assert mark(from_objects(objects), "x/a -> x/b 80") == "X"


def _pod(name: str, phase: str = "Running", address: str = "10.244.1.1") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "x", "name": name},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
        "status": {"phase": phase, "podIP": address, "podIPs": [{"ip": address}]},
    }


def test_a_pod_under_deny_all_reaches_itself() -> None:
    assert mark(stage(policy("x/p", ingress=(), egress=())), "x/a -> x/a 80") == "."


@pytest.mark.parametrize("direction", Direction)
def test_an_ipblock_against_a_pod_with_no_address_does_not_crash(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule([block("10.0.0.0/8", "10.244.255.0/24")])))
    for name in ("x/b", "x/n"):
        cluster = with_address(cluster, name)
    assert marks(cluster, toward(direction, "x/a", "x/b x/n y/a")) == "X X ."


def test_every_container_port_is_considered() -> None:
    cluster = stage(policy("x/p", ingress=[rule(ports=[NamedPort("dns", Protocol.UDP)])]))
    assert marks(cluster, ["y/a -> x/a 53/UDP", "y/a -> x/a 80/UDP"]) == ". X"


def test_namespace_labels_count_for_a_query_within_one_namespace() -> None:
    """Only pods of x are asked about, and a policy of x still looks at the labels of y and z."""
    peer = PodPeer(EVERYTHING, Selector.of({"team": "one"}))
    cluster = stage(policy("x/p", app("a"), ingress=[rule([peer])]))
    assert mark(cluster, "x/b -> x/a 80") == "."
    only_x = replace(cluster, pods={ref: pod for ref, pod in cluster.pods.items() if ref.namespace == "x"})
    assert mark(only_x, "x/b -> x/a 80") == "."


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pods_are_ignored(phase: str) -> None:
    """Their address may already belong to another pod (kube-router #1056)."""
    cluster = from_objects([_pod("done", phase), _pod("a"), _pod("b", address="10.244.1.2")])
    assert list(cluster.pods) == [PodRef("x", "a"), PodRef("x", "b")]
    assert evaluate(cluster).table(80).counts().allow == 2


@pytest.mark.parametrize("direction", Direction)
def test_an_empty_list_of_rules_allows_nothing(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", app("a")))
    assert marks(cluster, toward(direction, "x/a", "x/b y/a out")) == "X X X"


@pytest.mark.parametrize("direction", Direction)
def test_ports_are_not_ignored(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule([PodPeer()], [ports(80, 80)])))
    assert marks(cluster, toward(direction, "x/a", "x/b")) == "."
    assert marks(cluster, toward(direction, "x/a", "x/b", "81")) == "X"


@pytest.mark.parametrize("direction", Direction)
def test_a_podselector_does_not_match_pods_of_other_namespaces(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", None, rule([PodPeer(app("a"))])))
    assert marks(cluster, toward(direction, "x/b", "x/a y/a z/a")) == ". X X"


@pytest.mark.parametrize("direction", Direction)
def test_an_empty_namespaceselector_matches_every_namespace(direction: Direction) -> None:
    cluster = stage(facing(direction, "x/p", app("a"), rule([PodPeer(EVERYTHING, EVERYTHING)])))
    assert marks(cluster, toward(direction, "x/a", "x/b y/a z/a out")) == ". . . X"
