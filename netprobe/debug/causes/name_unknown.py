"""The name of the destination does not exist, or exists in another namespace.

"db" is the Service db of the source's own namespace; a Service of another namespace is "db.NAMESPACE".
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Name
from netprobe.model.observation import Outcome
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    name = evidence.name
    if name is None:
        return None
    if name.in_cluster and name.service is None:
        return _not_in_cluster(name, evidence)
    if evidence.outcome(Aim.NAME) is not Outcome.NO_SUCH_NAME:
        return None
    if not evidence.dns_answers():
        return None
    if name.service is not None:
        text = (
            f"{name.text} does not resolve in {evidence.source}, though {name.service} exists and the DNS "
            "server answers"
        )
        fix = Fix("look at dnsPolicy and dnsConfig of the pod, and at the log of the DNS server")
        return Cause(Place.NAME, text, fix)
    return Cause(Place.NAME, f"the DNS server answers that there is no {name.text}", Fix("correct the name"))


def _not_in_cluster(name: Name, evidence: Evidence) -> Cause:
    text = f"there is no Service {name.text}, as seen from {evidence.source}"
    if name.elsewhere:
        others = [f"{one.name}.{one.namespace}" for one in name.elsewhere]
        text += f"; one of that name is in another namespace: {listed(others)}"
        return Cause(Place.NAME, text, Fix(f"use the name {others[0]}"))
    if name.near:
        near = f"{name.near[0].name}.{name.near[0].namespace}"
        return Cause(Place.NAME, f"{text}; the nearest name is {near}", Fix(f"use the name {near}"))
    return Cause(Place.NAME, text, Fix("create the Service, or correct the name"))
