"""Objects as they are in a cluster: what a flow from or to each of them is, and how it is named."""

from __future__ import annotations

import re
from functools import cache
from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from netprobe.errors import UsageError
from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import AllPairs, Simulator, ends, flow, named_flows, port_numbers, read_question

TEXT = """
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: a}, spec: {replicas: 2, template: {
  metadata: {labels: {app: db}}, spec: {containers: [{name: c, ports: [{containerPort: 5432, name: sql}]}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: a}, spec: {template: {
  metadata: {labels: {app: web}}, spec: {containers: [{name: c, ports: [{containerPort: 80, name: http}]}]}}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: own, namespace: a, labels: {app: own}},
  spec: {containers: [{name: c, ports: [{containerPort: 8080, name: http}]}]},
  status: {phase: Running, podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Pod, metadata: {name: once, namespace: a, labels: {app: once}},
  spec: {containers: [{name: c, ports: [{containerPort: 80}]}]},
  status: {phase: Succeeded, podIP: 10.0.0.7}}
---
{apiVersion: v1, kind: Service, metadata: {name: hand, namespace: a}, spec: {clusterIP: 10.96.0.9, ports: [
  {name: tls, port: 443}, {name: other, port: 80}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
  metadata: {name: hand-1, namespace: a, labels: {kubernetes.io/service-name: hand}},
  endpoints: [{addresses: [203.0.113.5]}, {addresses: [203.0.113.6], conditions: {ready: false}}],
  ports: [{name: tls, port: 6443}]}
---
{apiVersion: v1, kind: Service, metadata: {name: old, namespace: a}, spec: {clusterIP: 10.96.0.8, ports: [
  {port: 443}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: old, namespace: a},
  subsets: [{addresses: [{ip: 203.0.113.5}], ports: [{port: 6443}]}]}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: own, namespace: a}, spec: {
  podSelector: {matchLabels: {app: own}}, policyTypes: [Ingress, Egress],
  egress: [{to: [{ipBlock: {cidr: 203.0.113.5/32}}], ports: [{port: 6443}]}]}}
"""
HASH = """
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s, namespace: a}, spec: {
  podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: %s}}
"""


@cache
def cluster(text: str = TEXT) -> Cluster:
    objects: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    return from_objects(objects)


def asked(source: str, destination: str, port: int) -> Flow:
    world = cluster()
    return flow(ends(world, source)[0], ends(world, destination)[0], port, Protocol.TCP)


ALLOW, DENY, UNKNOWN = Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN
FLOWS = [  # source, destination, port, verdict
    pytest.param("a/own", "127.0.0.1", 80, ALLOW, id="loopback never leaves the pod"),
    pytest.param("a/own", "::1", 80, ALLOW, id="nor does loopback of IPv6"),
    pytest.param("127.0.0.1", "a/own", 80, UNKNOWN, id="and reaches no other"),
    pytest.param("a/own", "10.0.0.7", 80, ALLOW, id="a pod by its own address is the pod"),
    pytest.param("a/own", "a/own", 80, ALLOW, id="a pod to itself"),
    pytest.param("a/web", "10.0.0.7", 80, DENY, id="an address of a pod, not of the finished one"),
    pytest.param("a/once", "a/web", 80, UNKNOWN, id="a finished pod sends nothing"),
    pytest.param("a/web", "a/once", 80, UNKNOWN, id="and answers nothing"),
    pytest.param("a/own", "svc:a/hand", 443, ALLOW, id="the port of the endpoint that is ready"),
    pytest.param("a/own", "svc:a/hand", 80, UNKNOWN, id="no endpoint for a port of another name"),
    pytest.param("a/own", "svc:a/old", 443, ALLOW, id="an Endpoints object"),
]


@pytest.mark.parametrize(("source", "destination", "port", "verdict"), FLOWS)
def test_a_flow(source: str, destination: str, port: int, verdict: Verdict) -> None:
    assert Simulator(cluster()).decide(asked(source, destination, port)).verdict is verdict


def test_a_workload_stands_for_its_pods_and_no_pattern_for_finished_ones() -> None:
    world = cluster()
    names = {
        text: [str(end) for end in ends(world, text)] for text in ("a/db", "a/web", "a/once", "a/o*", "a")
    }
    assert names == {
        "a/db": ["a/db-0", "a/db-1"],
        "a/web": ["a/web"],
        "a/once": ["a/once"],
        "a/o*": ["a/own"],
        "a": ["a/own", "a/db-0", "a/db-1", "a/web"],
    }


def test_a_port_by_name_is_that_of_each_destination() -> None:
    question = read_question(cluster(), sources=["a/db-0"], ports=[("http", Protocol.TCP)])
    found = {(str(one.destination), one.port) for one, _ in AllPairs(question).decisions()}
    assert found == {("a/own", 8080), ("a/web", 80)}
    with pytest.raises(UsageError, match="did you mean http"):
        read_question(cluster(), ports=[("htp", Protocol.TCP)])


HTTP, OFFICE = ("http", Protocol.TCP), External(ip_address("203.0.113.9"), "office")
NAMED = [  # source, destination, port, the flows that they stand for
    ("a/own", "a/web", None, ["a/own -> a/web 80/TCP"]),
    ("a/own", "a/web", (81, Protocol.TCP), ["a/own -> a/web 81/TCP"]),
    ("a/db", "a/db", None, ["a/db-0 -> a/db-1 5432/TCP", "a/db-1 -> a/db-0 5432/TCP"]),
    ("a/web", "a/web", None, ["a/web -> a/web 80/TCP"]),
    ("a/own", "a/db", None, ["a/own -> a/db-0 5432/TCP", "a/own -> a/db-1 5432/TCP"]),
    ("a/db-0", "a/*", HTTP, ["a/db-0 -> a/own 8080/TCP", "a/db-0 -> a/web 80/TCP"]),
    ("office", "a/web", None, ["office -> a/web 80/TCP"]),
    ("203.0.113.9", "a/web", None, ["office -> a/web 80/TCP"]),
]


@pytest.mark.parametrize(("source", "destination", "port", "expected"), NAMED)
def test_what_two_names_stand_for(
    source: str, destination: str, port: tuple[int | str, Protocol] | None, expected: list[str]
) -> None:
    assert [str(one) for one in named_flows(cluster(), source, destination, port, [OFFICE])] == expected


NO_PORT = "no destination has a port of that name"
MISNAMED = [
    ("a/own", "svc:a/hand", None, "no port given: svc:a/hand declares 443/TCP, 80/TCP; name one"),
    ("a/own", "office", None, "no port given: office declares no port; name one"),
    ("b/zzzzz", "a/web", None, "b/zzzzz: no such pod; NAMESPACE/POD, svc:NAMESPACE/SERVICE or an address"),
    ("a/dbb", "a/web", None, "a/dbb: no such pod; did you mean a/db?"),
    ("a/own", "svc:a/hnd", None, "svc:a/hnd: no such Service; did you mean svc:a/hand?"),
    ("svc:a/hand", "a/web", None, "svc:a/hand: connections come from pods, not from Services"),
    ("a/own", "a/web", ("htp", Protocol.TCP), f"a/web: {NO_PORT}; did you mean http?"),
    ("a/own", "a/web", ("other", Protocol.TCP), f"a/web: {NO_PORT}; the names are http"),
    ("a/own", "office", HTTP, f"office: {NO_PORT}; the names are none"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "destination", "port", "message"), MISNAMED)
def test_names_that_stand_for_nothing(
    source: str, destination: str, port: tuple[int | str, Protocol] | None, message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        named_flows(cluster(), source, destination, port, [OFFICE])


def test_ports_by_number() -> None:
    expected = ((8080, Protocol.TCP), (80, Protocol.TCP), (9, Protocol.TCP))
    assert port_numbers(cluster(), [HTTP, (80, Protocol.TCP), (9, Protocol.TCP)]) == expected


def peers(*hashes: str) -> str:
    selectors = (
        f"{{podSelector: {{matchLabels: {{app: db, controller-revision-hash: {h}}}}}}}" for h in hashes
    )
    return f"[{{from: [{', '.join(selectors)}]}}]"


DOUBTS = [  # the peers of a policy that isolates web, the verdict on db-0 -> web
    pytest.param(peers("db-1"), UNKNOWN, id="a hash"),
    pytest.param(
        "[{from: [{podSelector: {matchExpressions: [{key: controller-revision-hash, operator: Exists}]}}]}]",
        ALLOW,
        id="any hash",
    ),
    pytest.param("[{from: [{podSelector: {matchLabels: {app: db}}}]}]", ALLOW, id="no hash"),
    pytest.param(
        "[{from: [{podSelector: {matchLabels: {app: x, controller-revision-hash: y}}}]}]",
        DENY,
        id="a hash of other pods",
    ),
]


@pytest.mark.parametrize(("ingress", "verdict"), DOUBTS)
def test_labels_that_a_controller_chooses(ingress: str, verdict: Verdict) -> None:
    world = cluster(TEXT + HASH % ("p", ingress))
    decision = Simulator(world).decide(flow(PodRef("a", "db-0"), PodRef("a", "web"), 80, Protocol.TCP))
    assert decision.verdict is verdict
    if verdict is UNKNOWN:
        assert "controller-revision-hash, whose value a controller chooses" in (decision.reason or "")
