"""The Service's port leads to a port that its pods do not serve.

The Service has no such port; its targetPort is a name that no container has, or that means a port that one
pod does not serve; or it is a number that no container declares, and that is refused.
"""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Leg, ServiceState
from netprobe.model.text import listed


def find(evidence: Evidence) -> Cause | None:
    service = evidence.service
    if service is None or service.external_name or service.headless:
        return None
    if service.target is None:
        asked = f"{service.port}/{service.protocol.value}"
        text = f"{service.ref} has no port {asked}; it has {listed(service.ports) or 'none'}"
        return Cause(Place.SERVICE, text, Fix("use a port that the Service has, or add the port to it"))
    refused = [leg for leg in evidence.legs if evidence.refuses(leg)]
    if isinstance(service.target, int):
        return _number(service, service.target, refused, evidence)
    return _name(service, service.target, refused, evidence)


def _name(service: ServiceState, target: str, refused: list[Leg], evidence: Evidence) -> Cause | None:
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
        return Cause(Place.SERVICE, text, _served(evidence, leg) or fix)
    return None


def _number(service: ServiceState, target: int, refused: list[Leg], evidence: Evidence) -> Cause | None:
    declared = sorted({port.number for pod in service.pods for port in pod.ports})
    if not refused or not declared or target in declared:
        return None
    text = (
        f"port {service.port} of {service.ref} leads to targetPort {target}, which {refused[0].end} does not "
        f"accept and no container of its pods declares; they declare {listed(declared)}"
    )
    return Cause(Place.SERVICE, text, _served(evidence, refused[0]) or Fix("correct the targetPort"))


def _served(evidence: Evidence, leg: Leg) -> Fix | None:
    """Use another port, if the pod was seen to serve one."""
    for one in evidence.packets.all(Aim.OTHER_PORT) if evidence.packets else ():
        if str(one.flow.destination) == leg.end and one.connected:
            return Fix(f"point the Service at port {one.flow.port}, which {leg.end} accepts")
    return None
