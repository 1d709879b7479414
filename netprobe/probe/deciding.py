"""The objects of a cluster that decide flows, of every kind that it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from netprobe.errors import ForbiddenError, NotServedError
from netprobe.model.objects import Object, ReadOnlyObject
from netprobe.policies.kinds import BY_KEY, DECIDING, is_mirror, kind_of
from netprobe.probe.api import ClusterAPI

SELECTABLE: Final = ("Node", "ServiceAccount")
"""Kinds that some policies select by; who may not list them loses only what these policies say."""

KINDS: Final = (*DECIDING, *(kind for kind in SELECTABLE if kind not in DECIDING))


@dataclass(frozen=True, slots=True)
class Listed:
    """`objects` in the order of the kinds, and the keys of the policy kinds that may not be listed."""

    objects: tuple[Object, ...]
    unreadable: tuple[str, ...] = ()


async def listed(cluster: ClusterAPI, kinds: Iterable[str] = KINDS) -> Listed:
    """List objects of these kinds. A kind that the cluster does not serve has none.

    ClusterError if the cluster does not answer, or if a kind that every cluster has may not be listed.
    """
    unreadable: list[str] = []

    async def find(kind: str) -> list[Object]:
        try:
            return [obj for obj in await cluster.find(kind) if not is_mirror(obj)]
        except NotServedError:
            return []
        except ForbiddenError:
            if kind not in SELECTABLE and not _is_optional(kind):
                raise
            if kind not in SELECTABLE:
                unreadable.append(kind)
            return []

    lists = await asyncio.gather(*map(find, kinds))
    return Listed(tuple(obj for found in lists for obj in found), tuple(unreadable))


def key_of(obj: ReadOnlyObject) -> str:
    """The name of an object's kind: of a policy kind its key, which may have the API group in it."""
    kind = kind_of(str(obj.get("apiVersion", "")), obj["kind"])
    return str(obj["kind"]) if kind is None else kind.key


def _is_optional(kind: str) -> bool:
    known = BY_KEY.get(kind)
    return known is not None and not known.group.startswith("networking.k8s.io")
