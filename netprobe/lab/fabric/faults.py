"""Faults of the network on demand, by annotation; none by default.

On a pod, `netprobe.dev/fault-listener`:

    dead            the pod is ready, and nothing listens on its ports
    late=SECONDS    it listens only that long after it has become ready

On a policy, `netprobe.dev/fault-missed`:

    policy          the policy is accepted and not enforced
    node=NAME       it is not enforced on that node
    ingress=N       its ingress rule number N (from 0) is not enforced; egress=N in the same way

An annotation that cannot be read has no effect.
"""

from __future__ import annotations

from netprobe.model.labels import Labels

LISTENER = "netprobe.dev/fault-listener"
MISSED = "netprobe.dev/fault-missed"


def listens_after(annotations: Labels) -> float | None:
    """Seconds after its start when a pod begins to listen: 0 without a fault, None for never."""
    name, _, number = annotations.get(LISTENER, "").partition("=")
    if name == "dead":
        return None
    try:
        return max(0.0, float(number)) if name == "late" else 0.0
    except ValueError:
        return 0.0


def is_missed(annotations: Labels) -> bool:
    """Whether the policy is enforced nowhere."""
    return _missed(annotations) == ("policy", "")


def missed_on(annotations: Labels) -> str | None:
    """The node on which the policy is not enforced."""
    what, where = _missed(annotations)
    return where if what == "node" else None


def is_missed_rule(annotations: Labels, direction: str, index: int) -> bool:
    """Whether one rule of the policy is not enforced."""
    return _missed(annotations) == (direction, str(index))


def _missed(annotations: Labels) -> tuple[str, str]:
    what, _, where = str(annotations.get(MISSED, "")).partition("=")
    return what, where
