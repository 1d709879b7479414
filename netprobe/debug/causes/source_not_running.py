"""The source does not run, or it has finished.

A pod that is pending, crashed or completed sends nothing, whatever the policies say.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence


def find(evidence: Evidence) -> Cause | None:
    source = evidence.source
    if source.runs:
        return None
    pod = source.pod
    if pod is None:
        text = f"{source.text} sends nothing: this {source.kind} has no pods"
        return Cause(Place.SOURCE, text, Fix(f"start a pod of {source.text}, such as with kubectl scale"))
    where = f"-n {pod.ref.namespace}"
    if pod.phase in {"Succeeded", "Failed"}:
        text = f"{pod} has finished ({pod.phase}), so it sends nothing"
        fix = f"start {source.text} again; kubectl logs {where} {pod.ref.name} shows why it ended"
        return Cause(Place.SOURCE, text, Fix(fix))
    text = f"{pod} does not run: {pod.why or pod.phase}"
    return Cause(Place.SOURCE, text, Fix(f"make the pod run: kubectl describe pod {where} {pod.ref.name}"))
