"""What roles let somebody do: bindings that name them, and the rules of the roles that these refer to.

Everything is looked up when it is asked for: a lab has some dozens of bindings, and an administrator's
requests do not come here. The rules are those of plugin/pkg/auth/authorizer/rbac.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.lab.api.access.attributes import Attributes
from netprobe.lab.api.access.user import User, account_name
from netprobe.lab.api.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from netprobe.lab.api.store import Key, Store
from netprobe.model.objects import Object

Rule = Mapping[str, Any]

EVERYTHING: tuple[Rule, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """May it be done, and why (or what kept the roles from telling)?"""

    allowed: bool
    reason: str = ""


class Rbac:
    """Decides by the roles and bindings that are stored at the moment."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, user: User, asked: Attributes) -> Ruling:
        """May `user` do it?"""
        if user.is_master:
            return Ruling(True)
        missing: list[str] = []
        for binding, said, rule in self._granted(user, asked.namespace, missing):
            if allows(rule, asked):
                return Ruling(True, f"RBAC: allowed by {_described(binding, said)}")
        if not missing:
            return Ruling(False)
        told = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
        return Ruling(False, f"RBAC: {told}")

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """All that somebody has: in the whole cluster, and in a namespace ("" for no more)."""
        if user.is_master:
            return list(EVERYTHING)
        return [rule for _, _, rule in self._granted(user, namespace, [])]

    def role(self, ref: Mapping[str, str], namespace: str) -> Object | None:
        """The role that a binding in a namespace ("" for none) refers to."""
        resource, key = _place(ref, namespace)
        stored = self._store.get(resource, key)
        return None if stored is None else stored.object

    def _granted(
        self, user: User, namespace: str, missing: list[str]
    ) -> Iterator[tuple[Object, Object, Rule]]:
        """Each rule with its binding and the subject meant; `missing` collects roles that are not there."""
        bindings = self._store.items(CLUSTER_ROLE_BINDINGS)
        if namespace:
            bindings = bindings + self._store.items(ROLE_BINDINGS, namespace)
        for stored in bindings:
            binding = stored.object
            inside = binding["metadata"].get("namespace", "")
            said = next((s for s in binding.get("subjects") or () if _means(s, user, inside)), None)
            if said is None:
                continue
            ref = binding["roleRef"]
            if (role := self.role(ref, inside)) is None:
                kind = f"{ref['kind'].lower()}.{CLUSTER_ROLES.group}"
                missing.append(f'{kind} "{ref["name"]}" not found')
                continue
            for rule in role.get("rules") or ():
                yield binding, said, rule


def _place(ref: Mapping[str, str], namespace: str) -> tuple[Resource, Key]:
    if ref["kind"] == CLUSTER_ROLES.kind:
        return CLUSTER_ROLES, Key("", ref["name"])
    return ROLES, Key(namespace, ref["name"])


def _means(subject: Mapping[str, str], user: User, namespace: str) -> bool:
    """Is it this user that a binding in a namespace names?"""
    match subject["kind"]:
        case "User":
            return subject["name"] == user.name
        case "Group":
            return subject["name"] in user.groups
        case "ServiceAccount":
            return user.name == account_name(subject.get("namespace") or namespace, subject["name"])
    return False


def allows(rule: Rule, asked: Attributes) -> bool:
    """Does one rule of a role let it be done?"""
    if not {"*", asked.verb} & set(rule.get("verbs") or ()):
        return False
    if asked.path:
        return any(_covers_path(url, asked.path) for url in rule.get("nonResourceURLs") or ())
    resources = {"*", asked.combined} | ({f"*/{asked.subresource}"} if asked.subresource else set())
    names = rule.get("resourceNames") or ()
    return bool(
        {"*", asked.group} & set(rule.get("apiGroups") or ())
        and resources & set(rule.get("resources") or ())
        and (not names or asked.name in names)
    )


def _covers_path(url: str, path: str) -> bool:
    return url in {"*", path} or (url.endswith("*") and path.startswith(url.rstrip("*")))


def _described(binding: Object, subject: Mapping[str, str]) -> str:
    """As SubjectAccessReviews tell it; namespaces come last there."""
    kind, metadata, ref = binding["kind"], binding["metadata"], binding["roleRef"]
    name = "/".join(filter(None, (metadata["name"], metadata.get("namespace"))))
    who = "/".join(filter(None, (subject["name"], subject.get("namespace"))))
    return f'{kind} "{name}" of {ref["kind"]} "{ref["name"]}" to {subject["kind"]} "{who}"'
