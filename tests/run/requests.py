"""Which permissions the requests of this process need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import pytest

from netprobe.kube import client, transport
from netprobe.kube import exec as kube_exec
from netprobe.kube.transport import Transport

Request: TypeAlias = tuple[str, str, str]
"""API group, resource and verb, as the authorizer of an API server sees them."""

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


def needed(method: str, path: str, query: Mapping[str, Any]) -> Request | None:
    """The permission that a request needs; None for discovery, which is open to everyone."""
    parts = urlsplit(path).path.strip("/").split("/")
    if len(parts) < {"api": 3, "apis": 4}.get(parts[0], 99):
        return None
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    named = len(rest) > 1
    match method:
        case "GET":
            verb = "watch" if query.get("watch") else "get" if named else "list"
        case "DELETE":
            verb = "delete" if named else "deletecollection"
        case _:
            verb = VERBS[method]
    return group, "/".join(rest[::2]), verb


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> set[Request]:
    """What is requested while the test runs, reviews of permissions left out."""
    seen: set[Request] = set()
    send, open_exec = Transport._send, kube_exec.open_exec

    async def sending(self: Transport, request: transport.Request, timeout: aiohttp.ClientTimeout) -> Any:
        found = needed(request.method, request.path, request.query)
        if found is not None and not found[1].startswith("selfsubject"):
            seen.add(found)
        return await send(self, request, timeout)

    async def executing(*arguments: Any, **options: Any) -> Any:
        command = arguments[3]
        seen.add(("", "pods/attach" if command is None else "pods/exec", "get"))
        return await open_exec(*arguments, **options)

    monkeypatch.setattr(Transport, "_send", sending)
    monkeypatch.setattr(client, "open_exec", executing)
    return seen
