"""The `http` of Calico's rules, which only Envoy enforces: checked, and not evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.policies import fields
from netprobe.policies.calico_checks import Checks

_NOT_EVALUATED = "not evaluated: the rule counts as if it matched every request on its ports"


def check_http(checks: Checks, rule: Mapping[str, Any], path: str, section: str) -> None:
    """Check a rule's `http`, if it has one, and warn that requests are not told apart."""
    where = f"{path}.http"
    if rule.get("http") is None:
        return
    http = checks.decoder.mapping(rule["http"], where, ("methods", "paths"))
    methods = [method for method, _ in checks.decoder.strings(http, "methods", where)]
    if len(set(methods)) < len(methods):
        checks.refuse_v3(fields.invalid(f"{where}.methods", methods, "names a method more than once"))
    for item, at in checks.decoder.items(http, "paths", where):
        _check_path(checks, item, at)
    if rule.get("action") != "Allow":
        checks.refuse(fields.forbidden(where, "only rules with the action Allow can match HTTP"))
    if rule.get("protocol") not in {None, "TCP", 6}:
        checks.refuse(fields.forbidden(where, "needs `protocol` TCP, or none"))
    if section == "egress":
        checks.refuse_v3(fields.forbidden(where, "only ingress rules can match HTTP"))
    checks.warn(where, _NOT_EVALUATED)


def _check_path(checks: Checks, value: Any, path: str) -> None:
    entry = checks.decoder.mapping(value, path, ("exact", "prefix"))
    given = [text for key in ("exact", "prefix") if (text := checks.decoder.string(entry, key, path))]
    if len(given) != 1:
        checks.refuse_v3(fields.invalid(path, value, "must have either `exact` or `prefix`"))
    elif not given[0].startswith("/") or any(character in given[0] for character in "? #"):
        detail = 'must start with "/" and contain no "?", "#" or space'
        checks.refuse_v3(fields.invalid(path, given[0], detail))
