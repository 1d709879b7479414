"""NetworkPolicies: the defaults of pkg/apis/networking/v1/defaults.go, filled in when one is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.status import Cause
from netprobe.policies.networkpolicy import validate_policy


def default_policy(policy: dict[str, Any]) -> None:
    """Ingress always; Egress too where there is an egress rule. A port without a protocol is TCP."""
    spec = policy["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def check_policy(policy: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterator[Cause]:
    """The API server's validation, metadata included, as netprobe.manifests knows it."""
    for error in validate_policy(policy):
        yield Cause(error.path, error.message, error.type)
