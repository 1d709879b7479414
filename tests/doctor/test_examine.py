"""The whole visit on a scripted cluster whose network plugin is right, or wrong in one way."""

from __future__ import annotations

import json

import pytest
import yaml

from netprobe.doctor import CheckStatus, Diagnosis
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.report import DIAGNOSIS_FORMATS
from netprobe.report.style import PLAIN
from tests.doctor.world import Plugin, World, fully, node
from tests.probe.fake import FakeCluster

OK, FAILED, UNKNOWN, NOTE = CheckStatus.OK, CheckStatus.FAILED, CheckStatus.UNKNOWN, CheckStatus.NOTE


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
def test_whether_it_enforces(plugin: Plugin, ingress: CheckStatus, egress: CheckStatus, status: int) -> None:
    world = World(plugin)
    found = world.diagnose()
    assert (found["ingress"].status, found["egress"].status) == (ingress, egress), found
    assert found.exit_status == status
    assert world.left == set(), "everything is removed"


def text(found: Diagnosis, name: str) -> str:
    return "".join(DIAGNOSIS_FORMATS.render(found, name, PLAIN))


def test_a_cluster_on_which_all_is_well_in_every_format() -> None:
    found = World().diagnose()
    assert text(found, "table").endswith("This cluster enforces NetworkPolicy, ingress and egress.\n")
    assert json.loads(text(found, "json"))["exit_status"] == 0
    assert yaml.safe_load(text(found, "yaml")) == json.loads(text(found, "json"))
    assert list(yaml.safe_load_all(text(found, "rbac"))) == []


def test_a_node_without_enforcement_is_named() -> None:
    found = World(not_on_n2).diagnose()
    assert "4 of 8 connect: n1 -> n2 TCP (IPv4)" in found["ingress"].evidence
    assert found["ingress"].hint == "look at the network plugin's agent on n2"
    assert "n2 -> n1 TCP (IPv4)" in found["egress"].evidence
    assert found["egress"].hint == "look at the network plugin's agent on n2"


def test_a_slow_plugin_is_waited_for_and_timed() -> None:
    found = World(lag_s=4).diagnose()
    assert found["ingress"].status is OK
    assert "within 4." in found["ingress"].evidence


def test_a_plugin_that_is_too_slow_does_not_enforce() -> None:
    found = World(lag_s=60).diagnose()
    assert found["ingress"].status is FAILED
    assert "s after a deny-all all 8 paths still connect" in found["ingress"].evidence


def test_replies_and_other_pods_that_are_shut_too_are_a_fault() -> None:
    found = World(back=False).diagnose()
    assert found["ingress"].status is FAILED
    assert "closes paths that it does not deny: within n1 TCP (IPv4)" in found["ingress"].evidence


def test_rules_that_outlive_their_policy_are_a_fault() -> None:
    found = World(memory=True).diagnose()
    assert found["ingress"].status is FAILED
    assert "8 of 8 paths stay closed after it" in found["ingress"].evidence


def test_a_dead_path_between_nodes_is_not_taken_for_enforcement() -> None:
    found = World(nothing, cut=frozenset({"n1n2"})).diagnose()
    assert found["node to node"].status is FAILED
    assert "2 of 4 paths do not connect: n1 -> n2 TCP (IPv4): timed out" in found["node to node"].evidence
    assert "all 6 paths still connect" in found["ingress"].evidence, "the dead ones do not count"


def test_if_nothing_connects_nothing_can_be_known() -> None:
    found = World(nodes=(node("n1"),), cut=frozenset({"n1n1"})).diagnose()
    assert found["pod to pod"].status is FAILED
    assert found["ingress"].status is UNKNOWN


@pytest.mark.parametrize(
    ("nodes", "most", "evidence"),
    [
        pytest.param((node("a"), node("b"), node("c"), node("d")), 3, "a, b and c;", id="the first three"),
        pytest.param((node("a"), node("b"), node("c"), node("d")), 0, "a, b, c and d;", id="all"),
        pytest.param((node("a", taint="NoSchedule"), node("b")), 3, "b;", id="not on a tainted one"),
        pytest.param((node("a", taint="NoSchedule"),), 3, "a;", id="on tainted ones where all are"),
        pytest.param((node("a", ready=False), node("b")), 3, "b;", id="not on one that is not ready"),
        pytest.param((node("a", os="windows"), node("b")), 3, "b;", id="not on Windows"),
    ],
)
def test_where_it_is_tried(nodes: tuple[Object, ...], most: int, evidence: str) -> None:
    assert f"runs on {evidence}" in World(nodes=nodes).diagnose(most_nodes=most)["probe pods"].evidence


def test_no_node_that_could_take_a_pod() -> None:
    found = World(nodes=(node("a", ready=False),)).diagnose()
    assert found["nodes"].status is FAILED
    assert found["enforcement"].evidence == "not tried: no node is ready for Linux pods"


def test_missing_permissions_are_named_and_nothing_is_made() -> None:
    world = World()
    world.cluster.forbidden = frozenset({"delete namespaces", "list nodes"})
    found = world.diagnose()
    assert "tester lacks delete namespaces" in found["permissions"].evidence
    assert found.exit_status == 3
    assert [str(p) for p in found.lacking] == ["delete namespaces", "list nodes"]
    role, binding = found.remedy()
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["delete"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
    ]
    assert binding["subjects"][0]["name"] == "tester"
    assert list(yaml.safe_load_all(text(found, "rbac"))) == [role, binding]
    assert {kind for verb, kind, _ in world.cluster.calls if verb == "create"} == {"Node"}


def test_a_missing_optional_permission_does_not_stop_it() -> None:
    world = World()
    world.cluster.forbidden = frozenset({"list daemonsets"})
    found = world.diagnose()
    assert found["permissions"].status is NOTE
    assert found.exit_status == 0


def test_pods_that_do_not_come_up_are_reported_with_their_status() -> None:
    world = World()
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    world.cluster.unready = {"server-1": {"containerStatuses": [{"state": {"waiting": waiting}}]}}
    found = world.diagnose()
    assert "server-1 cannot become ready: ImagePullBackOff: no such image" in found["probe pods"].evidence
    assert "--image" in (found["probe pods"].hint or "")
    assert found.exit_status == 3
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
    found = world.diagnose()
    assert found["ingress"].status is OK
    assert found["the rest"].evidence.endswith("answered 500")
    assert found.exit_status == 3
    assert world.left == set()


def test_a_host_network_that_is_forbidden_is_left_out() -> None:
    world = World()
    world.cluster.unready = {"host": {"phase": "Failed", "reason": "Forbidden"}}
    found = world.diagnose()
    assert found["host network"].status is NOTE
    assert "host cannot become ready" in found["host network"].evidence
    assert found.exit_status == 0
