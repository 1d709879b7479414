"""The name of the destination does not resolve in the source."""

from __future__ import annotations

from netprobe.debug.causes.cause import Cause, Fix, Place, fix_of
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Name, Sender
from netprobe.model.observation import Outcome
from netprobe.model.policy import Direction
from netprobe.model.text import listed


def name_unknown(evidence: Evidence) -> Cause | None:
    """The name does not exist, or exists in another namespace.

    "db" is the Service db of the source's own namespace; a Service of another namespace is "db.NAMESPACE".
    """
    name = evidence.name
    if name is None:
        return None
    if name.in_cluster and name.service is None:
        return _not_in_cluster(name, evidence)
    tried = evidence.first(Aim.NAME)
    if tried is None or tried.outcome is not Outcome.NO_SUCH_NAME or not evidence.dns_answers():
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
        text += f"; there is one in another namespace: {listed(others)}"
        return Cause(Place.NAME, text, Fix(f"use the name {others[0]}"))
    if name.near:
        near = f"{name.near[0].name}.{name.near[0].namespace}"
        return Cause(Place.NAME, f"{text}; the nearest name is {near}", Fix(f"use the name {near}"))
    return Cause(Place.NAME, text, Fix("create the Service, or correct the name"))


def dns_blocked(evidence: Evidence) -> Cause | None:
    """A policy blocks the source's DNS queries: it works by address but not by name.

    An egress policy isolates the source, and no rule allows port 53/UDP to the cluster's DNS.
    """
    dns, name = evidence.dns, evidence.name
    if dns is None or name is None or evidence.dns_answers():
        return None
    denials = [denial for denial in dns.denials if evidence.enforced(dns, denial)]
    if not denials:
        return None
    policies = listed(denials[0].names)
    text = (
        f"{policies} does not allow DNS for {evidence.source}: it may not send to {dns.end} on 53/UDP, so "
        f"{name.text} does not resolve"
        if denials[0].direction is Direction.EGRESS
        else f"{policies} of {dns.end} does not let {evidence.source} ask for {name.text} (53/UDP)"
    )
    fix = fix_of([dns], f"allow egress of {evidence.source} to {dns.end} on 53/UDP and 53/TCP")
    return Cause(Place.NAME if _comes_first(evidence) else Place.LISTENER, text, fix)


def _comes_first(evidence: Evidence) -> bool:
    """A Service that was given as such is reached by its address too: what blocks that comes first."""
    given = evidence.name is not None and evidence.name.given
    return given or not any(denial.direction is Direction.EGRESS for _, denial in evidence.denials())


def dns_silent(evidence: Evidence) -> Cause | None:
    """The DNS server does not answer, not even policy-free pods."""
    if not evidence.packets or evidence.dns_answers() or evidence.dns_answers(Sender.FREE) is not False:
        return None
    if any(one.node == one.to_node and one.lost for one in evidence.packets.all(Aim.CONTROL, Sender.FREE)):
        return None  # the policy-free pods have no network
    text = "the cluster's DNS does not answer anyone, not even a policy-free pod"
    fix = Fix("look at the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns")
    given = evidence.name is not None and evidence.name.given
    return Cause(Place.NAME if given else Place.PATH, text, fix)
