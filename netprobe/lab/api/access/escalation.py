"""Nobody may give away, by a role or a binding, what they do not have (pkg/registry/rbac)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import product

from netprobe.lab.api.access.attributes import Attributes
from netprobe.lab.api.access.rbac import EVERYTHING, Rbac, Rule, allows
from netprobe.lab.api.access.user import User
from netprobe.lab.api.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    Resource,
)
from netprobe.lab.api.status import forbidden, not_found
from netprobe.lab.api.store import Store
from netprobe.model.objects import Object

_ROLES, _BINDINGS = {ROLES, CLUSTER_ROLES}, {ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS}
_WORDS = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "resourceNames": "ResourceNames",
    "nonResourceURLs": "NonResourceURLs",
    "verbs": "Verbs",
}


def check(resource: Resource, obj: Object, old: Object | None, user: User, store: Store) -> None:
    """ApiError 403 where `user` would grant by this object what they may not do themselves.

    Who has the verb `escalate` on the role, or `bind` on the role that a binding names, may.
    """
    if user.is_master or resource not in _ROLES | _BINDINGS:
        return
    rbac, namespace = Rbac(store), obj["metadata"].get("namespace", "")
    if resource in _ROLES:
        if old is not None and all(old.get(key) == obj.get(key) for key in ("rules", "aggregationRule")):
            return
        name, verb, of, rules = obj["metadata"]["name"], "escalate", resource, obj.get("rules") or ()
    else:
        if old is not None and all(old.get(key) == obj.get(key) for key in ("subjects", "roleRef")):
            return
        ref = obj["roleRef"]
        name, verb, of = ref["name"], "bind", ROLES if ref["kind"] == ROLES.kind else CLUSTER_ROLES
        role = rbac.role(ref, namespace)
        if role is None:
            raise not_found(of, name)
        rules = role.get("rules") or ()
    may = Attributes(verb, of.group, of.plural, name=name, namespace=namespace)
    if rbac.decide(user, may).allowed:
        return
    held = rbac.rules(user, namespace)
    if obj.get("aggregationRule") and any(_not_held(EVERYTHING, held)):
        why = "must have cluster-admin privileges to use the aggregationRule"
        raise forbidden(resource, obj["metadata"]["name"], why)
    if missing := list(_not_held(rules, held)):
        groups = json.dumps(list(user.groups)).replace(", ", " ")
        why = (
            f'user "{user.name}" (groups={groups}) is attempting to grant RBAC permissions not currently '
            "held:\n" + "\n".join(map(_spelled, missing))
        )
        raise forbidden(resource, obj["metadata"]["name"], why)


def _not_held(rules: Iterable[Rule], held: list[Rule]) -> Iterator[Rule]:
    """Those of the rules that are more than what is held; a rule that is held in parts is held."""
    for rule in rules:
        if not all(any(allows(one, asked) for one in held) for asked in _parts(rule)):
            yield rule


def _parts(rule: Rule) -> Iterator[Attributes]:
    """A rule as the single things that it permits; "*" is a word as any other, which only "*" covers."""
    verbs = rule.get("verbs") or ()
    for verb, path in product(verbs, rule.get("nonResourceURLs") or ()):
        yield Attributes(verb, path=path)
    names = rule.get("resourceNames") or ("",)
    groups, resources = rule.get("apiGroups") or (), rule.get("resources") or ()
    for verb, group, resource, name in product(verbs, groups, resources, names):
        plain, _, subresource = resource.partition("/")
        yield Attributes(verb, group, plain, subresource, name)


def _spelled(rule: Mapping[str, list[str]]) -> str:
    """As Go prints a rule."""
    parts = (f"{word}:{json.dumps(rule[key])}" for key, word in _WORDS.items() if rule.get(key))
    return f"{{{', '.join(parts)}}}"
