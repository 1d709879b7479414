"""Faults on demand do what their annotation says, and nothing without it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from netprobe.lab.api import streams
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.store import Change
from tests.lab.api.conftest import Api

EXEC = "/api/v1/namespaces/default/pods/p/exec"


async def frames(api: Api, fault: str, script: str, *, within_s: float = 60.0) -> list[tuple[int, bytes]]:
    """What comes of an exec until the connection ends, or the time."""
    await api.pod("default", "p", annotations={"netprobe.dev/fault-exec": fault})
    await api.ready("default", "p")
    asked = [("command", word) for word in ("sh", "-c", script)] + [("stdout", "true")]
    seen: list[tuple[int, bytes]] = []
    try:
        async with (
            asyncio.timeout(within_s),
            api.session.ws_connect(EXEC, protocols=(streams.V4,), params=asked) as socket,
        ):
            seen += [(message.data[0], message.data[1:]) async for message in socket]
    except (TimeoutError, aiohttp.ClientError):
        seen.append((-1, b""))
    return seen


async def test_an_exec_without_a_fault(api: Api) -> None:
    assert [channel for channel, _ in await frames(api, "", "echo hello")] == [1, 3]


async def test_an_exec_that_breaks(api: Api) -> None:
    assert [channel for channel, _ in await frames(api, "breaks", "echo hello; exec sleep 60")] in ([], [-1])


async def test_an_exec_that_hangs(api: Api) -> None:
    assert await frames(api, "hangs", "echo hello", within_s=0.5) == [(-1, b"")]


async def test_an_exec_that_loses_its_status(api: Api) -> None:
    assert await frames(api, "loses-status", "echo hello") == [(1, b"hello\n")]


async def test_an_exec_that_is_late(api: Api) -> None:
    assert await frames(api, "late=600", "echo hello", within_s=0.5) == [(-1, b"")]


@pytest.mark.parametrize(("fault", "code"), [("429/3", 429), ("500/3", 500)])
async def test_each_third_request_fails(api: Api, fault: str, code: int) -> None:
    metadata = {"name": "bad", "annotations": {"netprobe.dev/fault-api": fault}}
    await api.ok("POST", "/api/v1/namespaces", {"metadata": metadata})
    statuses = [(await api.ask("GET", "/api/v1/namespaces/bad/pods"))[0] for _ in range(6)]
    assert sorted(statuses) == [200, 200, 200, 200, code, code]
    assert statuses[0:3] == statuses[3:6]
    assert (await api.ask("GET", "/api/v1/namespaces/default/pods"))[0] == 200


async def test_a_request_that_is_never_answered(api: Api) -> None:
    metadata = {"name": "bad", "annotations": {"netprobe.dev/fault-api": "hang/1"}}
    await api.ok("POST", "/api/v1/namespaces", {"metadata": metadata})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await api.get("/api/v1/namespaces/bad/pods")


async def test_a_watch_that_is_cut(api: Api) -> None:
    metadata = {"name": "bad", "annotations": {"netprobe.dev/fault-api": "watch/0.2"}}
    await api.ok("POST", "/api/v1/namespaces", {"metadata": metadata})
    async with asyncio.timeout(60):
        async with api.session.get("/api/v1/namespaces/bad/pods", params={"watch": "true"}) as response:
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_a_pod_that_restarts_has_another_address(api: Api) -> None:
    lives: list[tuple[str, int, str]] = []

    def note(change: Change) -> None:
        if change.resource is PODS and change.now.object["status"]["phase"] == "Running":
            pod = change.now.object
            restarts = pod["status"]["containerStatuses"][0]["restartCount"]
            lives.append((pod["metadata"]["uid"], restarts, pod["status"]["podIP"]))

    api.server.store.listen(note)
    await api.pod("default", "p", annotations={"netprobe.dev/fault-restart": "0.2"})
    path = "/api/v1/namespaces/default/pods/p"
    await api.until(path, lambda _: any(restarts for _, restarts, _ in lives))
    (first, second) = sorted(set(lives), key=lambda life: life[1])
    assert second[0] == first[0]
    assert (first[1], second[1]) == (0, 1)
    assert first[2] != second[2]
