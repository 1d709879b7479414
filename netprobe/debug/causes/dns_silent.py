"""The DNS server answers nobody, policy-free pods included."""

from __future__ import annotations

from netprobe.debug.causes import Cause, Fix, Place
from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Aim, Sender


def find(evidence: Evidence) -> Cause | None:
    if not evidence.packets or evidence.dns_answers() or evidence.dns_answers(Sender.FREE) is not False:
        return None
    if any(one.node == one.to_node and one.lost for one in evidence.packets.all(Aim.CONTROL, Sender.FREE)):
        return None  # the policy-free pods have no network
    text = "the cluster's DNS does not answer, not even a policy-free pod"
    fix = Fix("look at the cluster's DNS: kubectl get pods -n kube-system -l k8s-app=kube-dns")
    given = evidence.name is not None and evidence.name.given
    return Cause(Place.NAME if given else Place.PATH, text, fix)
