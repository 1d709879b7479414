"""The parts of the path in its order, each as a line with the data behind it.

What is read comes first: the source, the name, the Service, the policies. Then what packets show: listeners,
connections, paths.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from netprobe.debug.evidence import Evidence
from netprobe.debug.packets import resolved
from netprobe.debug.reading import policy_name
from netprobe.debug.records import Aim, Leg, Packets, Sender, ServiceState, Source, Try
from netprobe.model.flow import Family
from netprobe.model.observation import Outcome
from netprobe.model.text import listed
from netprobe.model.verdict import Decision, Side, Verdict

SHOWN: Final = 4
"""The line about packets has this many tries."""


class StepStatus(Enum):
    OK = "ok"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One part of the path; `evidence` is plain data."""

    name: str
    status: StepStatus
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)


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
    pods = _counted(count, "ready pod") if ready == count else f"{_counted(count, 'pod')}, {ready} ready"
    return f"{source.text}: {source.kind} with {pods} (using {pod}{where}{own})"


def name_step(evidence: Evidence) -> Step:
    name = evidence.name
    if name is None:
        return Step("name", SKIPPED, "TO is not a name")
    packets = evidence.packets
    tried = evidence.first(Aim.NAME)
    address = resolved(tried.text) if tried else None
    data: dict[str, Any] = {
        "name": name.text,
        "service": str(name.service) if name.service else None,
        "elsewhere": list(map(str, name.elsewhere)),
        "near": list(map(str, name.near)),
        "address": address,
        "tries": [_data(one) for aim in (Aim.NAME, Aim.DNS) for one in (packets.all(aim) if packets else ())],
    }
    status, text = _name(evidence, tried, address)
    return Step("name", status, f"{name.text} {text}", data)


def _name(evidence: Evidence, tried: Try | None, address: str | None) -> tuple[StepStatus, str]:
    name = evidence.name
    assert name is not None  # noqa: S101
    if name.in_cluster and name.service is None:
        return PROBLEM, "leads to no Service"
    if tried is not None and tried.resolved:
        return OK, f"resolves to {address} in the pod" if address else "resolves in the pod"
    if tried is not None and evidence.dns_answers() is not None:
        silent = not evidence.dns_answers()
        why = "the DNS server does not answer the pod" if silent else "the DNS server knows no such name"
        return PROBLEM, f"does not resolve in the pod: {why}"
    if name.service is None:
        return UNKNOWN, "was not looked up"
    if evidence.dns is not None and evidence.dns.denied:
        return PROBLEM, f"belongs to {name.service}, but policies deny the pod's DNS queries"
    return OK, f"belongs to {name.service}; it was not looked up"


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
        what = _counted(manual, "endpoint") if not service.selector else "its selector matches no pod"
        return (OK if manual else PROBLEM), f"{leads}: {what}"
    ready = len(service.ready)
    if not ready:
        return PROBLEM, f"{leads}: {_counted(count, 'pod')}, none ready ({service.pods[0].why})"
    odd = list(_oddities(service, evidence))
    endpoints = _counted(ready, "endpoint") + (f" of {count} pods" if ready < count else "")
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


def listener_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    data: dict[str, Any] = {
        "readiness": [str(leg) for leg in evidence.legs if leg.proven],
        "listening": {
            str(ref): [f"{one.address}:{one.port}" for one in found]
            for ref, found in (packets.listeners if packets else {}).items()
        },
    }
    if not evidence.legs:
        return Step("listener", SKIPPED, "there is nothing to connect to", data)
    accepts = [
        leg for leg in evidence.legs if leg.proven or evidence.connects(leg) or evidence.free_connects(leg)
    ]
    refuses = [leg for leg in evidence.legs if evidence.refuses(leg) and leg not in accepts]
    rest = [leg for leg in evidence.legs if leg not in accepts and leg not in refuses]
    one_family = {leg.end for leg in accepts} & {leg.end for leg in refuses}
    parts = [*_accepting(accepts, "accept", one_family), *_accepting(refuses, "refuse", one_family)]
    parts += [f"{listed(dict.fromkeys(map(str, rest)))}: unknown"] if rest else []
    status = PROBLEM if refuses else OK if accepts else UNKNOWN
    return Step("listener", status, "; ".join(parts), data)


def _accepting(legs: Iterable[Leg], stem: str, one_family: Collection[str]) -> Iterator[str]:
    """ "shop/db-0 accepts 5432", or that of several pods, for each port; with the family for `one_family`."""
    found: dict[tuple[int, Family | None], dict[str, None]] = {}
    for leg in legs:
        family = leg.flow.family if leg.end in one_family else None
        found.setdefault((leg.flow.port, family), {})[leg.end] = None
    for (port, family), ends in found.items():
        over = f" over IPv{family}" if family else ""
        yield f"{listed(ends)} {stem}{'s' if len(ends) == 1 else ''} {port}{over}"


def packets_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    if packets is None:
        return Step("packets", SKIPPED, evidence.unsent)
    data: dict[str, Any] = {
        "run": packets.run,
        "tries": [_data(one) for one in packets.tries],
        "canaries": [
            {"node": one.node, "in_force": one.in_force, "seen_s": round(one.seen_s, 2)}
            for one in packets.canaries
        ],
        "lag_s": packets.lag_s,
        "kernel": packets.kernel,
    }
    sent = [tried for leg in evidence.legs if (tried := evidence.seen(leg))]
    if not sent:
        return Step("packets", SKIPPED, evidence.unsent or "there is nothing to connect to", data)
    more = [f"{len(sent) - SHOWN} more"] if len(sent) > SHOWN else []
    parts = [*(f"{_target(one)} {_said(one)}" for one in sent[:SHOWN]), *more]
    parts += [*_through_service(packets), *_kernel(packets)]
    return Step("packets", _status(sent), "; ".join(parts), data)


def _status(sent: Iterable[Try]) -> StepStatus:
    failed = [one for one in sent if not one.connected]
    if failed and all(one.outcome in {Outcome.EXEC_FAILED, Outcome.SKIPPED} for one in failed):
        return UNKNOWN
    return PROBLEM if failed else OK


def _target(tried: Try) -> str:
    port = tried.flow.port
    return f"[{tried.host}]:{port}" if ":" in tried.host else f"{tried.host}:{port}"


def _said(tried: Try) -> str:
    """What became of a try, in a few words."""
    if tried.connected and tried.latency_ms is not None:
        return f"connects in {tried.latency_ms:.1f} ms"
    if tried.outcome is Outcome.EXEC_FAILED:
        return f"not tried: {tried.text}"
    return tried.word


def _through_service(packets: Packets) -> Iterator[str]:
    outcomes = [outcome for one in packets.all(Aim.SERVICE) for outcome in one.outcomes]
    if outcomes:
        good = sum(outcome is Outcome.CONNECTED for outcome in outcomes)
        yield f"through the Service {good} of {len(outcomes)} connect"


def _kernel(packets: Packets) -> Iterator[str]:
    """Which side's rules denied a packet, by the counters of a lab."""
    for step in packets.kernel["steps"] if packets.kernel else ():
        if step["effect"] == "denied":
            yield f"the kernel of {step['node']} counted it: {step['stage']} denied"


def path_step(evidence: Evidence) -> Step:
    packets = evidence.packets
    if packets is None:
        return Step("path", SKIPPED, "not tried")
    if evidence.outside:
        free = [one for leg in evidence.legs if (one := evidence.free(leg))]
    else:
        free = list(packets.all(Aim.CONTROL, Sender.FREE))
    data = {"pairs": [_data(one) for one in free]}
    if not free:
        return Step("path", SKIPPED, "not tried", data)
    if evidence.outside:
        text = f"a pod without policies on {free[0].node}: {_target(free[0])} {_said(free[0])}"
        return Step("path", OK if free[0].connected else PROBLEM, text, data)
    broken = [one for one in free if one.lost]
    unknown = [one for one in free if not one.connected and not one.lost]
    status = PROBLEM if broken else UNKNOWN if unknown else OK
    verb = "does not connect" if broken or unknown else "connects"
    here = evidence.source.pod.node if evidence.source.pod else None
    ends = {leg.node for leg in evidence.legs}
    shown = broken or unknown or [one for one in free if one.node == here and one.to_node in ends] or free
    where = listed(dict.fromkeys(map(_way, shown)))
    return Step("path", status, f"a pod pair without policies {verb} {where}", data)


def _way(tried: Try) -> str:
    return f"within {tried.node}" if tried.node == tried.to_node else f"from {tried.node} to {tried.to_node}"


def _counted(count: int, what: str) -> str:
    """ "1 pod", "2 pods"."""
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _data(tried: Try) -> dict[str, Any]:
    """A try as plain data; `policies` is what they say about it."""
    return {
        "from": tried.sender.value,
        "aim": tried.aim.value,
        "node": tried.node,
        "to": tried.host if tried.aim in {Aim.NAME, Aim.DNS} else str(tried.flow.destination),
        "to_node": tried.to_node,
        "host": tried.host,
        "port": tried.flow.port,
        "protocol": tried.flow.protocol.value,
        "family": tried.flow.family,
        "policies": tried.expected.value,
        "outcomes": [outcome.value for outcome in tried.outcomes],
        "latency_ms": tried.latency_ms,
    }


STEPS = (source_step, name_step, service_step, listener_step, policies_step, packets_step, path_step)
"""In the order of the path."""
