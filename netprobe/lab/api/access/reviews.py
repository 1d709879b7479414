"""The reviews: `kubectl auth can-i`, `kubectl auth whoami`, and programs that ask about others."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from netprobe.lab.api.access.attributes import of_review
from netprobe.lab.api.access.gate import Gate
from netprobe.lab.api.access.user import User
from netprobe.lab.api.admission.names import invalid as wrong
from netprobe.lab.api.resources import (
    ACCESS_REVIEWS,
    LOCAL_ACCESS_REVIEWS,
    RULES_REVIEWS,
    SUBJECT_ACCESS_REVIEWS,
    SUBJECT_REVIEWS,
    TOKEN_REVIEWS,
    Resource,
)
from netprobe.lab.api.status import Cause, bad_request, invalid


def review(gate: Gate, user: User, resource: Resource, namespace: str, obj: dict[str, Any]) -> dict[str, Any]:
    """Answer a review that `user` sends."""
    spec = obj.get("spec") or {}
    if resource is SUBJECT_REVIEWS:
        status: dict[str, Any] = {"userInfo": user.info()}
    elif resource is RULES_REVIEWS:
        status = _rules(gate, user, spec.get("namespace", ""))
    elif resource is TOKEN_REVIEWS:
        status = _of_token(gate, spec)
    elif resource is ACCESS_REVIEWS:
        status = _access(gate, user, resource, spec)
    elif resource in {SUBJECT_ACCESS_REVIEWS, LOCAL_ACCESS_REVIEWS}:
        status = _access(gate, _subject(resource, spec), resource, spec)
        asked = (spec.get("resourceAttributes") or {}).get("namespace", "")
        if resource is LOCAL_ACCESS_REVIEWS and asked != namespace:
            text = f"spec.resourceAttributes.namespace must match namespace: {namespace}"
            raise bad_request(text)
    else:
        raise AssertionError(resource)
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": at}, "status": status}


def _access(gate: Gate, user: User, resource: Resource, spec: Mapping[str, Any]) -> dict[str, Any]:
    kinds = [spec.get(key) is not None for key in ("resourceAttributes", "nonResourceAttributes")]
    if sum(kinds) != 1:
        text = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        raise invalid(resource, "", [wrong("spec.resourceAttributes", "", text)])
    ruling = gate.rbac.decide(user, of_review(spec))
    return {"allowed": ruling.allowed, **({"reason": ruling.reason} if ruling.reason else {})}


def _subject(resource: Resource, spec: Mapping[str, Any]) -> User:
    name, groups = spec.get("user", ""), tuple(spec.get("groups") or ())
    if not name and not groups:
        raise invalid(
            resource,
            "",
            [Cause("spec.user", 'Invalid value: "": at least one of user or group must be specified')],
        )
    return User(name, groups)


def _rules(gate: Gate, user: User, namespace: str) -> dict[str, Any]:
    if not namespace:
        raise bad_request("no namespace on request")
    of_resources, of_paths = [], []
    for rule in gate.rbac.rules(user, namespace):
        if rule.get("resources"):
            keys = ("verbs", "apiGroups", "resources", "resourceNames")
            of_resources.append({key: rule[key] for key in keys if rule.get(key)})
        if rule.get("nonResourceURLs"):
            of_paths.append({key: rule[key] for key in ("verbs", "nonResourceURLs")})
    return {"resourceRules": of_resources, "nonResourceRules": of_paths, "incomplete": False}


def _of_token(gate: Gate, spec: Mapping[str, Any]) -> dict[str, Any]:
    user = gate.tokens.user(spec.get("token", ""))
    if user is None:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": user.info()}
