"""Lists of things, as the messages write them."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model.flow import Pod

SHOWN = 3


def listed(names: Iterable[str]) -> str:
    """ "a, b and c"; "a, b, c and 4 more" where there are many."""
    found = list(dict.fromkeys(names))
    if len(found) > SHOWN + 1:
        return f"{', '.join(found[:SHOWN])} and {len(found) - SHOWN} more"
    if len(found) > 1:
        return f"{', '.join(found[:-1])} and {found[-1]}"
    return "".join(found)


def counted(number: int, noun: str) -> str:
    """ "1 pod", "3 pods"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def workloads(pods: Iterable[Pod]) -> list[str]:
    """ "Deployment/web" for pods that come from one, "pod/web" for the others; each once."""
    return list(dict.fromkeys(pod.workload or f"pod/{pod.ref.name}" for pod in pods))
