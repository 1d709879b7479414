"""A Deny, or the end of a tier, that cuts pods off from DNS or from the API server.

An egress policy of a tier is not additive: what it denies, no other policy opens again. If that includes the
cluster's DNS, its pods resolve no names, and most of what their other policies allow does not work. Without
the API server controllers and operators stop; since most pods do not need it, this is a note.

The DNS servers and their ports are taken from the input; if it has none, pods in `kube-system` with the
label `k8s-app=kube-dns` are used instead. The API server is reported only if its address is known from the
Service `default/kubernetes`. The pods that the policy selects must be in the input. For NetworkPolicies
there is `no-dns`.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: stay-in}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
        egress:
    +     - action: Accept
    +       to: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
    +       protocols: [{udp: {destinationPort: {number: 53}}}, {tcp: {destinationPort: {number: 53}}}]
          - {action: Pass, to: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}]}
          - {action: Deny, to: [{namespaces: {}}]}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
        spec: {containers: [{name: web, image: nginx}]}}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from netprobe.lint.dns import Resolvers
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.lint.walk import Step, Subjects, Walks
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import External, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import labels_of_namespace
from netprobe.model.policy import NETWORK_POLICY, Action, Direction
from netprobe.simulate import CALICO, evaluate
from netprobe.simulate.bits import pack
from netprobe.simulate.compared import PortNumber, Ports

SEVERITY = Severity.WARNING
STAND_IN = Pod(PodRef("kube-system", "netprobe-dns"), {"k8s-app": "kube-dns"})
API_SERVER = ServiceRef("default", "kubernetes")


@dataclass(frozen=True, slots=True)
class _Target:
    """`ends` serve the same on a port; `ports` are all that a client may use."""

    name: str
    severity: Severity
    ends: tuple[PodRef | External, ...]
    ports: tuple[PortNumber, ...]


def check(view: View) -> Iterator[Finding]:
    if not any(policy.egress is not None for policy in view.ordered):
        return
    cluster, dns = _with_resolvers(view)
    targets = [dns, *_api_server(cluster)]
    externals = [end for target in targets for end in target.ends if isinstance(end, External)]
    walks = Walks(evaluate(cluster, CALICO, externals=externals), Ports(cluster, cluster))
    reported: set[object] = set()
    for every in walks.subjects(Direction.EGRESS):
        for target in targets:
            own = {walks.evaluation.group_of(end).index for end in target.ends}
            subjects = replace(every, groups=tuple(group for group in every.groups if group not in own))
            if not subjects.groups:
                continue
            step = _cutting(walks, subjects, target)
            key = step and (step.policy.ref, step.rule, target.name)
            if step is not None and key not in reported:
                reported.add(key)
                yield _finding(walks, subjects, step, target)


def _with_resolvers(view: View) -> tuple[Cluster, _Target]:
    """The cluster, with a pod that stands for DNS if it has none."""
    cluster, pods = view.all_kinds, tuple(sorted(Resolvers(view).pods))
    if not pods:
        name = STAND_IN.ref.namespace
        known = cluster.namespaces.get(name) or Namespace(name, labels_of_namespace(name, {}))
        cluster = replace(
            cluster,
            pods={**cluster.pods, STAND_IN.ref: STAND_IN},
            namespaces={**cluster.namespaces, name: known},
        )
        pods = (STAND_IN.ref,)
    ports = {
        (port.number, port.protocol)
        for ref in pods
        for port in cluster.pods[ref].ports
        if port.number in {53, 5353} and port.protocol is Protocol.UDP
    }
    return cluster, _Target("DNS", SEVERITY, pods, tuple(ports) or ((53, Protocol.UDP),))


def _api_server(cluster: Cluster) -> Iterator[_Target]:
    service = cluster.services.get(API_SERVER)
    endpoints = service.endpoints or () if service is not None else ()
    ends = tuple(External(each.address, "the API server") for each in endpoints)
    if ends:
        ports = {(each.port, each.protocol) for each in endpoints}
        yield _Target("the API server", Severity.NOTE, ends, tuple(ports))


def _cutting(walks: Walks, subjects: Subjects, target: _Target) -> Step | None:
    """The step that denies the last way to a target; None if there is a way, or a NetworkPolicy denies it."""
    evaluation = walks.evaluation
    groups = {evaluation.group_of(end).index for end in target.ends}
    ends, found = pack(groups, len(evaluation.groups)), None
    for port in target.ports:
        for family in walks.families:
            heard = ends & pack(
                (g for g in groups if evaluation.groups[g].has_family(family)), len(evaluation.groups)
            )
            denied = 0
            for step in walks.steps(subjects, port, family):
                if step.action is Action.DENY and step.peers & heard:
                    denied |= step.peers & heard
                    if step.policy.kind == NETWORK_POLICY:
                        return None
                    found = found or step
            if denied != heard:
                return None
    return found


def _finding(walks: Walks, subjects: Subjects, step: Step, target: _Target) -> Finding:
    client = walks.evaluation.groups[subjects.groups[0]].members[0]
    what, path = step.described(Direction.EGRESS)
    return Finding.about(
        step.policy,
        path,
        f"{what} cuts pods off from {target.name}, {client} for one",
        suggestion=f"put a rule in front that allows or passes the flows to {target.name}",
        severity=target.severity,
    )
