"""What the server serves, as clients ask for it: legacy and aggregated discovery, and the version."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from netprobe import __version__
from netprobe.lab.api import resources
from netprobe.lab.api.resources import Resource

KUBERNETES_MINOR = 33
GIT_VERSION = f"v1.{KUBERNETES_MINOR}.0+netprobe.{__version__}"
"""The Kubernetes whose API this is, and the program that speaks it."""

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""The machine's, as Go spells it."""


def version() -> dict[str, str]:
    return {
        "major": "1",
        "minor": str(KUBERNETES_MINOR),
        "gitVersion": GIT_VERSION,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{ARCHITECTURE}",
    }


def document(path: str, accept: str) -> Mapping[str, Any] | None:
    """The discovery document at a path; None where there is none."""
    aggregated = "apidiscovery.k8s.io" in accept and "v=v2;" in accept.replace(" ", "") + ";"
    match [part for part in path.split("/") if part]:
        case ["api"]:
            return _aggregated([""]) if aggregated else _core_versions()
        case ["api", "v1"]:
            return _resource_list("", "v1")
        case ["apis"]:
            return _aggregated(list(resources.groups())) if aggregated else _group_list()
        case ["apis", group] if group in resources.groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, version_] if resources.groups().get(group) == version_:
            return _resource_list(group, version_)
    return None


def root() -> dict[str, list[str]]:
    """What there is at all, as `kubectl get --raw /` shows it."""
    groups = [path for group, name in resources.groups().items() for path in (group, f"{group}/{name}")]
    more = ("healthz", "livez", "openapi/v2", "openapi/v3", "readyz", "version")
    paths = ["/api", "/api/v1", "/apis", *(f"/apis/{path}" for path in groups), *(f"/{one}" for one in more)]
    return {"paths": paths}


def _core_versions() -> dict[str, Any]:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group(group: str) -> dict[str, Any]:
    name = resources.groups()[group]
    version_ = {"groupVersion": f"{group}/{name}", "version": name}
    return {"name": group, "versions": [version_], "preferredVersion": version_}


def _group_list() -> dict[str, Any]:
    listed = [_group(group) for group in resources.groups()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def _subresources(resource: Resource) -> list[tuple[str, str, list[str]]]:
    """Name, kind and verbs of each."""
    found = [(name, *_OTHERS[name]) for name in resource.others]
    if resource.status:
        found.append(("status", resource.kind, ["get", "patch", "update"]))
    if resource.scale:
        found.append(("scale", "Scale", ["get", "patch", "update"]))
    return sorted(found)


_OTHERS: dict[str, tuple[str, list[str]]] = {
    "attach": ("PodAttachOptions", ["create", "get"]),
    "exec": ("PodExecOptions", ["create", "get"]),
    "log": ("Pod", ["get"]),
    "eviction": ("Eviction", ["create"]),
    "token": ("TokenRequest", ["create"]),
}
_OTHER_GROUPS = {
    "Scale": ("autoscaling", "v1"),
    "Eviction": ("policy", "v1"),
    "TokenRequest": ("authentication.k8s.io", "v1"),
}


def _response_kind(kind: str, resource: Resource) -> dict[str, str]:
    group, version_ = _OTHER_GROUPS.get(kind, (resource.group, resource.version))
    return {"group": group, "version": version_, "kind": kind}


def _resource_list(group: str, version_: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for resource in resources.of_group(group):
        entry: dict[str, Any] = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(resource.verbs),
        }
        if resource.short:
            entry["shortNames"] = list(resource.short)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        for name, kind, verbs in _subresources(resource):
            sub: dict[str, Any] = {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind,
                "verbs": verbs,
            }
            if kind in _OTHER_GROUPS:
                sub["group"], sub["version"] = _OTHER_GROUPS[kind]
            listed.append(sub)
    group_version = f"{group}/{version_}" if group else version_
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _aggregated(groups: list[str]) -> dict[str, Any]:
    items = []
    for group in groups:
        listed = []
        for resource in resources.of_group(group):
            entry: dict[str, Any] = {
                "resource": resource.plural,
                "responseKind": {"group": group, "version": resource.version, "kind": resource.kind},
                "scope": "Namespaced" if resource.namespaced else "Cluster",
                "singularResource": resource.singular,
                "verbs": list(resource.verbs),
            }
            if resource.short:
                entry["shortNames"] = list(resource.short)
            if resource.categories:
                entry["categories"] = list(resource.categories)
            subs = [
                {
                    "subresource": name,
                    "responseKind": _response_kind(kind, resource),
                    "verbs": verbs,
                }
                for name, kind, verbs in _subresources(resource)
            ]
            if subs:
                entry["subresources"] = subs
            listed.append(entry)
        version_ = resources.groups().get(group, "v1")
        versions = [{"version": version_, "resources": listed, "freshness": "Current"}]
        metadata: dict[str, Any] = {"name": group} if group else {}
        items.append({"metadata": metadata | {"creationTimestamp": None}, "versions": versions})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }
