"""What a real pod's own readiness proves about its ports."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.model.objects import Object
from netprobe.probe.run_objects import RUN
from netprobe.probe.surroundings import Surroundings, look_around, readiness_ports
from tests.probe.clock import virtually
from tests.probe.fake import FakeCluster

PORTS = [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "name": "dns", "protocol": "UDP"}]


def pod(probe: Object, *, ready: bool = True, **spec: Any) -> Object:
    container = {"name": "main", "ports": PORTS, "readinessProbe": probe}
    return {
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "uid": "1"},
        "spec": {"containers": [container], **spec},
        "status": {"containerStatuses": [{"name": "main", "ready": ready}]},
    }


@pytest.mark.parametrize(
    ("probe", "ports"),
    [
        pytest.param({"tcpSocket": {"port": 8080}}, {8080}, id="a connection"),
        pytest.param({"tcpSocket": {"port": "http"}}, {8080}, id="a port by name"),
        pytest.param({"httpGet": {"port": 8080, "path": "/"}}, {8080}, id="a page"),
        pytest.param({"grpc": {"port": 9000}}, {9000}, id="a health check, of a port that is not declared"),
        pytest.param({"exec": {"command": ["true"]}}, set(), id="a command says nothing about a port"),
        pytest.param({"tcpSocket": {"port": 8080, "host": "10.0.0.1"}}, set(), id="somebody else is asked"),
        pytest.param({"tcpSocket": {"port": "dns"}}, set(), id="a name of another protocol"),
        pytest.param({}, set(), id="no probe: ready says nothing"),
    ],
)
def test_which_ports_a_passing_readiness_probe_proves(probe: Object, ports: set[int]) -> None:
    assert set(readiness_ports(pod(probe))) == ports
    assert set(readiness_ports(pod(probe, ready=False))) == set(), "a probe that fails proves nothing"


def test_a_sidecar_has_a_probe_of_its_own() -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "readinessProbe": {"tcpSocket": {"port": 15021}}}
    obj = pod({"tcpSocket": {"port": 8080}}, initContainers=[sidecar])
    obj["status"]["initContainerStatuses"] = [{"name": "proxy", "ready": True}]
    assert set(readiness_ports(obj)) == {8080, 15021}


def test_what_runs_made_and_what_is_going_away_is_not_there() -> None:
    cluster = FakeCluster()
    ours: Object = {"kind": "Namespace", "metadata": {"name": "netprobe-r1", "labels": {RUN: "r1"}}}
    inside: Object = {"kind": "Pod", "metadata": {"name": "canary", "namespace": "netprobe-r1"}}
    going: Object = {
        "kind": "Pod",
        "metadata": {"name": "old", "namespace": "shop", "deletionTimestamp": "now"},
    }
    kept = pod({})
    for obj in (ours, inside, going, kept):
        meta = obj["metadata"]
        cluster.objects[obj["kind"], meta.get("namespace"), meta["name"]] = obj
    around: Surroundings = virtually(look_around(cluster))
    assert [obj["metadata"]["name"] for obj in around] == ["web"]
