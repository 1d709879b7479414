"""The source does not run, or the destination does not listen."""

from __future__ import annotations

from netprobe.debug.causes.cause import Cause, Fix, Place
from netprobe.debug.causes.service import target_port
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Leg
from netprobe.model.text import listed


def source_not_running(evidence: Evidence) -> Cause | None:
    """The source does not run, or it has finished.

    A pod that is pending, crashed or completed sends nothing, whatever the policies say.
    """
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


def no_listener(evidence: Evidence) -> Cause | None:
    """Nothing listens on the port, or only on the loopback address.

    A refusal alone does not show this, since some network plugins reject what policies deny: here the
    policies allow the source, or a policy-free pod, and that one is refused.
    """
    refusing = [
        leg
        for leg in evidence.legs
        if evidence.refuses(leg) and not (leg.proven or evidence.answers_over_other_family(leg))
    ]
    if not refusing or any(evidence.connects(leg) for leg in evidence.legs) or evidence.outside:
        return None
    if target_port(evidence):
        return None
    leg = refusing[0]
    loopback = _on_loopback(evidence, leg)
    if loopback:
        text = f"{leg.end} listens on port {leg.flow.port} on its loopback address only ({loopback})"
        return Cause(Place.LISTENER, text, Fix("let the program listen on all addresses: 0.0.0.0 or ::"))
    free = evidence.free(leg)
    confirmed = free is not None and free.refused
    ends = listed(dict.fromkeys(leg.end for leg in refusing))
    text = f"nothing accepts connections on port {leg.flow.port} of {ends}: refused"
    text += ", to a policy-free pod too" if confirmed else ", though the policies allow it"
    if evidence.listeners(leg) is None:
        text += "; it may listen on its loopback address only, which --ephemeral shows"
    fix = Fix(f"make {ends} listen on {leg.port} on all addresses, or use the port that it serves")
    if confirmed or evidence.listeners(leg) is not None:
        return Cause(Place.LISTENER, text, fix)
    stale = f"the rules of {leg.node} do not match the policies, and reject it"
    apart = "--ephemeral reads what the pod listens on"
    return Cause(Place.LISTENER, text, fix, or_else=(stale,), tell_apart=apart)


def _on_loopback(evidence: Evidence, leg: Leg) -> str:
    """The loopback address that has a listener on the port, if no other address has one."""
    found = [one for one in evidence.listeners(leg) or () if one.port == leg.flow.port]
    return found[0].address if found and all(one.loopback for one in found) else ""


def one_family(evidence: Evidence) -> Cause | None:
    """It works over one address family only.

    A pod, Service or policy of a dual-stack cluster may serve one family alone; clients that try the other
    one first wait, or fail.
    """
    for leg in evidence.legs:
        seen = evidence.seen(leg)
        if (
            seen is None
            or seen.connected
            or evidence.free_connects(leg)
            or leg.denied
            or not evidence.answers_over_other_family(leg)
        ):
            continue
        other = 10 - (leg.flow.family or 4)
        text = (
            f"{leg.end} answers on port {leg.flow.port} over IPv{other} only; over IPv{leg.flow.family} "
            f"({leg.address}): {seen.word}"
        )
        fix = f"let the program listen over IPv{leg.flow.family} too, or make the Service IPv{other} only"
        return Cause(Place.LISTENER, text, Fix(fix))
    return None


def some_backends(evidence: Evidence) -> Cause | None:
    """Only some backends accept connections, so a part of the connections fails."""
    ends = dict.fromkeys(leg.end for leg in evidence.legs)
    working = [end for end in ends if evidence.reaches(end)]
    refusing = [leg for leg in evidence.legs if evidence.refuses(leg) and leg.end not in working]
    if not working or not refusing or target_port(evidence):
        return None
    failing = list(dict.fromkeys(leg.end for leg in refusing))
    port = refusing[0].flow.port
    text = (
        f"{len(failing)} of {len(ends)} backends refuse connections: {listed(failing)} on port {port}; "
        f"{listed(working)} {'accepts' if len(working) == 1 else 'accept'} them"
    )
    fix = f"find out why nothing listens on port {port} in {listed(failing)}"
    return Cause(Place.LISTENER, text, Fix(fix))
