"""ClusterRoles that are made of others: their rules are those of all that their selectors choose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netprobe.lab.api.resources import CLUSTER_ROLES
from netprobe.lab.api.selectors import matches
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller


class AggregatedRoles(Controller[str]):
    """A change of any ClusterRole may concern each of those that are made of others, in several steps."""

    def concerned(self, change: Change) -> Iterable[str]:
        if change.resource is not CLUSTER_ROLES:
            return []
        return [
            stored.object["metadata"]["name"]
            for stored in self.store.items(CLUSTER_ROLES)
            if stored.object.get("aggregationRule")
        ]

    async def reconcile(self, key: str) -> float | None:
        stored = self.store.get(CLUSTER_ROLES, Key("", key))
        if stored is None or not (aggregation := stored.object.get("aggregationRule")):
            return None
        selectors = aggregation.get("clusterRoleSelectors") or ()
        rules: list[Any] = []
        for other in self.store.items(CLUSTER_ROLES):
            labels = other.object["metadata"].get("labels") or {}
            if other is stored or not any(matches(selector, labels) for selector in selectors):
                continue
            rules += [rule for rule in other.object.get("rules") or () if rule not in rules]
        if rules != (stored.object.get("rules") or []):
            self.operations.modify(CLUSTER_ROLES, Key("", key), lambda role: role.update(rules=rules))
        return None
