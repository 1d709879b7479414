"""It works over one address family only.

A pod, Service or policy of a dual-stack cluster may serve one family alone; clients that try the other one
first wait, or fail.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    for leg in evidence.legs:
        seen = evidence.seen(leg)
        if (
            seen is None
            or seen.connected
            or evidence.free_connects(leg)
            or leg.denied
            or not evidence.answers_over_other_family(leg)
        ):
            continue
        other = 10 - (leg.flow.family or 4)
        text = (
            f"{leg.end} answers on port {leg.flow.port} over IPv{other} only; over IPv{leg.flow.family} "
            f"({leg.address}): {seen.word}"
        )
        fix = f"let the program listen over IPv{leg.flow.family} too, or make the Service IPv{other} only"
        return Cause(Place.LISTENER, text, Fix(fix))
    return None
