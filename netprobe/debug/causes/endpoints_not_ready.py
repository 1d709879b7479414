"""The Service has pods, and none of them is ready: it has no endpoint to send to. Or TO does not run."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import PodState


def find(evidence: Evidence) -> Cause | None:
    if evidence.pods and not any(pod.runs for pod in evidence.pods):
        pod = evidence.pods[0]
        text = f"{pod} does not run: {pod.why or pod.phase}"
        return Cause(Place.SERVICE, text, Fix(f"make the pod run: {_described(pod)}"))
    service = evidence.service
    if service is None or not service.pods or service.ready:
        return None
    pod, count = service.pods[0], len(service.pods)
    pods = "its only pod is not ready" if count == 1 else f"none of its {count} pods is ready"
    text = f"{service.ref} has no ready endpoint: {pods}. {pod}: {pod.why or pod.phase}"
    return Cause(Place.SERVICE, text, Fix(f"make the pods ready: {_described(pod)}"))


def _described(pod: PodState) -> str:
    return f"kubectl describe pod -n {pod.ref.namespace} {pod.ref.name}"
