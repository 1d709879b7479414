"""Lists: selection and pages."""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests, selectors, table
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.selectors import Test
from netprobe.lab.api.status import ApiError, expired
from netprobe.lab.api.store import Store, Stored

_PAGES_KEPT = 64
_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You must start a new "
    "list without the continue parameter."
)


def selection(request: web.BaseRequest, target: Target) -> Test:
    """The test that labelSelector and fieldSelector make up together."""
    tests: list[Test] = []
    if text := request.query.get("labelSelector", ""):
        tests.append(selectors.parse_labels(text))
    if text := request.query.get("fieldSelector", ""):
        tests.append(selectors.parse_fields(text, target.resource))
    return lambda obj: all(test(obj) for test in tests)


class Lists:
    """Answers list requests; remembers the rest of a list that is read in pages.

    Later pages show the list as it was at the first page, as the API promises. Only the last lists are
    remembered; any other token gets 410.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: OrderedDict[str, tuple[int, list[Stored]]] = OrderedDict()

    def answer(self, request: web.BaseRequest, target: Target) -> web.Response:
        limit = requests.number(request, "limit", 0)
        token = request.query.get("continue", "")
        if token:
            if token not in self._rests:
                raise expired(_EXPIRED)
            revision, items = self._rests[token]
        else:
            revision = self._store.revision
            self._check_revision(request)
            test = selection(request, target)
            items = [s for s in self._store.items(target.resource, target.namespace) if test(s.object)]
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if limit and len(items) > limit:
            metadata["continue"] = self._keep(revision, items[limit:])
            metadata["remainingItemCount"] = len(items) - limit
            items = items[:limit]
        return requests.reply(_render(request, target.resource, items, metadata))

    def _check_revision(self, request: web.BaseRequest) -> None:
        wanted = requests.number(request, "resourceVersion", 0)
        current = self._store.revision
        if wanted > current:
            text = f"Too large resource version: {wanted}, current: {current}"
            raise ApiError(504, "Timeout", text, retry_after_s=1)
        if request.query.get("resourceVersionMatch", "") == "Exact" and wanted < current:
            raise expired(f"The resourceVersion for the provided list is too old: {wanted} ({current})")

    def _keep(self, revision: int, rest: list[Stored]) -> str:
        token = secrets.token_urlsafe(16)
        self._rests[token] = (revision, rest)
        if len(self._rests) > _PAGES_KEPT:
            self._rests.popitem(last=False)
        return token


def _render(
    request: web.BaseRequest, resource: Resource, items: list[Stored], metadata: dict[str, Any]
) -> bytes:
    """A list in the form that the client prefers."""
    if requests.as_table(request):
        listed = table.of_list(resource, items, metadata, requests.included(request))
        return json.dumps(listed, separators=(",", ":")).encode()
    kind, version = f"{resource.kind}List", resource.api_version
    head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{json.dumps(metadata)},"items":['
    return head.encode() + b",".join(item.bare for item in items) + b"]}"
