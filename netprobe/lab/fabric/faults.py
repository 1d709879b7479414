"""Faults of the network on demand: asked for by annotation, none by default.

On a pod, `netprobe.dev/fault-listener`:

    dead            the pod is ready, and nothing listens on its ports
    late=SECONDS    it listens only that long after it has become ready

On a NetworkPolicy, `netprobe.dev/fault-missed`:

    policy          the policy is accepted and not enforced
    node=NAME       it is not enforced on that node
    ingress=N       its ingress rule number N (from 0) is not enforced; egress=N in the same way

An annotation that cannot be read asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LISTENER = "netprobe.dev/fault-listener"
MISSED = "netprobe.dev/fault-missed"


def listens_after(annotations: Mapping[str, str]) -> float | None:
    """Seconds after its start when a pod begins to listen: 0 without a fault, None for never."""
    name, _, number = annotations.get(LISTENER, "").partition("=")
    if name == "dead":
        return None
    try:
        return max(0.0, float(number)) if name == "late" else 0.0
    except ValueError:
        return 0.0


def is_missed(policy: Mapping[str, Any]) -> bool:
    """Whether the policy is enforced nowhere."""
    return _missed(policy) == ("policy", "")


def missed_on(policy: Mapping[str, Any]) -> str | None:
    """The node on which the policy is not enforced."""
    what, where = _missed(policy)
    return where if what == "node" else None


def is_missed_rule(policy: Mapping[str, Any], direction: str, index: int) -> bool:
    """Whether one rule of the policy is not enforced."""
    return _missed(policy) == (direction, str(index))


def _missed(policy: Mapping[str, Any]) -> tuple[str, str]:
    annotations = policy["metadata"].get("annotations") or {}
    what, _, where = str(annotations.get(MISSED, "")).partition("=")
    return what, where
