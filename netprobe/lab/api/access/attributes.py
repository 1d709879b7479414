"""What a request asks for, as roles speak of it: verb, API group, resource, name; or verb and path.

Read from the path alone, so that also what is not served can be refused (apiserver's
pkg/endpoints/request/requestinfo.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api.resources import Resource
from netprobe.lab.api.status import ApiError, forbidden

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES = {"status", "finalize"}


@dataclass(frozen=True, slots=True)
class Attributes:
    """`path` is "" for what is a resource. `namespace` "": all of them, or the resource has none."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    namespace: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """As roles spell it: "pods/exec"."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def refused(self, user: str, reason: str = "") -> ApiError:
        """The refusal, in the words of pkg/endpoints/handlers/responsewriters/errors.go."""
        said = f'User "{user}" cannot {self.verb}'
        if self.path:
            why = f'{said} path "{self.path}"'
            return ApiError(403, "Forbidden", f"forbidden: {why}{f': {reason}' if reason else ''}")
        place = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        why = f'{said} resource "{self.combined}" in API group "{self.group}" {place}'
        resource = Resource(self.group, "", "", self.resource)
        return forbidden(resource, self.name, f"{why}: {reason}" if reason else why)


def of_request(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    """The attributes of a request."""
    parts = [part for part in path.split("/") if part]
    least = {"api": 3, "apis": 4}.get(parts[0] if parts else "")
    if least is None or len(parts) < least:
        return Attributes(method.lower(), path=path)
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource, name, subresource = (*rest, "", "")[:3]
    verb = _VERBS.get(method, "")
    if not name and verb in {"get", "delete"}:
        name = _selected_name(query.get("fieldSelector", ""))
        many = "watch" if query.get("watch", "") in {"true", "1", "True"} else "list"
        verb = many if verb == "get" else "deletecollection"
    return Attributes(verb, group, resource, subresource, name, namespace)


def _selected_name(selector: str) -> str:
    """A list of one name is a request for that name: roles with resourceNames admit it."""
    for term in selector.split(","):
        key, _, value = term.replace("==", "=").partition("=")
        if key == "metadata.name":
            return value
    return ""


def of_review(spec: Mapping[str, Any]) -> Attributes:
    """What a review asks about."""
    if (path := spec.get("nonResourceAttributes")) is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", "") or "/")
    given = spec.get("resourceAttributes") or {}
    keys = ("verb", "group", "resource", "subresource", "name", "namespace")
    return Attributes(**{key: given.get(key, "") for key in keys})
