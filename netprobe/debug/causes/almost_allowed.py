"""A policy almost allows it: one label, namespace, port, protocol, Service port or policy type is off."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Place, fix_of
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    found = [
        (leg, denial.near)
        for leg, denial in evidence.denials()
        if denial.near and not (denial.other or denial.host_network or evidence.at_both_ends(leg))
    ]
    if not found:
        return None
    leg, near = found[0]
    text = (
        f"{near.policy} almost allows {leg.port} from {evidence.source} to {leg.end} "
        f"({near.miss.value}): {near.text}{evidence.portion(leg for leg, _ in found)}"
    )
    return Cause(Place.POLICIES, text, fix_of((leg for leg, _ in found), f"correct {near.policy}"))
