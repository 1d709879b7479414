"""The root causes of blocked traffic: one function each, in modules by what is wrong.

A function returns the Cause if the evidence shows it, else None. Its docstring says what the cause is; its
name is the cause's id (`ingress_policy` is "ingress-policy"). A cause is found only if the evidence excludes
the others; if it fits two, one Cause names both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from netprobe.debug.causes import names, path, pods, policies, service
from netprobe.debug.causes.cause import Cause, Fix, Place
from netprobe.debug.evidence import Evidence

CAUSES: Final[Mapping[str, Callable[[Evidence], Cause | None]]] = {
    find.__name__.replace("_", "-"): find
    for find in (
        policies.almost_allowed,
        policies.both_policies,
        names.dns_blocked,
        names.dns_silent,
        policies.egress_policy,
        service.endpoints_not_ready,
        policies.host_network,
        policies.ingress_policy,
        names.name_unknown,
        pods.no_listener,
        policies.not_enforced,
        pods.one_family,
        policies.other_policy,
        path.outside_silent,
        path.packets_dropped,
        service.selector_without_pods,
        pods.some_backends,
        pods.source_not_running,
        service.target_port,
    )
}
"""By id. Of several at one place on the path, the first here is named first."""

__all__ = ["CAUSES", "Cause", "Fix", "Place", "find_all"]


def find_all(evidence: Evidence) -> list[tuple[str, Cause]]:
    """Every cause that the evidence shows, with its id; the earliest on the path first."""
    found = [(name, cause) for name, find in CAUSES.items() if (cause := find(evidence))]
    return sorted(found, key=lambda pair: pair[1].place)
