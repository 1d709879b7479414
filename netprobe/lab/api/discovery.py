"""What the server serves: discovery, both legacy and aggregated, and the version."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from netprobe import __version__
from netprobe.lab.api.resources import SCALE, Catalog, Resource

KUBERNETES_MINOR = 33
GIT_VERSION = f"v1.{KUBERNETES_MINOR}.0+netprobe.{__version__}"
"""The version of Kubernetes whose API this is, and the program that serves it."""

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""The machine's architecture, as Go spells it."""


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


def document(catalog: Catalog, path: str, accept: str) -> Mapping[str, Any] | None:
    """The discovery document at a path; None if there is none."""
    parts = [part for part in path.split("/") if part]
    if "apidiscovery.k8s.io" in accept and "v=v2;" in accept.replace(" ", "") + ";":
        groups = {"/api": {"": ["v1"]}, "/apis": catalog.groups()}.get("/" + "/".join(parts))
        if groups is not None:
            return _aggregated(catalog, groups)
    return _legacy(catalog, parts)


def _legacy(catalog: Catalog, parts: list[str]) -> Mapping[str, Any] | None:
    groups = catalog.groups()
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", "v1"]:
            return _resource_list(catalog, "", "v1")
        case ["apis"]:
            listed = [_group(name, versions) for name, versions in groups.items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
        case ["apis", group, version_] if version_ in groups.get(group, ()):
            return _resource_list(catalog, group, version_)
    return None


def root(catalog: Catalog) -> dict[str, list[str]]:
    """The paths that exist, for `kubectl get --raw /`."""
    paths = ["/api", "/api/v1", "/apis"]
    for group, versions in catalog.groups().items():
        paths += [f"/apis/{group}", *(f"/apis/{group}/{one}" for one in versions)]
    more = ("healthz", "livez", "openapi/v2", "openapi/v3", "readyz", "version")
    return {"paths": [*paths, *(f"/{one}" for one in more)]}


def _group(group: str, names: list[str]) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


_OTHERS: dict[str, tuple[str, list[str]]] = {
    "attach": ("PodAttachOptions", ["create", "get"]),
    "ephemeralcontainers": ("Pod", ["get", "patch", "update"]),
    "exec": ("PodExecOptions", ["create", "get"]),
    "log": ("Pod", ["get"]),
    "portforward": ("PodPortForwardOptions", ["create", "get"]),
}


def _subresources(resource: Resource) -> list[tuple[str, str, list[str]]]:
    """Name, kind and verbs of each."""
    found = [(name, *_OTHERS[name]) for name in resource.others]
    if resource.status:
        found.append(("status", resource.kind, ["get", "patch", "update"]))
    if resource.scale:
        found.append(("scale", SCALE.kind, ["get", "patch", "update"]))
    return sorted(found)


def _names(resource: Resource) -> dict[str, Any]:
    """The optional names of a resource; both forms of discovery spell them alike."""
    names = {"shortNames": resource.short.split(), "categories": ["all"] if resource.in_all else []}
    return {key: value for key, value in names.items() if value}


def _resource_list(catalog: Catalog, group: str, version_: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for resource in catalog.of_version(group, version_):
        listed.append(
            {
                "name": resource.plural,
                "singularName": resource.singular,
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(resource.verbs),
                **_names(resource),
            }
        )
        for name, kind, verbs in _subresources(resource):
            own = {"group": SCALE.group, "version": SCALE.version} if kind == SCALE.kind else {}
            listed.append(
                {
                    "name": f"{resource.plural}/{name}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": kind,
                    "verbs": verbs,
                    **own,
                }
            )
    group_version = f"{group}/{version_}" if group else version_
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": listed,
    }


def _aggregated(catalog: Catalog, groups: dict[str, list[str]]) -> dict[str, Any]:
    items = []
    for group, names in groups.items():
        versions = [
            {
                "version": name,
                "resources": [_aggregated_entry(one) for one in catalog.of_version(group, name)],
                "freshness": "Current",
            }
            for name in names
        ]
        metadata: dict[str, Any] = {"name": group} if group else {}
        items.append({"metadata": metadata | {"creationTimestamp": None}, "versions": versions})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_entry(resource: Resource) -> dict[str, Any]:
    def kind_of(kind: str) -> dict[str, str]:
        of = SCALE if kind == SCALE.kind else resource
        return {"group": of.group, "version": of.version, "kind": kind}

    subresources = [
        {"subresource": name, "responseKind": kind_of(kind), "verbs": verbs}
        for name, kind, verbs in _subresources(resource)
    ]
    return {
        "resource": resource.plural,
        "responseKind": kind_of(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
        **_names(resource),
        **({"subresources": subresources} if subresources else {}),
    }
