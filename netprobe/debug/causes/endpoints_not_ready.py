"""The Service has pods, and none of them is ready: it has no endpoint to send to."""

from __future__ import annotations

from netprobe.debug.cause import Cause, Fix, Place
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    service = evidence.service
    if service is None or not service.pods or service.ready:
        return None
    pod, count = service.pods[0], len(service.pods)
    pods = "its only pod is not ready" if count == 1 else f"none of its {count} pods is ready"
    text = f"{service.ref} has no ready endpoint: {pods}. {pod}: {pod.why or pod.phase}"
    fix = f"make the pods ready: kubectl describe pod -n {pod.ref.namespace} {pod.ref.name}"
    return Cause(Place.SERVICE, text, Fix(fix))
