"""The whole visit on a scripted cluster whose network plugin is right, or wrong in one way."""

from __future__ import annotations

import pytest

from netprobe.doctor import Status
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from tests.doctor.world import Plugin, World, fully, node
from tests.probe.fake import FakeCluster

OK, FAILED, UNKNOWN, NOTE = Status.OK, Status.FAILED, Status.UNKNOWN, Status.NOTE


def nothing(_source: str, _destination: str, _ingress: bool, _egress: bool) -> bool:
    return True


def ingress_only(_source: str, _destination: str, ingress: bool, _egress: bool) -> bool:
    return not ingress


def egress_only(_source: str, _destination: str, _ingress: bool, egress: bool) -> bool:
    return not egress


def not_on_n2(source: str, destination: str, ingress: bool, egress: bool) -> bool:
    return not ((ingress and destination != "n2") or (egress and source != "n2"))


@pytest.mark.parametrize(
    ("plugin", "ingress", "egress", "status"),
    [
        pytest.param(fully, OK, OK, 0, id="it enforces"),
        pytest.param(nothing, FAILED, FAILED, 1, id="it enforces nothing"),
        pytest.param(ingress_only, OK, FAILED, 1, id="it enforces ingress only"),
        pytest.param(egress_only, FAILED, OK, 1, id="it enforces egress only"),
        pytest.param(not_on_n2, FAILED, FAILED, 1, id="it does not run on n2"),
    ],
)
def test_whether_it_enforces(plugin: Plugin, ingress: Status, egress: Status, status: int) -> None:
    world = World(plugin)
    told = world.diagnose()
    assert (told["ingress"].status, told["egress"].status) == (ingress, egress), told
    assert told.exit_status == status
    assert world.left == set(), "everything is removed"


def test_a_node_without_enforcement_is_named() -> None:
    told = World(not_on_n2).diagnose()
    assert "4 of 8 connect: n1 -> n2 TCP (IPv4)" in told["ingress"].evidence
    assert told["ingress"].hint == "look at the network plugin's agent on n2"
    assert "n2 -> n1 TCP (IPv4)" in told["egress"].evidence
    assert told["egress"].hint == "look at the network plugin's agent on n2"


def test_a_slow_plugin_is_waited_for_and_timed() -> None:
    told = World(lag_s=4).diagnose()
    assert told["ingress"].status is OK
    assert "within 4." in told["ingress"].evidence


def test_a_plugin_that_is_too_slow_does_not_enforce() -> None:
    told = World(lag_s=60).diagnose()
    assert told["ingress"].status is FAILED
    assert "s after a deny-all all 8 paths still connect" in told["ingress"].evidence


def test_replies_and_other_pods_that_are_shut_too_are_a_fault() -> None:
    told = World(back=False).diagnose()
    assert told["ingress"].status is FAILED
    assert "shuts what it does not forbid: within n1 TCP (IPv4)" in told["ingress"].evidence


def test_rules_that_outlive_their_policy_are_a_fault() -> None:
    told = World(memory=True).diagnose()
    assert told["ingress"].status is FAILED
    assert "8 of 8 paths stay shut after it" in told["ingress"].evidence


def test_a_dead_path_between_nodes_is_not_taken_for_enforcement() -> None:
    told = World(nothing, cut=frozenset({"n1n2"})).diagnose()
    assert told["node to node"].status is FAILED
    assert "2 of 4 paths do not connect: n1 -> n2 TCP (IPv4): timed out" in told["node to node"].evidence
    assert "all 6 paths still connect" in told["ingress"].evidence, "the dead ones do not count"


def test_where_nothing_connects_nothing_can_be_told() -> None:
    told = World(nodes=(node("n1"),), cut=frozenset({"n1n1"})).diagnose()
    assert told["pod to pod"].status is FAILED
    assert told["ingress"].status is UNKNOWN


@pytest.mark.parametrize(
    ("nodes", "most", "evidence"),
    [
        pytest.param((node("a"), node("b"), node("c"), node("d")), 3, "a, b, c;", id="the first three"),
        pytest.param((node("a"), node("b"), node("c"), node("d")), 0, "a, b, c and 1 more;", id="all"),
        pytest.param((node("a", taint="NoSchedule"), node("b")), 3, "b;", id="not on a tainted one"),
        pytest.param((node("a", taint="NoSchedule"),), 3, "a;", id="on tainted ones where all are"),
        pytest.param((node("a", ready=False), node("b")), 3, "b;", id="not on one that is not ready"),
        pytest.param((node("a", os="windows"), node("b")), 3, "b;", id="not on Windows"),
    ],
)
def test_where_it_is_tried(nodes: tuple[Object, ...], most: int, evidence: str) -> None:
    assert f"runs on {evidence}" in World(nodes=nodes).diagnose(most_nodes=most)["probe pods"].evidence


def test_no_node_that_could_take_a_pod() -> None:
    told = World(nodes=(node("a", ready=False),)).diagnose()
    assert told["nodes"].status is FAILED
    assert told["enforcement"].evidence == "not tried: no node is ready for pods of Linux"


def test_missing_permissions_are_named_and_nothing_is_made() -> None:
    world = World()
    world.cluster.forbidden = frozenset({"delete namespaces", "list nodes"})
    told = world.diagnose()
    assert "tester lacks delete namespaces" in told["permissions"].evidence
    assert told.exit_status == 3
    assert [str(p) for p in told.lacking] == ["delete namespaces", "list nodes"]
    role, binding = told.remedy()
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
    ]
    assert binding["subjects"][0]["name"] == "tester"
    assert {kind for verb, kind, _ in world.cluster.calls if verb == "create"} == {"Node"}


def test_what_only_tells_is_no_reason_to_stop() -> None:
    world = World()
    world.cluster.forbidden = frozenset({"list daemonsets"})
    told = world.diagnose()
    assert told["permissions"].status is NOTE
    assert told.exit_status == 0


def test_pods_that_do_not_come_up_are_told_with_their_status() -> None:
    world = World()
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    world.cluster.unready = {"server-1": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    told = world.diagnose()
    assert "server-1 cannot become ready: ImagePullBackOff: no such image" in told["probe pods"].evidence
    assert "--image" in (told["probe pods"].hint or "")
    assert told.exit_status == 3
    assert world.left == set()


def test_an_api_that_fails_half_way_leaves_what_was_found() -> None:
    class Failing(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["metadata"].get("name") == "deny-egress":
                raise ClusterError("cannot create networkpolicies: the API server answered 500")
            return await super().create(obj)

    world = World()
    cluster = Failing(network=world._network, outside=world.cluster.outside)
    world.cluster = cluster
    told = world.diagnose()
    assert told["ingress"].status is OK
    assert told["the rest"].evidence.endswith("answered 500")
    assert told.exit_status == 3
    assert world.left == set()


def test_a_host_network_that_is_forbidden_is_left_out() -> None:
    world = World()
    world.cluster.unready = {"host": {"phase": "Failed", "reason": "Forbidden"}}
    told = world.diagnose()
    assert told["host network"].status is NOTE
    assert "host cannot become ready" in told["host network"].evidence
    assert told.exit_status == 0
