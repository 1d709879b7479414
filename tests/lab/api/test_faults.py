"""Faults on demand do what their annotation says, and nothing without it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from netprobe.lab.api import channels
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.store import StoredChange
from tests.lab.api.conftest import Api

PODS_PATH = "/api/v1/namespaces/{namespace}/pods"
NOTHING = [(-1, b"")]
"""The connection ends without a close, or the time is over."""


async def frames(api: Api, name: str, fault: str, script: str, within_s: float) -> list[tuple[int, bytes]]:
    """What comes of an exec until the connection ends, or the time."""
    await api.pod(name, annotations={"netprobe.dev/fault-exec": fault})
    await api.ready(name)
    path = api.path(f"{PODS_PATH}/{name}/exec")
    query = [("command", word) for word in ("sh", "-c", script)] + [("stdout", "true")]
    seen: list[tuple[int, bytes]] = []
    try:
        async with (
            asyncio.timeout(within_s),
            api.session.ws_connect(path, protocols=(channels.V4,), params=query) as socket,
        ):
            seen += [(message.data[0], message.data[1:]) async for message in socket]
    except (TimeoutError, aiohttp.ClientError):
        seen += NOTHING
    return seen


async def test_faults_of_an_exec(api: Api) -> None:
    echo = "echo hello"
    none, breaks, hangs, loses_status, late = await asyncio.gather(
        frames(api, "none", "", echo, 60),
        frames(api, "breaks", "breaks", f"{echo}; exec sleep 60", 60),
        frames(api, "hangs", "hangs", echo, 0.5),
        frames(api, "loses-status", "loses-status", echo, 60),
        frames(api, "late", "late=600", echo, 0.5),
    )
    assert [channel for channel, _ in none] == [1, 3]
    assert breaks in ([], NOTHING)
    assert hangs == NOTHING
    assert loses_status == [(1, b"hello\n")]
    assert late == NOTHING


async def set_fault(api: Api, fault: str) -> None:
    change = {"metadata": {"annotations": {"netprobe.dev/fault-api": fault}}}
    await api.ok("PATCH", "/api/v1/namespaces/{namespace}", change, kind="application/merge-patch+json")


@pytest.mark.parametrize(("fault", "code"), [("429/3", 429), ("500/3", 500)])
async def test_each_third_request_fails(api: Api, fault: str, code: int) -> None:
    await set_fault(api, fault)
    statuses = [(await api.ask("GET", PODS_PATH))[0] for _ in range(6)]
    assert sorted(statuses) == [200, 200, 200, 200, code, code]
    assert statuses[0:3] == statuses[3:6]
    assert (await api.ask("GET", "/api/v1/namespaces/default/pods"))[0] == 200


async def test_a_request_that_is_never_answered(api: Api) -> None:
    await set_fault(api, "hang/1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await api.get(PODS_PATH)


async def test_a_watch_that_is_cut(api: Api) -> None:
    await set_fault(api, "watch/0.2")
    async with asyncio.timeout(60):
        async with api.session.get(api.path(PODS_PATH), params={"watch": "true"}) as response:
            with pytest.raises(aiohttp.ClientError):
                await response.read()


async def test_a_pod_that_restarts_has_another_address(api: Api) -> None:
    lives: set[tuple[int, str, str]] = set()

    def note(change: StoredChange) -> None:
        if change.resource is PODS and change.key.namespace == api.namespace:
            pod = change.now.object
            if pod["status"]["phase"] == "Running":
                restarts = pod["status"]["containerStatuses"][0]["restartCount"]
                lives.add((restarts, pod["metadata"]["uid"], pod["status"]["podIP"]))

    api.server.store.listen(note)
    await api.pod("p", annotations={"netprobe.dev/fault-restart": "0.2"})
    await api.until(f"{PODS_PATH}/p", lambda _: any(restarts for restarts, _, _ in lives))
    first, second = sorted(lives)
    assert (first[0], second[0]) == (0, 1)
    assert first[1] == second[1], "the same pod"
    assert first[2] != second[2]
