"""The objects of a cluster that decide flows, of every kind that it serves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import ClusterError, ForbiddenError, NotServedError
from netprobe.model.objects import Object, ReadOnlyObject
from netprobe.policies.kinds import BY_KEY, DECIDING, NOT_SIMULATED, PolicyKind, is_mirror, kind_of
from netprobe.probe.api import ClusterAPI

SELECTABLE: Final = ("Node", "ServiceAccount")
"""Kinds that some policies select by; who may not list them loses only what these policies say."""

KINDS: Final = (*DECIDING, *(kind for kind in SELECTABLE if kind not in DECIDING))


@dataclass(frozen=True, slots=True)
class Listed:
    """`objects` in the order of the kinds, and the keys of the policy kinds that cannot be listed."""

    objects: tuple[Object, ...]
    unreadable: tuple[str, ...] = ()


async def listed(cluster: ClusterAPI, kinds: Iterable[str] = KINDS) -> Listed:
    """List objects of these kinds. A kind that the cluster does not serve has none.

    ClusterError if the cluster does not answer, or if a kind that every cluster has cannot be listed.
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


async def served(cluster: ClusterAPI, kinds: Iterable[str]) -> dict[str, str]:
    """The apiVersion in which the cluster serves each of these kinds, without those that it does not serve.

    ClusterError if it does not say.
    """

    async def version(kind: str) -> str | None:
        try:
            return await cluster.served(kind)
        except NotServedError:
            return None

    keys = tuple(kinds)
    versions = await asyncio.gather(*map(version, keys))
    return {key: found for key, found in zip(keys, versions, strict=True) if found is not None}


FORBIDDEN: Final = "(may not be listed)"
FAILED: Final = "(could not be listed)"
UNREADABLE: Final = "policies of other kinds (the API server does not say which kinds it has)"

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class OtherPolicies:
    """Policies of kinds that are not simulated: a phrase for each kind, and whether some exist for certain.

    netprobe does not know which labels matter to them. A pod that represents a real one then has all of
    its labels, and the report says why. The same holds for kinds that cannot be listed.
    """

    kinds: Mapping[str, bool] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there may be any."""
        return bool(self.kinds)

    def notes(self, what: str) -> Iterator[str]:
        """A sentence for each kind; `what` says what the run does about it."""
        for phrase, sure in self.kinds.items():
            some = "" if sure else "if there are some "
            yield f"{phrase}: {some}they may decide flows, and are not simulated; {what}"

    @property
    def labels_because(self) -> str:
        """Why pods have labels that no NetworkPolicy selects by."""
        return f"shadow pods carry all labels of the real ones, because of {'; '.join(self.kinds)}"


async def other_policies(cluster: ClusterAPI) -> OtherPolicies:
    """List the policies of all kinds that are not simulated. Most clusters have none."""

    async def phrase(kind: PolicyKind) -> tuple[str, bool] | None:
        name = f"{kind.plural}.{kind.group}"
        try:
            metas = [obj["metadata"] for obj in await cluster.find(kind.key)]
        except NotServedError:
            return None
        except ClusterError as error:
            return f"{name} {FORBIDDEN if isinstance(error, ForbiddenError) else FAILED}", False
        names = ["/".join(filter(None, (meta.get("namespace"), meta["name"]))) for meta in metas]
        more = ", ..." if len(names) > _NAMED else ""
        return (f"{len(names)} {name} ({', '.join(names[:_NAMED])}{more})", True) if names else None

    found = [one for one in await asyncio.gather(*map(phrase, NOT_SIMULATED)) if one is not None]
    if len(found) == len(NOT_SIMULATED) and not any(sure for _, sure in found):
        return OtherPolicies({UNREADABLE: False})
    return OtherPolicies(dict(found))


def key_of(obj: ReadOnlyObject) -> str:
    """The name of an object's kind: of a policy kind its key, which may have the API group in it."""
    kind = kind_of(str(obj.get("apiVersion", "")), obj["kind"])
    return str(obj["kind"]) if kind is None else kind.key


def _is_optional(kind: str) -> bool:
    known = BY_KEY.get(kind)
    return known is not None and not known.group.startswith("networking.k8s.io")
