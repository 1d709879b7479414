"""Rules about policies of tiers: ClusterNetworkPolicies and Calico's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from netprobe.lint.cover import is_blanket
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.rules.dns import Resolvers
from netprobe.lint.rules.infrastructure import API_SERVER
from netprobe.lint.selector_sets import impossible
from netprobe.lint.view import View
from netprobe.lint.walk import Step, Subjects, Walks
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import External, Family, Pod, PodRef, Protocol
from netprobe.model.labels import EVERYTHING, labels_of_namespace
from netprobe.model.policy import (
    CALICO_KINDS,
    NETWORK_POLICY,
    Action,
    Direction,
    Policy,
)
from netprobe.model.text import listed
from netprobe.simulate import CALICO, evaluate
from netprobe.simulate.bits import pack
from netprobe.simulate.compared import PortNumber, Ports

STAND_IN = Pod(PodRef("kube-system", "netprobe-dns"), {"k8s-app": "kube-dns"})


@dataclass(frozen=True, slots=True)
class _Target:
    """`ends` serve the same on a port; `ports` are all that a client may use."""

    name: str
    severity: Severity
    ends: tuple[PodRef | External, ...]
    ports: tuple[PortNumber, ...]


@lint_rule(Severity.WARNING)
def cuts_off_dns(view: View) -> Iterator[Finding]:
    """A Deny, or the end of a tier, that cuts pods off from DNS or from the API server.

    An egress policy of a tier is not additive: what it denies, no other policy opens again. If that includes
    the cluster's DNS, its pods resolve no names, and most of what their other policies allow does not work.
    Without the API server controllers and operators stop; since most pods do not need it, this is a note.

    The DNS servers and their ports are taken from the input; if it has none, pods in `kube-system` with the
    label `k8s-app=kube-dns` are used instead. The API server is reported only if its address is known from
    the Service `default/kubernetes`. The pods that the policy selects must be in the input. For
    NetworkPolicies there is `no-dns`.

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
                yield _cut_off(walks, subjects, step, target)


def _with_resolvers(view: View) -> tuple[Cluster, _Target]:
    """The cluster; if it has no DNS pods, with a made-up one."""
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
    return cluster, _Target("DNS", Severity.WARNING, pods, tuple(ports) or ((53, Protocol.UDP),))


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


def _cut_off(walks: Walks, subjects: Subjects, step: Step, target: _Target) -> Finding:
    client = walks.evaluation.groups[subjects.groups[0]].members[0]
    what, path = step.described(Direction.EGRESS)
    return Finding.about(
        step.policy,
        path,
        f"{what} cuts pods off from {target.name}, {client} for one",
        suggestion=f"put a rule in front that allows or passes the flows to {target.name}",
        severity=target.severity,
    )


@lint_rule(Severity.WARNING)
def tier_against_policy(view: View) -> Iterator[Finding]:
    """An earlier tier that opens what NetworkPolicies close, or closes at its end what they open.

    An Allow (Accept) in an earlier tier ends the evaluation, so no NetworkPolicy is consulted: a default deny
    does not apply to its flows. That may be what a platform team wants, for monitoring say, so it is a note;
    for a rule that opens everything to all pods it is a warning.

    A Deny of everything, in a tier before NetworkPolicies, closes what they allow; as a default it belongs in
    the Baseline tier.

    In a tier of Calico whose default action is Deny, a policy that selects a pod denies at the end of the
    tier everything that no rule of the tier allows or passes. What a NetworkPolicy allows for that pod then
    never gets through. `defaultAction: Pass` for the tier, or a last rule with the action Pass, hands the
    rest over.

    The pods must be in the input.

    Example:

          apiVersion: policy.networking.k8s.io/v1beta1
          kind: ClusterNetworkPolicy
          metadata: {name: open}
          spec:
            tier: Admin
            priority: 10
            subject: {namespaces: {}}
        -   ingress: [{action: Accept, from: [{namespaces: {}}]}]
        +   ingress: [{action: Pass, from: [{namespaces: {}}]}]
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: default-deny, namespace: shop}
          spec: {podSelector: {}, policyTypes: [Ingress]}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
            spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop},
            spec: {containers: [{name: api, image: api}]}}

    Example:

          apiVersion: projectcalico.org/v3
          kind: Tier
          metadata: {name: security}
          spec: {order: 100}
          ---
          apiVersion: projectcalico.org/v3
          kind: GlobalNetworkPolicy
          metadata: {name: security.no-scanners}
          spec:
            tier: security
            types: [Ingress]
            ingress:
              - {action: Deny, source: {selector: role == 'scanner'}}
        +     - {action: Pass}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web, namespace: shop}
          spec:
            podSelector: {}
            ingress: [{ports: [{port: 80}]}]
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
            spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop},
            spec: {containers: [{name: api, image: api}]}}
    """
    if not view.ordered or not view.cluster.policies:
        return
    walks = view.walks
    reported: set[object] = set()
    for direction in Direction:
        for subjects in walks.subjects(direction):
            if not subjects.mixed:
                continue
            for port in walks.ports(subjects):
                for family in walks.families:
                    yield from _against(walks, subjects, port, family, reported)


def _against(
    walks: Walks, subjects: Subjects, port: PortNumber, family: Family | None, reported: set[object]
) -> Iterator[Finding]:
    """The steps in front of the NetworkPolicies that decide other than these."""
    policies = [policy for policy in subjects.policies if policy.kind == NETWORK_POLICY]
    allowed = walks.allowed(subjects, policies, port, family)
    others = walks.others(subjects, port)
    for step in walks.steps(subjects, port, family):
        if step.policy.kind == NETWORK_POLICY:
            return
        key = (step.policy.ref, subjects.direction, step.rule)
        opened = step.peers & ~allowed & others if step.action is Action.ALLOW else 0
        denies = step.action is Action.DENY and _is_blanket(step, subjects.direction)
        closed = step.peers & allowed & others if denies else 0
        if (opened or closed) and key not in reported:
            reported.add(key)
            sample = walks.name(subjects, opened or closed, port)
            yield _opened_or_closed(step, subjects.direction, policies, sample)


def _is_blanket(step: Step, direction: Direction) -> bool:
    """Whether it is the end of a tier, or a rule for all pods and ports."""
    located = step.located(direction)
    return located is None or is_blanket(located.rule)


def _opened_or_closed(step: Step, direction: Direction, policies: list[Policy], sample: str) -> Finding:
    what, path = step.described(direction)
    allows = step.action is Action.ALLOW
    does, would = ("opens", "deny") if allows else ("closes", "allow")
    suggestion = "use Pass if NetworkPolicies should decide"
    if step.rule is None:
        suggestion = "add a last rule with action Pass, or set the tier's defaultAction to Pass"
    elif not allows:
        suggestion += ", or the tier Baseline for a default"
    return Finding.about(
        step.policy,
        path,
        f"{what}{'' if step.rule is None else f' in the tier {step.tier.name}'} {does} what NetworkPolicy "
        f"{listed(f'{policy.ref}' for policy in policies)} would {would}, such as {sample}",
        suggestion=suggestion,
        severity=Severity.WARNING if _is_blanket(step, direction) else Severity.NOTE,
    )


@lint_rule(Severity.ERROR)
def unmatched_subject(view: View) -> Iterator[Finding]:
    """An ordered policy that applies to no pod.

    A ClusterNetworkPolicy or a policy of Calico whose subject matches nothing is accepted and has no effect:
    a mistyped label, or a namespace that does not have it. A selector that contradicts itself is an error.
    For others the pods must be in the input: those of the namespaces that match, or of the whole cluster.

    Example:

          apiVersion: projectcalico.org/v3
          kind: NetworkPolicy
          metadata: {name: default.web, namespace: shop}
          spec:
        -   selector: app == 'wbe'
        +   selector: app == 'web'
            types: [Ingress]
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
            spec: {containers: [{name: web, image: nginx}]}}
    """
    for policy in view.ordered:
        subject = policy.subject
        selectors = [
            each for each in (subject.pods, subject.namespaces, subject.accounts) if each is not None
        ]
        never = any(map(impossible, selectors))
        if never or (_knows_all_pods(view, policy) and not view.evaluation.universe.subjects(policy)):
            what = " and ".join(str(each) for each in selectors if each != EVERYTHING) or "it"
            yield Finding.about(
                policy,
                "spec.selector" if policy.kind in CALICO_KINDS else "spec.subject",
                f"no labels match {what}: the policy applies to no pod"
                if never
                else f"no pod matches {what}: the policy has no effect",
                severity=Severity.ERROR if never else Severity.WARNING,
            )


def _knows_all_pods(view: View, policy: Policy) -> bool:
    """Whether the pods are known that a policy could apply to, and there are any."""
    namespaces = policy.subject.namespaces
    if namespaces is None:
        return view.knows_pods(policy.ref.namespace) and not view.may_select(
            [policy.ref.namespace], policy.subject.pods
        )
    homes = view.namespaces(namespaces)
    known = view.known.whole or (namespaces != EVERYTHING and bool(homes))
    if view.may_select(homes, policy.subject.pods):
        return False
    return known and all(map(view.knows_pods, homes)) and bool(view.all_kinds.pods)
