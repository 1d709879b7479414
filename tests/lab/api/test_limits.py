"""Whatever a client sends: no internal error, and nothing keeps the server busy for long."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.lab.api import channels, server
from netprobe.lab.api.patch import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from netprobe.lab.api.selectors import parse_labels
from tests.lab.api.conftest import DEADLINE_S, Api, running

PODS = "/api/v1/namespaces/{namespace}/pods"
JSON, YAML = "application/json", "application/yaml"

WELL_FORMED: dict[str, Any] = yaml.safe_load("""
/api/v1/namespaces/{namespace}/pods:
  metadata: {name: p, labels: {a: b}, annotations: {a: b}, ownerReferences: []}
  spec:
    containers:
      - {name: c, image: x, ports: [{containerPort: 80, name: http, protocol: TCP}],
         env: [{name: A, value: b}], readinessProbe: {tcpSocket: {port: 80}}}
    nodeName: n1
    readinessGates: [{conditionType: x/y}]
/api/v1/namespaces/{namespace}/services:
  metadata: {name: s}
  spec: {selector: {a: b}, ports: [{port: 80, targetPort: http}], ipFamilies: [IPv4]}
/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies:
  metadata: {name: n}
  spec:
    podSelector: {matchExpressions: [{key: a, operator: In, values: [b]}]}
    ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]
    policyTypes: [Ingress]
/apis/apps/v1/namespaces/{namespace}/deployments:
  metadata: {name: d}
  spec:
    replicas: 1
    selector: {matchLabels: {a: b}}
    template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: x}]}}
/apis/batch/v1/namespaces/{namespace}/jobs:
  metadata: {name: j}
  spec: {completions: 1, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}
/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices:
  metadata: {name: e}
  addressType: IPv4
  endpoints: [{addresses: [10.9.8.7], conditions: {ready: true}}]
  ports: [{name: http, port: 80, protocol: TCP}]
/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases:
  metadata: {name: l}
  spec: {holderIdentity: me, leaseDurationSeconds: 15}
/apis/apiextensions.k8s.io/v1/customresourcedefinitions:
  metadata: {name: things.example.org}
  spec:
    group: example.org
    names: {plural: things, kind: Thing}
    scope: Namespaced
    versions: [{name: v1, served: true, storage: true, schema: {}}]
""")
ODD: list[Any] = [
    *(None, True, -1, 0, 1e9, "", "\0", "a b", "x" * 300),
    *([], [None], [[]], {}, {"": None}, {"a": {"b": []}}),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in inner for deeper in places(item, (*path, key)))]


def mutated(value: Any, random_: random.Random) -> Any:
    """The value with an odd thing in a random place."""
    copied = json.loads(json.dumps(value))
    *path, last = random_.choice(places(copied)[1:])
    parent = copied
    for key in path:
        parent = parent[key]
    parent[last] = random_.choice(ODD)
    return copied


async def test_a_malformed_body_is_refused_and_never_an_internal_error(api: Api) -> None:
    random_ = random.Random(20261130)  # noqa: S311
    failed = []
    for path, body in WELL_FORMED.items():
        for _ in range(40):
            sent = mutated(body, random_)
            named = f"{path}/{body['metadata']['name']}"
            method, kind, target = random_.choice(
                [
                    *(("POST", JSON, path), ("PUT", JSON, named), ("DELETE", JSON, named)),
                    *(("PATCH", kind, named) for kind in (MERGE_PATCH, STRATEGIC_MERGE_PATCH)),
                    ("PATCH", STRATEGIC_MERGE_PATCH, f"{named}/status"),
                ]
            )
            if method != "POST":
                await api.ask("POST", path, body)
            status, answer = await api.ask(method, target, sent, kind=kind)
            if status >= 500:
                failed.append((method, kind, target, sent, answer))
    await api.ask("POST", PODS, WELL_FORMED[PODS])
    options = {"gracePeriodSeconds": 0, "preconditions": {"uid": "x"}, "dryRun": ["All"]}
    for _ in range(60):
        sent = mutated({**options, "propagationPolicy": "Orphan"}, random_)
        status, answer = await api.ask("DELETE", f"{PODS}/p", sent)
        if status >= 500:
            failed.append(("DELETE", JSON, f"{PODS}/p", sent, answer))
    assert failed == []


QUERIES = [
    *({"labelSelector": text} for text in ("a in (b", "a=b=c", ",")),
    *({name: "x"} for name in ("limit", "continue", "resourceVersion", "timeoutSeconds", "fieldSelector")),
    *({"watch": "1", name: "x"} for name in ("resourceVersion", "timeoutSeconds")),
    *({name: "x"} for name in ("gracePeriodSeconds", "dryRun", "fieldValidation", "container", "tailLines")),
    {"limit": "-1"},
    {"sinceSeconds": "x"},
]


async def test_a_malformed_query_is_refused_and_never_an_internal_error(pod: Api) -> None:
    failed = []
    for query in QUERIES:
        for method, path in (
            *(("GET", f"{PODS}{end}") for end in ("", "/p/log", "/p/exec")),
            ("DELETE", f"{PODS}/absent"),
        ):
            async with pod.session.request(method, pod.path(path), params=query) as response:
                if response.status >= 500:
                    failed.append((method, path, query, await response.text()))
    assert failed == []


DEEP = 100_000
NUMBERS = range(10_000)
CONTAINERS = [{"name": f"c{i}", "image": "x", "ports": [{"containerPort": i + 1}]} for i in NUMBERS]
LABELS = {f"l{i}": "x" for i in NUMBERS}
LONG = {"metadata": {"name": "x", "labels": LABELS}, "spec": {"containers": CONTAINERS}}
COPIES = [{"op": "copy", "from": "/metadata", "path": f"/metadata/x{i}"} for i in range(40)]
ALIASES = [
    f"{a}: &{a} [{','.join(['*' + b] * 9)}]" for a, b in zip("bcdefghijklm", "abcdefghijkl", strict=True)
]
ATTACKS: dict[str, tuple[str, str, str]] = {
    "aliases in YAML": ("POST", YAML, "\n".join(("a: &a [x, x]", *ALIASES))),
    "deep YAML": ("POST", YAML, "[" * DEEP),
    "deep JSON": ("POST", JSON, '{"a":' * DEEP),
    "keys given twice": ("POST", JSON, "{" + ",".join(f'"k{i}":1,"k{i}":1' for i in range(90_000)) + "}"),
    "copies that double": ("PATCH", JSON_PATCH, json.dumps(COPIES)),
    "many operations": ("PATCH", JSON_PATCH, json.dumps([{"op": "test"}] * 10_001)),
    "a long merge": ("PATCH", STRATEGIC_MERGE_PATCH, json.dumps({"spec": {"containers": CONTAINERS}})),
    "long lists": ("POST", JSON, json.dumps(LONG)),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_request_of_megabytes_does_not_keep_the_server_busy(pod: Api, name: str) -> None:
    """Each took seconds to minutes of computing, in which nobody else was served."""
    method, kind, body = ATTACKS[name]
    path = PODS if method == "POST" else f"{PODS}/p"
    began = time.process_time()
    status, answer = await pod.ask(method, path, body.encode(), kind=kind)
    assert time.process_time() - began < 10
    assert 400 <= status < 500, answer
    assert answer["message"]


def test_a_long_label_selector_is_read_in_one_pass() -> None:
    assert parse_labels(",".join("k" for _ in range(30_000)))({"metadata": {"labels": {"k": ""}}})


async def test_a_body_is_limited(api: Api) -> None:
    answer = await api.fails("POST", PODS, b'"' + b"x" * (3 << 20))
    assert answer["code"] == 413


async def test_a_websocket_message_is_limited(pod: Api) -> None:
    query = [("command", "cat"), ("stdin", "true"), ("stdout", "true")]
    async with pod.session.ws_connect(
        pod.path(f"{PODS}/p/exec"), protocols=(channels.V4,), params=query
    ) as socket:
        await socket.send_bytes(bytes(channels.LARGEST_MESSAGE + 1))
        async with asyncio.timeout(DEADLINE_S):
            while not (await socket.receive()).type.name.startswith("CLOS"):
                pass


async def test_heads_and_connections_are_limited_before_authentication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 20)
    async with running(tmp_path) as api:
        url = api.session._base_url
        assert url is not None
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await asyncio.open_connection(url.host, url.port, ssl=context)

        async with asyncio.timeout(DEADLINE_S):
            reader, writer = await connect()
            writer.write(b"GET /api HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % i for i in range(100)) + b"\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()
            held, refused = [], 0
            for _ in range(30):
                try:
                    held.append(await connect())
                except (ConnectionError, ssl.SSLError):
                    refused += 1
            assert refused >= 9
            for _, writer in held:
                writer.close()
            while True:
                try:
                    _, writer = await connect()
                except (ConnectionError, ssl.SSLError):
                    continue
                writer.close()
                break
