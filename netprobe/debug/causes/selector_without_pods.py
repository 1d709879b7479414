"""The Service's selector matches no pod."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    service = evidence.service
    if service is None or service.external_name or service.pods:
        return None
    if not service.selector:
        if service.endpoints is None or service.endpoints:
            return None
        text = f"{service.ref} has no selector, and no EndpointSlice gives it endpoints"
        return Cause(Place.SERVICE, text, Fix("add a selector to the Service, or an EndpointSlice"))
    written = ",".join(f"{key}={value}" for key, value in service.selector.items())
    text = f"the selector of {service.ref} ({written}) matches no pod of {service.ref.namespace}"
    if service.idle:
        text = f"{text}: {service.idle[0]}, whose pods it would match, has none"
        return Cause(Place.SERVICE, text, Fix(f"start pods of {service.idle[0]}"))
    if service.almost:
        pod, labels = next(iter(service.almost.items()))
        fix = Fix(f"select {labels} in {service.ref}, or change the labels of {pod}")
        return Cause(Place.SERVICE, f"{text}; {pod} has {labels}", fix)
    return Cause(Place.SERVICE, text, Fix(f"correct the selector of {service.ref}, or start its pods"))
