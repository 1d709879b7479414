"""The DNS server answers nobody, policy-free pods included."""

from __future__ import annotations

from netprobe.debug.cause import Cause, Fix, Place
from netprobe.debug.evidence import Evidence, Sender


def find(evidence: Evidence) -> Cause | None:
    if evidence.dns_answers() or evidence.dns_answers(Sender.FREE) is not False:
        return None
    text = "the cluster's DNS does not answer, not even a policy-free pod"
    fix = Fix("look at the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns")
    return Cause(Place.NAME, text, fix)
