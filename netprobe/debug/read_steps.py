"""The steps that are read: the source, the name, the Service, the policies."""

from __future__ import annotations

from typing import Any

from netprobe.debug.evidence import Evidence
from netprobe.debug.packets import resolved
from netprobe.debug.reading import policy_name
from netprobe.debug.records import Aim, ServiceState, Source, Try
from netprobe.debug.step import Step, StepStatus, counted, data_of
from netprobe.model.text import listed
from netprobe.model.verdict import Decision, Side, Verdict

OK, PROBLEM, UNKNOWN, SKIPPED = StepStatus


def source_step(evidence: Evidence) -> Step:
    source = evidence.source
    data: dict[str, Any]
    if source.address is not None:
        data = {"kind": source.kind, "address": str(source.address.address)}
        return Step("source", OK, f"{source.text} is outside the cluster; nothing is sent from it", data)
    pod = source.pod
    data = {
        "kind": source.kind,
        "pods": [str(one) for one in source.pods],
        "ready": sum(one.ready for one in source.pods),
        "pod": str(pod) if pod else None,
        "node": pod.node if pod else None,
        "phase": pod.phase if pod else None,
        "host_network": bool(pod and pod.host_network),
        "why": pod.why if pod else None,
    }
    text = _source_text(source)
    if source.runs:
        return Step("source", OK, text, data)
    why = f": {pod.why or pod.phase}" if pod and source.pods else ""
    return Step("source", PROBLEM, text + why, data)


def _source_text(source: Source) -> str:
    pod = source.pod
    where = f" on {pod.node}" if pod and pod.node else ""
    own = " on its node's network" if pod and pod.host_network else ""
    if source.kind == "Pod":
        return f"{source.text}: Pod{where}{own}"
    if not source.pods:
        return f"{source.text}: {source.kind} without pods"
    ready = sum(one.ready for one in source.pods)
    count = len(source.pods)
    pods = counted(count, "ready pod") if ready == count else f"{counted(count, 'pod')}, {ready} ready"
    return f"{source.text}: {source.kind} with {pods} (using {pod}{where}{own})"


def name_step(evidence: Evidence) -> Step:
    name = evidence.name
    if name is None:
        return Step("name", SKIPPED, "TO is not a name")
    packets = evidence.packets
    tried = next(packets.all(Aim.NAME), None) if packets else None
    address = resolved(tried.text) if tried else None
    data: dict[str, Any] = {
        "name": name.text,
        "service": str(name.service) if name.service else None,
        "elsewhere": list(map(str, name.elsewhere)),
        "near": list(map(str, name.near)),
        "address": address,
        "tries": [
            data_of(one) for aim in (Aim.NAME, Aim.DNS) for one in (packets.all(aim) if packets else ())
        ],
    }
    status, text = _name(evidence, tried, address)
    return Step("name", status, f"{name.text} {text}", data)


def _name(evidence: Evidence, tried: Try | None, address: str | None) -> tuple[StepStatus, str]:
    name = evidence.name
    assert name is not None  # noqa: S101
    if name.in_cluster and name.service is None:
        return PROBLEM, "is no Service of the cluster"
    if tried is not None and tried.resolved:
        return OK, f"resolves to {address} in the pod" if address else "resolves in the pod"
    if tried is not None and evidence.dns_answers() is not None:
        silent = not evidence.dns_answers()
        why = "the DNS server does not answer it" if silent else "the DNS server knows no such name"
        return PROBLEM, f"does not resolve in the pod: {why}"
    if name.service is None:
        return UNKNOWN, "was not looked up"
    if evidence.dns is not None and evidence.dns.denied:
        return PROBLEM, f"is {name.service}, but policies deny the pod's DNS queries"
    return OK, f"is {name.service}; it was not looked up"


def service_step(evidence: Evidence) -> Step:
    service = evidence.service
    if service is None:
        return Step("service", SKIPPED, "no Service on the way")
    data: dict[str, Any] = {
        "service": str(service.ref),
        "selector": dict(service.selector) if service.selector else None,
        "port": service.port,
        "target_port": service.target,
        "ports": list(service.ports),
        "pods": [{"pod": str(pod), "ready": pod.ready, "why": pod.why or None} for pod in service.pods],
        "endpoints": None if service.endpoints is None else list(service.endpoints),
        "targets": {str(ref): number for ref, number in service.targets.items()},
    }
    status, text = _service(service, evidence)
    return Step("service", status, text, data)


def _service(service: ServiceState, evidence: Evidence) -> tuple[StepStatus, str]:
    if service.external_name:
        return OK, f"{service.ref} is an alias of {service.external_name}"
    if service.target is None and not service.headless:
        return PROBLEM, f"no port {service.port}; it has {listed(service.ports) or 'none'}"
    leads = f"port {service.port}"
    if service.target not in {None, service.port}:
        leads += f" -> targetPort {service.target}"
    count = len(service.pods)
    if not count:
        manual = len(service.endpoints or ()) if not service.selector else 0
        what = counted(manual, "endpoint") if not service.selector else "its selector matches no pod"
        return (OK if manual else PROBLEM), f"{leads}: {what}"
    ready = len(service.ready)
    if not ready:
        return PROBLEM, f"{leads}: {counted(count, 'pod')}, none ready ({service.pods[0].why})"
    odd = list(_oddities(service, evidence))
    endpoints = counted(ready, "endpoint") + (f" of {count} pods" if ready < count else "")
    return (PROBLEM if odd else OK), "; ".join([f"{leads}: {endpoints}", *odd])


def _oddities(service: ServiceState, evidence: Evidence) -> list[str]:
    """What is strange about the port that the Service leads to."""
    lacking = [ref for ref, number in service.targets.items() if number is None]
    numbers = sorted({number for number in service.targets.values() if number})
    declared = {port.number for pod in service.pods for port in pod.ports}
    found = [f"{listed(lacking)} has no port of that name"] if lacking else []
    if len(numbers) > 1:
        found.append(f"the name means {listed(numbers)} in different pods")
    refused = any(evidence.refuses(leg) for leg in evidence.legs)
    if isinstance(service.target, int) and declared and service.target not in declared and refused:
        found.append(f"no container declares {service.target}")
    return found


def policies_step(evidence: Evidence) -> Step:
    data: dict[str, Any] = {
        "legs": [
            {
                "to": str(leg),
                "family": leg.flow.family,
                "verdict": leg.decision.verdict.value,
                "egress": _side_data(leg.decision.egress),
                "ingress": _side_data(leg.decision.ingress),
                "undefined": leg.decision.undefined,
                "reason": leg.decision.reason,
            }
            for leg in evidence.legs
        ],
        "not_simulated": list(evidence.others),
    }
    if not evidence.legs:
        return Step("policies", SKIPPED, "there is nothing to connect to", data)
    denied = [leg for leg in evidence.legs if leg.denied]
    unknown = [leg for leg in evidence.legs if leg.decision.verdict is Verdict.UNKNOWN]
    if denied:
        text = f"denied{evidence.portion(denied)}: {_sides(denied[0].decision)}"
        return Step("policies", PROBLEM, text, data)
    if unknown:
        return Step("policies", UNKNOWN, str(unknown[0].decision.reason), data)
    return Step("policies", OK, f"allowed: {_sides(evidence.legs[0].decision)}", data)


def _sides(decision: Decision) -> str:
    if decision.reason and not decision.because:
        return decision.reason
    both = (decision.egress, decision.ingress)
    denying = [side for side in both if side.verdict is Verdict.DENY]
    return ", ".join(map(_side, denying or both))


def _side(side: Side) -> str:
    if side.verdict is Verdict.DENY:
        names = listed(dict.fromkeys(map(policy_name, side.denying or side.isolating)))
        return f"{side.direction.value} by {names}"
    if not side.allowing:
        return f"{side.direction.value} is not isolated"
    cause = side.allowing[0]
    rule = "" if cause.rule is None else f" rule {cause.rule}"
    return f"{side.direction.value} by {policy_name(cause)}{rule}"


def _side_data(side: Side) -> dict[str, Any]:
    causes = side.because or side.isolating
    return {
        "verdict": side.verdict.value,
        "because": [
            {
                "kind": cause.kind,
                "policy": str(cause.policy),
                "tier": cause.tier,
                "effect": cause.effect.value,
                "rule": cause.rule,
            }
            for cause in causes
        ],
    }
