"""Lists and watches: which objects a client sees, and in which form.

A watcher reads the store's history from a revision on (see store.py), line by line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests, selectors, table
from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.selectors import Test
from netprobe.lab.api.status import ApiError, expired
from netprobe.lab.api.store import Store, Stored, StoredChange

_PAGES_KEPT = 64
_INITIAL_END = {"k8s.io/initial-events-end": "true"}
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You must start a new "
    "list without the continue parameter."
)


def selection(request: web.BaseRequest) -> Test:
    """The test that labelSelector and fieldSelector make up together."""
    tests: list[Test] = []
    if text := request.query.get("labelSelector", ""):
        tests.append(selectors.parse_labels(text))
    if text := request.query.get("fieldSelector", ""):
        tests.append(selectors.parse_fields(text))
    return lambda obj: all(test(obj) for test in tests)


def _known_revision(request: web.BaseRequest, store: Store) -> int:
    """The parameter resourceVersion, 0 if it is missing; ApiError 504 if it lies in the future."""
    wanted = requests.number(request, "resourceVersion", 0)
    if wanted > store.revision:
        text = f"Too large resource version: {wanted}, current: {store.revision}"
        raise ApiError(504, "Timeout", text, retry_after_s=1)
    return wanted


class Lists:
    """Answers list requests; remembers the rest of a list that is read in pages.

    Later pages show the list as it was at the first page, as the API promises. Only the last lists are
    remembered; any other token gets 410.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: OrderedDict[str, tuple[int, list[Stored]]] = OrderedDict()

    def answer(self, request: web.BaseRequest, target: RequestTarget) -> web.Response:
        limit = requests.number(request, "limit", 0)
        token = request.query.get("continue", "")
        if token:
            if token not in self._rests:
                raise expired(_EXPIRED)
            revision, items = self._rests[token]
        else:
            revision = self._store.revision
            _known_revision(request, self._store)
            test = selection(request)
            items = [s for s in self._store.items(target.resource, target.namespace) if test(s.object)]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if limit and len(items) > limit:
            metadata["continue"] = self._keep(revision, items[limit:])
            metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return requests.reply(_render(request, target, items, metadata))

    def _keep(self, revision: int, rest: list[Stored]) -> str:
        token = secrets.token_urlsafe(16)
        self._rests[token] = (revision, rest)
        if len(self._rests) > _PAGES_KEPT:
            self._rests.popitem(last=False)
        return token


def _render(
    request: web.BaseRequest, target: RequestTarget, items: list[Stored], metadata: dict[str, Any]
) -> bytes:
    """A list in the form that the client prefers."""
    if requests.as_table(request):
        listed = table.of_list(target.resource, items, metadata, requests.included(request))
        return json.dumps(listed, separators=(",", ":")).encode()
    kind, version = f"{target.resource.kind}List", target.api_version
    head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{json.dumps(metadata)},"items":['
    return head.encode() + b",".join(item.bare for item in items) + b"]}"


class WatchStream:
    """Changes as the lines of one watch.

    An object that starts to match the selector is ADDED, one that stops matching is DELETED. `include` None:
    the changes carry objects; otherwise they carry tables (see table.py).
    """

    def __init__(self, target: RequestTarget, test: Test, include: str | None) -> None:
        self._resource = target.resource
        self._api_version = target.api_version
        self._namespace = target.namespace
        self._test = test
        self._include = include

    def lines(self, change: StoredChange) -> Iterator[bytes]:
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
            return b'{"type":"%s","object":%s}\n' % (type_.encode(), stored.json_as(self._api_version))
        metadata = {"resourceVersion": str(stored.revision)}
        return _line(type_, table.of_list(self._resource, [stored], metadata, self._include))

    def bookmark(self, revision: int) -> bytes:
        """The end of the objects that exist when a watch begins."""
        metadata = {"resourceVersion": str(revision), "annotations": _INITIAL_END}
        if self._include is not None:
            return _line("BOOKMARK", table.empty(metadata))
        obj = {"kind": self._resource.kind, "apiVersion": self._api_version, "metadata": metadata}
        return _line("BOOKMARK", obj)


def _line(type_: str, obj: Any) -> bytes:
    return json.dumps({"type": type_, "object": obj}, separators=(",", ":")).encode() + b"\n"


async def watch(
    request: web.BaseRequest, store: Store, target: RequestTarget, *, cut_after_s: float = 0.0
) -> web.StreamResponse:
    """Answer a watch request until its time is over, the client leaves, or its place is forgotten.

    `cut_after_s`: a fault on demand, 0 for none.
    """
    since = _known_revision(request, store)
    test = selection(request)
    seconds = requests.number(request, "timeoutSeconds", 0) or random.randint(1800, 3600)  # noqa: S311
    include = requests.included(request) if requests.as_table(request) else None
    stream = WatchStream(target, test, include)
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
            lines.append(stream.bookmark(seen))
        await response.write(b"".join(lines))
    else:
        seen = since or seen
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(_send_changes(response, store, target, stream, seen), cut_after_s or seconds)
    if cut_after_s and request.transport is not None:
        request.transport.abort()
    return response


async def _send_changes(
    response: web.StreamResponse, store: Store, target: RequestTarget, stream: WatchStream, seen: int
) -> None:
    """Send what comes after the revision `seen`, until that is forgotten."""
    while True:
        try:
            changes = store.since(target.resource, seen)
        except ApiError as error:
            await response.write(_line("ERROR", error.status()))
            return
        # Whatever happens to other kinds, nothing of this one up to now is unread.
        seen = max(seen, store.revision)
        if lines := [line for change in changes for line in stream.lines(change)]:
            await response.write(b"".join(lines))
        if store.newest(target.resource) <= seen:
            await store.wait(target.resource)
