"""Watches and lists: nothing lost, nothing twice, everything in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

MAPS = "/api/v1/namespaces/{namespace}/configmaps"
PODS = "/api/v1/namespaces/{namespace}/pods"
MERGE = "application/merge-patch+json"


@asynccontextmanager
async def watching(api: Api, path: str, **query: str) -> AsyncIterator[AsyncIterator[Object]]:
    """The events of a watch as they come."""

    async def events(response: aiohttp.ClientResponse) -> AsyncIterator[Object]:
        async for line in response.content:
            yield json.loads(line)

    async with api.session.get(api.path(path), params={"watch": "true", **query}) as response:
        assert response.status == 200, await response.text()
        yield events(response)


async def take(events: AsyncIterator[Object], count: int) -> list[Object]:
    async with asyncio.timeout(60):
        return [await anext(events) for _ in range(count)]


def summary(events: list[Object]) -> list[str]:
    return [f"{event['type']} {event['object']['metadata'].get('name', '')}".strip() for event in events]


async def put(api: Api, name: str, labels: dict[str, str] | None = None) -> Object:
    return await api.ok("POST", MAPS, {"metadata": {"name": name, "labels": labels or {}}})


async def now(api: Api) -> str:
    return str((await api.get(MAPS))["metadata"]["resourceVersion"])


async def test_a_watch_sends_the_state_and_then_the_changes(api: Api) -> None:
    await api.until(f"{MAPS}/kube-root-ca.crt", bool)
    await put(api, "a")
    async with watching(api, MAPS, labelSelector="!x") as events:
        assert summary(await take(events, 2)) == ["ADDED a", "ADDED kube-root-ca.crt"]
        await put(api, "b")
        await api.ok("PATCH", f"{MAPS}/b", {"data": {"k": "v"}}, kind=MERGE)
        await api.ok("DELETE", f"{MAPS}/b")
        assert summary(await take(events, 3)) == ["ADDED b", "MODIFIED b", "DELETED b"]


async def test_an_object_that_starts_to_match_is_added_and_one_that_stops_is_deleted(api: Api) -> None:
    await put(api, "a")
    async with watching(api, MAPS, resourceVersion=await now(api), labelSelector="on=1") as events:
        for labels in ({"on": "1"}, {"on": "1", "more": "1"}, {"on": None}, {"on": "1"}):
            await api.ok("PATCH", f"{MAPS}/a", {"metadata": {"labels": labels}}, kind=MERGE)
        await api.ok("DELETE", f"{MAPS}/a")
        assert summary(await take(events, 5)) == [
            "ADDED a",
            "MODIFIED a",
            "DELETED a",
            "ADDED a",
            "DELETED a",
        ]


async def test_many_watchers_see_the_same_while_many_write(api: Api) -> None:
    revision = await now(api)
    writers, each = 4, 15

    async def write(who: int) -> None:
        for number in range(each):
            await put(api, f"w{who}-{number}")

    async def watch() -> list[tuple[str, int]]:
        async with watching(api, MAPS, resourceVersion=revision, fieldSelector="metadata.name!=x") as events:
            seen = [e["object"]["metadata"] for e in await take(events, writers * each)]
        return [(m["name"], int(m["resourceVersion"])) for m in seen if m["name"] != "kube-root-ca.crt"]

    watchers = [asyncio.create_task(watch()) for _ in range(4)]
    await asyncio.gather(*(write(who) for who in range(writers)))
    watched = await asyncio.gather(*watchers)
    first = watched[0]
    assert all(other == first for other in watched)
    revisions = [revision for _, revision in first]
    assert revisions == sorted(set(revisions))
    for who in range(writers):
        mine = [name for name, _ in first if name.startswith(f"w{who}-")]
        assert mine == [f"w{who}-{number}" for number in range(len(mine))]
        assert mine


async def test_pages_show_one_revision(api: Api) -> None:
    for number in range(7):
        await put(api, f"m{number}", {"page": "1"})
    query = {"limit": "3", "labelSelector": "page"}
    first = await api.get(MAPS, **query)
    await put(api, "m0-late", {"page": "1"})
    assert first["metadata"]["remainingItemCount"] == 4
    second = await api.get(MAPS, **query, **{"continue": first["metadata"]["continue"]})
    third = await api.get(MAPS, **query, **{"continue": second["metadata"]["continue"]})
    names = [item["metadata"]["name"] for page in (first, second, third) for item in page["items"]]
    assert names == [f"m{number}" for number in range(7)]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }
    assert "continue" not in third["metadata"]
    assert all("kind" not in item for item in first["items"])
    await api.ok("DELETE", MAPS, labelSelector="page")
    assert (await api.get(MAPS, labelSelector="page"))["items"] == []
    nonsense = await api.fails("GET", MAPS, **{"continue": "nonsense"})
    assert nonsense["code"] == 410, "like a page that is no longer remembered"


SELECTIONS = [
    ("labelSelector", "app=a", "a1 a2"),
    ("labelSelector", "app==a,v=1", "a1"),
    ("labelSelector", "app!=a", "b1 none"),
    ("labelSelector", "app in (a, b),v=1", "a1 b1"),
    ("labelSelector", "app notin (a)", "b1 none"),
    ("labelSelector", "app", "a1 a2 b1"),
    ("labelSelector", "!app", "none"),
    ("fieldSelector", "metadata.name=a1", "a1"),
    ("fieldSelector", "metadata.name!=a1,metadata.namespace={namespace}", "a2 b1 none"),
    ("fieldSelector", "spec.nodeName=n1", "a1"),
    ("fieldSelector", "status.phase!=Running", "none"),
    ("fieldSelector", "spec.nodeName=", "none"),
]


async def test_selectors(api: Api) -> None:
    for name, labels, node in (
        ("a1", {"app": "a", "v": "1"}, "n1"),
        ("a2", {"app": "a", "v": "2"}, "n2"),
        ("b1", {"app": "b", "v": "1"}, "n2"),
        ("none", {}, "nowhere"),
    ):
        await api.pod(name, {"nodeSelector": {"kubernetes.io/hostname": node}}, labels=labels)
    for name in ("a1", "a2", "b1"):
        await api.ready(name)
    for kind, text, names in SELECTIONS:
        found = await api.get(PODS, **{kind: api.path(text)})
        assert " ".join(item["metadata"]["name"] for item in found["items"]) == names, text


async def test_an_invalid_selector(api: Api) -> None:
    for query in ({"labelSelector": "a in"}, {"fieldSelector": "spec.hostname=x"}, {"fieldSelector": "a"}):
        assert (await api.fails("GET", MAPS, **query))["reason"] == "BadRequest"
    assert (await api.fails("GET", MAPS, resourceVersion="1000000000"))["code"] == 504
