"""Watches: a watcher reads the store's history from a revision on (see store.py), line by line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests, table
from netprobe.lab.api.lists import selection
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.selectors import Test
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import Change, Store, Stored

_BOOKMARK_EVERY_S = 60.0
_INITIAL_END = {"k8s.io/initial-events-end": "true"}


class WatchStream:
    """Changes as the lines of one watch.

    An object that starts to match the selector is ADDED, one that stops matching is DELETED. `include` None:
    the changes carry objects; otherwise they carry tables (see table.py).
    """

    def __init__(self, resource: Resource, namespace: str, test: Test, include: str | None) -> None:
        self._resource = resource
        self._namespace = namespace
        self._test = test
        self._include = include
        self._columns = True  # the columns of a table are sent once

    def lines(self, change: Change) -> Iterator[bytes]:
        if self._namespace and change.key.namespace != self._namespace:
            return
        before = change.before is not None and self._test(change.before.object)
        now = change.type != "DELETED" and self._test(change.now.object)
        if now:
            yield self.line("MODIFIED" if before else "ADDED", change.now)
        elif before:
            yield self.line("DELETED", change.now)

    def line(self, type_: str, stored: Stored) -> bytes:
        if self._include is None:
            return b'{"type":"%s","object":%s}\n' % (type_.encode(), stored.json)
        metadata = {"resourceVersion": str(stored.revision)}
        columns, self._columns = self._columns, False
        return _line(type_, table.of_list(self._resource, [stored], metadata, self._include, columns=columns))

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata: dict[str, Any] = {"resourceVersion": str(revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        if self._include is not None:
            return _line("BOOKMARK", table.empty(metadata))
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        return _line("BOOKMARK", obj)


def _line(type_: str, obj: Any) -> bytes:
    return json.dumps({"type": type_, "object": obj}, separators=(",", ":")).encode() + b"\n"


async def watch(
    request: web.BaseRequest, store: Store, target: Target, *, cut_after_s: float = 0.0
) -> web.StreamResponse:
    """Answer a watch request until its time is over, the client leaves, or its place is forgotten.

    `cut_after_s`: a fault on demand, 0 for none.
    """
    since = requests.number(request, "resourceVersion", 0)
    if since > store.revision:
        text = f"Too large resource version: {since}, current: {store.revision}"
        raise ApiError(504, "Timeout", text, retry_after_s=1)
    test = selection(request, target)
    include = requests.included(request) if requests.as_table(request) else None
    stream = WatchStream(target.resource, target.namespace, test, include)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    seen = store.revision
    if requests.flag(request, "sendInitialEvents") or (
        "sendInitialEvents" not in request.query and not since
    ):
        state = [s for s in store.items(target.resource, target.namespace) if test(s.object)]
        lines = [stream.line("ADDED", stored) for stored in state]
        if "sendInitialEvents" in request.query:
            lines.append(stream.bookmark(seen, _INITIAL_END))
        await response.write(b"".join(lines))
    else:
        seen = since or seen
    bookmarks = requests.flag(request, "allowWatchBookmarks")
    seconds = requests.number(request, "timeoutSeconds", 0) or random.randint(1800, 3600)  # noqa: S311
    sending = _send_changes(
        response, store, target.resource, stream, seen=seen, seconds=seconds, bookmarks=bookmarks
    )
    if not cut_after_s:
        await sending
        return response
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(sending, cut_after_s)
    if request.transport is not None:
        request.transport.abort()
    return response


async def _send_changes(
    response: web.StreamResponse,
    store: Store,
    resource: Resource,
    stream: WatchStream,
    *,
    seen: int,
    seconds: float,
    bookmarks: bool,
) -> None:
    """Send what comes after the revision `seen`, for some seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    next_bookmark = loop.time() + _BOOKMARK_EVERY_S if bookmarks else end
    while True:
        try:
            changes = store.since(resource, seen)
        except ApiError as error:
            await response.write(_line("ERROR", error.status()))
            return
        lines = [line for change in changes for line in stream.lines(change)]
        # Whatever happens to other kinds, nothing of this one up to now is unread.
        seen = max(seen, store.revision)
        if bookmarks and loop.time() >= min(next_bookmark, end):
            next_bookmark = loop.time() + _BOOKMARK_EVERY_S
            lines.append(stream.bookmark(seen))
        if lines:
            await response.write(b"".join(lines))
        if loop.time() >= end:
            return
        if store.newest(resource) <= seen:
            change = store.wait(resource)
            try:
                await asyncio.wait([change], timeout=max(0.0, min(end, next_bookmark) - loop.time()))
            finally:
                change.cancel()
