"""The client against a server that speaks HTTP for real and says what the test wants."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from aiohttp import WSMsgType, web

from netprobe.errors import (
    ClusterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnreachableError,
    UsageError,
)
from netprobe.kube import client, connect, transport
from netprobe.kube import exec as kube_exec
from netprobe.probe.api import ExecResult
from netprobe.probe.ownership import TOKEN
from tests.kube.server import serving, write_kubeconfig

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "x"}, "spec": {"unknown": 1}}


def reply(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries, which are noted and not waited for."""
    noted: list[float] = []

    async def note(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr(transport.REQUESTS, "sleep", note)
    monkeypatch.setattr(transport.EXECS, "sleep", note)
    return noted


async def test_objects_go_both_ways_as_they_are(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return reply(await request.json())

    async with serving(handler, tmp_path) as (cluster, asked):
        assert await cluster.create(POD) == POD, "fields that no model knows are kept"
        await cluster.patch("Lease", "../a", "x", {})
        await cluster.patch("Namespace", "x", None, {})
    assert asked.requests == [
        "POST /api/v1/namespaces/x/pods",
        "PATCH /apis/coordination.k8s.io/v1/namespaces/x/leases/..%2Fa",
        "PATCH /api/v1/namespaces/x",
    ]
    assert asked.headers[0]["Authorization"] == "Bearer t0ken-of-the-test"


async def test_a_list_is_read_page_by_page(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        last = request.query.get("continue") == "more"
        items = [{"metadata": {"name": "b" if last else "a"}}]
        return reply({"metadata": {} if last else {"continue": "more"}, "items": items})

    async with serving(handler, tmp_path) as (cluster, asked):
        pods = await cluster.find("Pod", None, {"netprobe.dev/run": None, "app": "web"})
    assert [pod["metadata"]["name"] for pod in pods] == ["a", "b"]
    assert {(pod["apiVersion"], pod["kind"]) for pod in pods} == {("v1", "Pod")}
    assert "labelSelector=netprobe.dev/run,app=web" in unquote(asked.requests[0])


async def test_429_is_waited_for_as_long_as_the_server_asks(tmp_path: Path, waits: list[float]) -> None:
    answers = [reply({}, 429, **{"Retry-After": "3"}), reply({}, 429), reply({}, 503), reply(POD)]

    async def handler(_: web.Request) -> web.Response:
        return answers.pop(0)

    async with serving(handler, tmp_path) as (cluster, asked):
        assert await cluster.get("Pod", "a", "x") == POD
    assert len(asked.requests) == 4
    assert waits[0] == 3
    assert waits[1] < waits[2] < 1


@pytest.mark.parametrize(
    ("status", "tries", "sentence"),
    [
        pytest.param(429, 6, "fewer requests: away", id="nothing was done: repeated, but not for ever"),
        pytest.param(500, 1, "it failed: away", id="something may have been done: not repeated"),
    ],
)
async def test_what_is_repeated(
    tmp_path: Path, waits: list[float], status: int, tries: int, sentence: str
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return reply({"message": "away"}, status)

    async with serving(handler, tmp_path) as (cluster, asked):
        with pytest.raises(ClusterError, match=sentence):
            await cluster.create(POD)
    assert len(asked.requests) == tries == len(waits) + 1


async def faulty(request: web.Request, fault: int | str, answer: Any) -> web.StreamResponse:
    """Answer with a status, or break off: before the answer, within it, or so that it looks whole."""
    if isinstance(fault, int):
        return reply({"message": "a fault"}, fault)
    text = json.dumps(answer).encode()
    response = web.StreamResponse()
    assert request.transport is not None
    if fault == "half":
        return web.Response(body=text[:-3], content_type="application/json")
    if fault == "short":
        response.content_length = len(text)
        await response.prepare(request)
        await response.write(text[:-3])
    request.transport.abort()
    return response


CALLS: dict[str, Callable[[client.KubeCluster], Awaitable[Any]]] = {
    "get": lambda cluster: cluster.get("Pod", "a", "x"),
    "list": lambda cluster: cluster.find("Pod", "x"),
    "delete": lambda cluster: cluster.delete("Pod", "a", "x"),
    "delete all": lambda cluster: cluster.delete_all("Pod", "x", {"a": "b"}),
    "merge patch": lambda cluster: cluster.patch("Pod", "a", "x", {}),
    "update of a version": lambda cluster: cluster.replace(
        {**POD, "metadata": {**POD["metadata"], "resourceVersion": "7"}}  # type: ignore[dict-item]
    ),
    "review": lambda cluster: cluster.create({"kind": "SelfSubjectReview", "metadata": {}}),
    "raw": lambda cluster: cluster.raw("/version"),
}


FAULTS: list[int | str] = [500, 502, 504, "cut", "short", "half"]


@pytest.mark.parametrize(
    ("call", "fault"), [*((call, 500) for call in CALLS), *(("get", fault) for fault in FAULTS[1:])]
)
async def test_what_may_be_sent_twice_is_repeated(
    tmp_path: Path, waits: list[float], call: str, fault: int | str
) -> None:
    faults = [fault] * (2 if fault == "cut" else 1)  # aiohttp repeats some of what was cut by itself

    async def handler(request: web.Request) -> web.StreamResponse:
        return await faulty(request, faults.pop(), POD) if faults else reply(POD)

    async with serving(handler, tmp_path) as (cluster, asked):
        await CALLS[call](cluster)
    assert not faults
    assert waits
    assert len(set(asked.requests)) == 1


async def test_an_answer_without_an_end_is_named(tmp_path: Path, waits: list[float]) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await faulty(request, "half", POD)

    async with serving(handler, tmp_path) as (cluster, _):
        for call in (cluster.raw("/version"), cluster.create(POD)):
            with pytest.raises(ClusterError, match="the API server's answer was cut off"):
                await call
    assert len(waits) == 2, "a create without a token is not repeated"


MINE = {**POD, "metadata": {**POD["metadata"], "annotations": {TOKEN: "mine"}}}  # type: ignore[dict-item]
THEIRS = {**POD, "metadata": {**POD["metadata"], "annotations": {TOKEN: "theirs"}}}  # type: ignore[dict-item]
GOING = {**MINE, "metadata": {**MINE["metadata"], "deletionTimestamp": "now"}}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("there", "requests", "fault"),
    [
        *(pytest.param(MINE, "POST GET", fault, id=f"it took effect: {fault}") for fault in FAULTS),
        pytest.param(None, "POST GET POST", 500, id="it did not"),
        pytest.param(THEIRS, "POST GET POST GET", "cut", id="the name is taken"),
        pytest.param(GOING, "POST GET POST GET", "half", id="one of the run is still going"),
    ],
)
async def test_a_failed_create_is_looked_for_by_its_token(
    tmp_path: Path, waits: list[float], fault: int | str, there: Any, requests: str
) -> None:
    faults = [fault]

    async def handler(request: web.Request) -> web.StreamResponse:
        if faults:
            return await faulty(request, faults.pop(), MINE)
        if request.method == "POST":
            return reply({"message": "exists"}, 409) if there else reply(MINE, 201)
        return reply(there) if there else reply({"message": "not found"}, 404)

    async with serving(handler, tmp_path) as (cluster, asked):
        if there in (None, MINE):
            assert await cluster.create(MINE) == MINE
        else:
            with pytest.raises(ConflictError):
                await cluster.create(MINE)
    assert [request.split()[0] for request in asked.requests] == requests.split()
    assert len(waits) == 1


async def test_a_server_that_restarts_is_waited_for_and_one_that_never_answered_is_not(
    tmp_path: Path, waits: list[float]
) -> None:
    async def handler(_: web.Request) -> web.Response:
        return reply(POD)

    async with serving(handler, tmp_path) as (cluster, asked):
        await cluster.get("Pod", "a", "x")
        server = cluster._transport.client.configuration.host
        cluster._transport.client.configuration.host = "http://127.0.0.1:1"
        with pytest.raises(UnreachableError, match="no connection to"):
            await cluster.get("Pod", "a", "x")
        assert sum(waits) >= transport.RECONNECT_S
        cluster._transport.client.configuration.host = server
        await cluster.create(POD)
    assert len(asked.requests) == 2


async def test_an_expired_token_is_renewed_once(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        fresh = request.headers["Authorization"] == "Bearer fresh"
        if not fresh:
            write_kubeconfig(tmp_path / "kubeconfig", str(request.url.origin()), "fresh")
        return reply(POD) if fresh else reply({"message": "Unauthorized"}, 401)

    async with serving(handler, tmp_path) as (cluster, asked):
        assert await cluster.get("Pod", "a", "x") == POD
    assert len(asked.requests) == 2


async def test_credentials_that_stay_refused_say_what_to_do_and_not_the_token(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return reply({"message": "Unauthorized"}, 401)

    async with serving(handler, tmp_path) as (cluster, asked):
        with pytest.raises(ForbiddenError, match="log in again") as caught:
            await cluster.get("Pod", "a", "x")
    assert len(asked.requests) == 2
    assert "t0ken" not in str(caught.value)


async def test_a_server_that_hangs_is_left_at_the_deadline(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(handler, tmp_path) as (cluster, _):
        cluster._transport.timeout_s = 0.05
        with pytest.raises(UnreachableError, match=r"cannot get pods/a in x: no answer .* in time"):
            await cluster.get("Pod", "a", "x")


async def test_an_answer_that_is_not_json_is_an_error_without_traceback(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="<html>login here</html>", content_type="text/html")

    async with serving(handler, tmp_path) as (cluster, _):
        with pytest.raises(ClusterError, match="is it an API server"):
            await cluster.get("Pod", "a", "x")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no such kubeconfig"),
        ("", "not a readable kubeconfig|cannot use the current context"),
        ("- s3cret", "not a readable kubeconfig|cannot use"),
        ("a: [s3cret", "not a readable kubeconfig"),
        ("{apiVersion: v1, kind: Config, clusters: [], users: [], contexts: []}", "cannot use"),
    ],
)
async def test_kubeconfigs_that_cannot_be_used(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "k"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=sentence) as caught:
        async with connect(path):
            raise AssertionError("connected")
    assert "s3cret" not in str(caught.value), "a kubeconfig holds secrets"


def test_without_any_kubeconfig_there_is_one_sentence_and_none_of_the_client(tmp_path: Path) -> None:
    """In a process of its own: the client library reads $KUBECONFIG when it is imported."""
    named = f"{tmp_path}/a:{tmp_path}/b"
    command = [sys.executable, "-m", "netprobe", "doctor", "--context", "prod"]
    environ = os.environ | {"KUBECONFIG": named}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    sentence = f"no kubeconfig found ({named}): use --kubeconfig or set $KUBECONFIG"
    assert (done.returncode, done.stderr) == (2, f"netprobe: {sentence}\n")


async def test_apply_creates_or_replaces_what_is_there(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.method == "POST":
            return reply({"message": "exists"}, 409)
        if request.method == "GET":
            return reply({**POD, "metadata": {**POD["metadata"], "resourceVersion": "7"}})  # type: ignore[dict-item]
        return reply(await request.json())

    async with serving(handler, tmp_path) as (cluster, asked):
        done = await cluster.apply(POD)
    assert done["metadata"]["resourceVersion"] == "7", "only if nobody has changed it meanwhile"
    assert [request.split()[0] for request in asked.requests] == ["POST", "GET", "PUT"]


def event(kind: str, name: str, version: str) -> bytes:
    obj = {"kind": "Pod", "metadata": {"name": name, "resourceVersion": version}}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


async def test_a_watch_continues_over_lost_connections_and_expired_versions(tmp_path: Path) -> None:
    gone = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}\n'
    streams = [
        event("ADDED", "b", "2") + event("BOOKMARK", "", "5"),
        event("MODIFIED", "b", "6") * 2 + event("MODIFIED", "b", "7")[:-9],
        event("MODIFIED", "b", "7") + gone,
        event("DELETED", "b" * 300_000, "9"),
    ]

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return reply({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "a"}}]})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(streams.pop(0))
        return response

    seen = []
    async with serving(handler, tmp_path) as (cluster, asked), aclosing(cluster.watch("Pod", "x")) as events:
        async for one in events:
            seen.append(f"{one.type} {one.object['metadata']['name']}")
            if one.type == "DELETED":
                break
    seen[-1] = seen[-1][:9]  # a line longer than any buffer
    assert seen == ["ADDED a", "ADDED b", "MODIFIED b", "MODIFIED b", "ADDED a", "DELETED b"]
    versions = [request.partition("resourceVersion=")[2].partition("&")[0] for request in asked.requests]
    assert versions == ["", "1", "5", "6", "", "1"]


@pytest.mark.parametrize("fault", [500, 410, 429])
async def test_a_watch_that_is_refused_is_opened_again(tmp_path: Path, fault: int) -> None:
    faults = [fault]

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return reply({"metadata": {"resourceVersion": "1"}, "items": []})
        if faults:
            return await faulty(request, faults.pop(), {})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(event("ADDED", "a", "2"))
        return response

    async with serving(handler, tmp_path) as (cluster, _), aclosing(cluster.watch("Pod", "x")) as events:
        assert (await anext(events)).object["metadata"]["name"] == "a"


async def test_a_list_that_expires_between_two_pages_begins_again(tmp_path: Path) -> None:
    faults = [410]

    async def handler(request: web.Request) -> web.StreamResponse:
        last = "continue" in request.query
        if last and faults:
            return await faulty(request, faults.pop(), {})
        items = [{"metadata": {"name": "b" if last else "a"}}]
        return reply({"metadata": {} if last else {"continue": "more"}, "items": items})

    async with serving(handler, tmp_path) as (cluster, _):
        assert [pod["metadata"]["name"] for pod in await cluster.find("Pod")] == ["a", "b"]


@pytest.mark.parametrize(
    ("tries", "ends"),
    [
        pytest.param(["cut", "answer", "cut", "answer", "cut", "event"], False, id="answered in between"),
        pytest.param(["cut"] * 4, True, id="nobody there"),  # aiohttp tries a kept connection twice
    ],
)
async def test_a_watch_that_reaches_nobody_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tries: list[str], *, ends: bool
) -> None:
    monkeypatch.setattr(client, "LOST_S", 0.05)  # less than the pause between two tries

    async def handler(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return reply({"metadata": {"resourceVersion": "1"}, "items": []})
        what = tries.pop(0)
        response = web.StreamResponse()
        if what == "cut":
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.prepare(request)
        if what == "event":
            await response.write(event("ADDED", "a", "2"))
        return response

    async with serving(handler, tmp_path) as (cluster, _), aclosing(cluster.watch("Pod", "x")) as events:
        if ends:
            with pytest.raises(UnreachableError, match="watch pods in x"):
                await anext(events)
        else:
            assert (await anext(events)).object["metadata"]["name"] == "a"


async def exec_handler(request: web.Request) -> web.StreamResponse:
    if request.path.endswith("/gone/exec"):
        return reply({"message": 'pods "gone" not found'}, 404)
    if request.path.endswith("/broken/exec"):
        return reply({"message": "error dialing backend"}, 500)
    socket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
    await socket.prepare(request)
    async for message in socket:
        assert message.type is WSMsgType.BINARY
        assert message.data[0] == 0
        await socket.send_bytes(b"\x01" + message.data[1:])
        if message.data.endswith(b".\n"):
            break
    if not request.path.endswith("/cut/exec"):
        await socket.send_bytes(b'\x03{"status": "Success"}')
    await socket.close()
    return socket


async def test_an_exec_is_written_to_and_read_line_by_line(tmp_path: Path) -> None:
    async with serving(exec_handler, tmp_path) as (cluster, asked):
        async with cluster.exec("x", "a", "probe", ["sh", "-c", "true"]) as execution:
            await execution.send("one\n")
            await execution.send("zwölf\n.\n")
            assert [line async for line in execution.lines()] == ["one", "zwölf", "."]
        assert execution.finished == ExecResult(0)
    assert asked.requests[0].startswith(
        "GET /api/v1/namespaces/x/pods/a/exec?command=sh&command=-c&command=true"
    )


@pytest.mark.parametrize(
    ("pod", "error", "sentence", "tries"),
    [
        pytest.param("gone", NotFoundError, r"cannot exec in x/gone .*no such pod", 1, id="gone"),
        pytest.param("broken", ClusterError, "it failed", transport.TRIES, id="not started: opened again"),
    ],
)
async def test_an_exec_that_does_not_open(  # noqa: PLR0917
    tmp_path: Path, waits: list[float], pod: str, error: type[ClusterError], sentence: str, tries: int
) -> None:
    async with serving(exec_handler, tmp_path) as (cluster, asked):
        with pytest.raises(error, match=sentence):
            async with cluster.exec("x", pod, "probe", ["sh"]):
                raise AssertionError("entered")
    assert len(asked.requests) == tries == len(waits) + 1


async def test_an_exec_renews_an_expired_token_too(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer fresh":
            return await exec_handler(request)
        write_kubeconfig(tmp_path / "kubeconfig", str(request.url.origin()), "fresh")
        return reply({"message": "Unauthorized"}, 401)

    async with (
        serving(handler, tmp_path) as (cluster, asked),
        cluster.exec("x", "a", "probe", ["sh"]) as execution,
    ):
        await execution.send(".\n")
        assert [line async for line in execution.lines()] == ["."]
    assert len(asked.requests) == 2


async def test_closing_an_exec_does_not_wait_for_a_server_that_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoclose=False)
        await socket.prepare(request)
        await asyncio.Event().wait()
        return socket

    monkeypatch.setattr(kube_exec, "_CLOSE_S", 0.05)
    async with (
        serving(handler, tmp_path) as (cluster, _),
        asyncio.timeout(60),
        cluster.exec("x", "a", "probe", ["sh"]),
    ):
        pass


def test_a_burst_and_then_a_rate() -> None:
    limit = transport.RateLimit(10, 3)
    assert [round(limit.reserve(0), 3) for _ in range(6)] == [0, 0, 0, 0.1, 0.2, 0.3]
