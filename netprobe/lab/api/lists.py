"""Lists: selection, pages, and the three forms in which they are sent."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests, selectors, table
from netprobe.lab.api.requests import Form, Target
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.selectors import Test
from netprobe.lab.api.status import ApiError, bad_request, expired
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
    remembered; the token of an older one gets 410.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rests: OrderedDict[str, tuple[int, list[Stored]]] = OrderedDict()

    def answer(self, request: web.BaseRequest, target: Target) -> web.Response:
        form = requests.form(request)
        limit = requests.number(request, "limit", 0)
        token = request.query.get("continue", "")
        if token:
            revision, items = self._rest(token)
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
        return requests.reply(render(target.resource, items, metadata, form, request))

    def _check_revision(self, request: web.BaseRequest) -> None:
        wanted = requests.number(request, "resourceVersion", 0)
        current = self._store.revision
        if wanted > current:
            text = f"Too large resource version: {wanted}, current: {current}"
            raise ApiError(504, "Timeout", text, retry_after_s=1)
        if request.query.get("resourceVersionMatch", "") == "Exact" and wanted < current:
            raise expired(f"The resourceVersion for the provided list is too old: {wanted} ({current})")

    def _keep(self, revision: int, rest: list[Stored]) -> str:
        start = rest[0].object["metadata"]
        place = {
            "v": "meta.k8s.io/v1",
            "rv": revision,
            "start": f"{start.get('namespace', '')}/{start['name']}",
        }
        token = base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
        self._rests[token] = (revision, rest)
        while len(self._rests) > _PAGES_KEPT:
            self._rests.popitem(last=False)
        return token

    def _rest(self, token: str) -> tuple[int, list[Stored]]:
        if token in self._rests:
            return self._rests[token]
        try:
            place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            known = isinstance(place, dict) and "rv" in place
        except ValueError:
            known = False
        if known:
            raise expired(_EXPIRED)
        raise bad_request("continue key is not valid: illegal base64 data")


def render(
    resource: Resource, items: list[Stored], metadata: dict[str, Any], form: Form, request: web.BaseRequest
) -> bytes:
    """A list in the requested form."""
    if form == "table":
        include = request.query.get("includeObject", "Metadata")
        return json.dumps(table.of_list(resource, items, metadata, include), separators=(",", ":")).encode()
    if form == "metadata":
        kind, version = "PartialObjectMetadataList", "meta.k8s.io/v1"
        texts = [json.dumps(table.metadata_of(item.object)).encode() for item in items]
    else:
        kind, version = f"{resource.kind}List", resource.api_version
        texts = [item.bare for item in items]
    head = f'{{"kind":"{kind}","apiVersion":"{version}","metadata":{json.dumps(metadata)},"items":['
    return head.encode() + b",".join(texts) + b"]}"
