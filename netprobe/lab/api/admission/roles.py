"""Roles and bindings: defaults and validation (pkg/apis/rbac)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.names import invalid, required, unsupported
from netprobe.lab.api.resources import ROLES
from netprobe.lab.api.status import Cause

_SUBJECTS = ("ServiceAccount", "User", "Group")


def default_binding(binding: dict[str, Any]) -> None:
    if not binding["roleRef"].get("apiGroup"):
        binding["roleRef"] = {**binding["roleRef"], "apiGroup": ROLES.group}
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", ROLES.group)


def check_role(role: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterator[Cause]:
    for index, rule in enumerate(role.get("rules") or ()):
        place = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{place}.verbs", "verbs must contain at least one value")
        if rule.get("nonResourceURLs"):
            if role["kind"] == ROLES.kind:
                text = "namespaced rules cannot apply to non-resource URLs"
                yield Cause(f"{place}.nonResourceURLs", f"Invalid value: {text}")
            continue
        if not rule.get("apiGroups"):
            yield required(f"{place}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{place}.resources", "resource rules must supply at least one resource")


def check_binding(binding: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    ref = binding["roleRef"]
    kinds = (ROLES.kind, "ClusterRole") if binding["kind"] == "RoleBinding" else ("ClusterRole",)
    if ref.get("apiGroup") != ROLES.group:
        yield unsupported("roleRef.apiGroup", ref.get("apiGroup", ""), (ROLES.group,))
    if ref.get("kind") not in kinds:
        yield unsupported("roleRef.kind", ref.get("kind", ""), kinds)
    if not ref.get("name"):
        yield required("roleRef.name")
    if old is not None and old["roleRef"] != ref:
        yield invalid("roleRef", ref, "cannot change roleRef")
    for index, subject in enumerate(binding.get("subjects") or ()):
        place = f"subjects[{index}]"
        if not subject.get("name"):
            yield required(f"{place}.name")
        if subject.get("kind") not in _SUBJECTS:
            yield unsupported(f"{place}.kind", subject.get("kind", ""), _SUBJECTS)
        inside = subject.get("namespace") or binding["kind"] == "RoleBinding"
        if subject.get("kind") == "ServiceAccount" and not inside:
            yield required(f"{place}.namespace")
