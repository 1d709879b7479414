"""The Service leads to no pod, or to a port that its pods do not serve."""

from __future__ import annotations

from netprobe.debug.causes.cause import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Leg, PodState, ServiceState
from netprobe.model.text import listed


def selector_without_pods(evidence: Evidence) -> Cause | None:
    """The Service's selector matches no pod."""
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


def endpoints_not_ready(evidence: Evidence) -> Cause | None:
    """The Service has pods, and none of them is ready: it has no endpoint to send to. Or TO does not run."""
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


def target_port(evidence: Evidence) -> Cause | None:
    """The Service's port leads to a port that its pods do not serve.

    The Service has no such port; its targetPort is a name that no container has, or that means a port that
    one pod does not serve; or it is a number that no container declares, and that is refused.
    """
    service = evidence.service
    if service is None or service.external_name or service.headless:
        return None
    if service.target is None:
        asked = f"{service.port}/{service.protocol.value}"
        text = f"{service.ref} has no port {asked}; it has {listed(service.ports) or 'none'}"
        return Cause(Place.SERVICE, text, Fix("use a port that the Service has, or add the port to it"))
    refused = [leg for leg in evidence.legs if evidence.refuses(leg)]
    if isinstance(service.target, int):
        return _numbered_port(service, service.target, refused, evidence)
    return _named_port(service, service.target, refused, evidence)


def _named_port(service: ServiceState, target: str, refused: list[Leg], evidence: Evidence) -> Cause | None:
    leads = f"port {service.port} of {service.ref} leads to the container port named {target}"
    numbers = {ref: number for ref, number in service.targets.items() if number is not None}
    if service.targets and not numbers:
        names = sorted({port.name for pod in service.pods for port in pod.ports if port.name})
        hint = f"; they have {listed(names)}" if names else ""
        fix = Fix("set targetPort to a port that the containers declare, or name the container's port")
        return Cause(Place.SERVICE, f"{leads}, and its pods have no port of that name{hint}", fix)
    if len(set(numbers.values())) > 1 and refused:
        leg = refused[0]
        others = [f"{number} in {ref}" for ref, number in numbers.items() if str(ref) != leg.end]
        text = f"{leads}: {leg.flow.port} in {leg.end}, which does not accept it, and {listed(others)}"
        fix = Fix(f"correct the number of the port {target} in the container of {leg.end}")
        return Cause(Place.SERVICE, text, _served_port(evidence, leg) or fix)
    return None


def _numbered_port(
    service: ServiceState, target: int, refused: list[Leg], evidence: Evidence
) -> Cause | None:
    declared = sorted({port.number for pod in service.pods for port in pod.ports})
    if not refused or not declared or target in declared:
        return None
    text = (
        f"port {service.port} of {service.ref} leads to targetPort {target}, which {refused[0].end} does not "
        f"accept and no container of its pods declares; they declare {listed(declared)}"
    )
    return Cause(Place.SERVICE, text, _served_port(evidence, refused[0]) or Fix("correct the targetPort"))


def _served_port(evidence: Evidence, leg: Leg) -> Fix | None:
    """Use another port, if the pod was seen to serve one."""
    for one in evidence.packets.all(Aim.OTHER_PORT) if evidence.packets else ():
        if str(one.flow.destination) == leg.end and one.connected:
            return Fix(f"point the Service at port {one.flow.port}, which {leg.end} accepts")
    return None
