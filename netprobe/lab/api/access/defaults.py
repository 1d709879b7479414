"""The roles that every cluster has from the beginning: roles.yaml as objects."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import yaml

from netprobe.lab.api.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, Resource
from netprobe.model.objects import Object

AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_MARKS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_VERBS = {
    "READ": ("get", "list", "watch"),
    "WRITE": ("create", "delete", "deletecollection", "patch", "update"),
}


def default_roles() -> Iterator[tuple[Resource, Object]]:
    """ClusterRoles and their bindings; those that are made of others are empty yet (controllers/roles.py)."""
    text = files("netprobe.lab.api.access").joinpath("roles.yaml").read_text()
    loaded: dict[str, dict[str, Any]] = yaml.load(text, yaml.CSafeLoader)
    for name, said in loaded.items():
        labels = {**_MARKS, **({f"{AGGREGATE}{said['part-of']}": "true"} if "part-of" in said else {})}
        metadata = {"name": name, "labels": labels}
        role: Object = {**_head(CLUSTER_ROLES), "metadata": metadata}
        if (whole := said.get("made-of")) is not None:
            role["aggregationRule"] = {
                "clusterRoleSelectors": [{"matchLabels": {f"{AGGREGATE}{whole}": "true"}}]
            }
        role["rules"] = [{**rule, "verbs": list(_spelled(rule["verbs"]))} for rule in said.get("rules", ())]
        yield CLUSTER_ROLES, role
        if groups := said.get("groups"):
            group = CLUSTER_ROLES.group
            ref = {"apiGroup": group, "kind": CLUSTER_ROLES.kind, "name": name}
            subjects = [{"apiGroup": group, "kind": "Group", "name": one} for one in groups]
            binding = {
                "metadata": {"name": name, "labels": dict(_MARKS)},
                "roleRef": ref,
                "subjects": subjects,
            }
            yield CLUSTER_ROLE_BINDINGS, {**_head(CLUSTER_ROLE_BINDINGS), **binding}


def _head(resource: Resource) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind}


def _spelled(verbs: list[str]) -> Iterator[str]:
    for verb in verbs:
        yield from _VERBS.get(verb, (verb,))
