"""Which of the policy kinds a server has, and in which version: they come from CustomResourceDefinitions.

A kind may be served in one of several versions with the same fields, and Calico's in one of two groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from netprobe.errors import ClusterError, NotFoundError, NotServedError
from netprobe.kube.resources import RESOURCES, ResourceType


class ServedKinds:
    """Asks a server once for each kind that it may not have. `read` gets a path of the API."""

    def __init__(self, read: Callable[[str], Awaitable[Any]]) -> None:
        self._read = read
        self._documents: dict[str, asyncio.Task[frozenset[str]]] = {}

    async def resource(self, kind: str) -> ResourceType:
        """The resource of a kind as this server has it; NotServedError if it has none.

        Another ClusterError if the server does not say: an aggregated API may be down.
        """
        resource = RESOURCES[kind]
        if not resource.versions:
            return resource
        unclear: ClusterError | None = None
        for api_version in resource.versions:
            try:
                if resource.plural in await self._plurals(api_version):
                    return replace(resource, api_version=api_version)
            except NotFoundError:
                continue
            except ClusterError as error:
                unclear = error
        raise unclear or NotServedError(
            f"this cluster does not serve {kind} ({resource.plural}.{resource.group})"
        )

    async def _plurals(self, api_version: str) -> frozenset[str]:
        """The resources of a version of a group. Concurrent callers share a request; no failure is kept."""
        task = self._documents.get(api_version)
        if task is None:
            task = asyncio.create_task(self._list(api_version))
            self._documents[api_version] = task
        try:
            return await asyncio.shield(task)
        except ClusterError as error:
            if not isinstance(error, NotFoundError):
                self._documents.pop(api_version, None)
            raise

    async def _list(self, api_version: str) -> frozenset[str]:
        document = await self._read(f"/apis/{api_version}")
        return frozenset(resource["name"] for resource in document.get("resources") or ())
