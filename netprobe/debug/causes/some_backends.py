"""It works for some backends only: one in so many connections fails."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place, target_port
from netprobe.debug.evidence import Evidence
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    ends = dict.fromkeys(leg.end for leg in evidence.legs)
    working = [end for end in ends if evidence.reaches(end)]
    refusing = [leg for leg in evidence.legs if evidence.refuses(leg) and leg.end not in working]
    if not working or not refusing or target_port.find(evidence):
        return None
    failing = list(dict.fromkeys(leg.end for leg in refusing))
    port = refusing[0].flow.port
    text = (
        f"{len(failing)} of {len(ends)} backends refuse connections: {listed(failing)} on port {port}; "
        f"{listed(working)} {'accepts' if len(working) == 1 else 'accept'} them"
    )
    fix = f"find out why nothing listens on port {port} in {listed(failing)}"
    return Cause(Place.LISTENER, text, Fix(fix))
