"""Rules about whole objects: rejected, repeated, staged, of unknown kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from netprobe.lint.linter import IGNORE
from netprobe.lint.located import located_rules
from netprobe.lint.rule import Finding, Severity, catalogue, lint_rule
from netprobe.lint.view import View
from netprobe.lint.walk import destinations
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.policy import (
    CALICO_KINDS,
    STANDARD_TIERS,
    Action,
    DomainPeer,
    NodePeer,
    Peer,
    PolicyRef,
    Staged,
    UnknownPeer,
)
from netprobe.model.text import listed
from netprobe.policies.records import as_enforced, ref_of
from netprobe.simulate import CALICO, Evaluation, evaluate_both
from netprobe.simulate.bits import Weights, pack, unpack
from netprobe.simulate.compared import PortNumber, Ports, outside


@lint_rule(Severity.WARNING)
def bad_ignore(view: View) -> Iterator[Finding]:
    """An annotation that should silence a rule but does not.

    `netprobe.dev/ignore-RULE: reason` silences one rule for one policy. If the rule does not exist, its name
    is probably misspelled. An empty reason silences nothing: the next reader needs to know why the rule is
    ignored.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata:
            name: gateway
            namespace: edge
        -   annotations: {netprobe.dev/ignore-egress-to-anywere: the gateway calls the whole internet}
        +   annotations: {netprobe.dev/ignore-egress-to-anywhere: the gateway calls the whole internet}
          spec: {podSelector: {}, policyTypes: [Ingress]}
    """
    for policy in view.cluster.policies:
        for key, reason in view.annotations.get(policy.ref, {}).items():
            if not key.startswith(IGNORE):
                continue
            name = key.removeprefix(IGNORE)
            if name not in catalogue():
                near = get_close_matches(name, catalogue(), n=1)
                message = f"there is no rule {name}"
                suggestion = (
                    f"did you mean {near[0]}?" if near else "`netprobe lint --explain` lists the rules"
                )
            elif not reason.strip():
                message = f"{key} has no effect without a reason"
                suggestion = "give the reason as its value"
            else:
                continue
            path = f"metadata.annotations.{key}"
            yield Finding.about(policy, path, message, suggestion=suggestion)


@lint_rule(Severity.WARNING)
def duplicate_name(view: View) -> Iterator[Finding]:
    """Two different objects with the same name: the one applied later replaces the other.

    In one file this is nearly always a copy whose name was not changed. In two files it may be two variants
    that are never applied together, such as a base and an overlay, so it is a note: both are checked, but
    commands that need one cluster take only one of the folders. Two identical objects count once.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
            podSelector: {matchLabels: {app: api}}
            ingress: [{ports: [{port: 8080}]}]
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
        - metadata: {name: api, namespace: production}
        + metadata: {name: worker, namespace: production}
          spec:
            podSelector: {matchLabels: {app: worker}}
            ingress: [{ports: [{port: 9000}]}]
    """
    first = {policy.ref: policy for policy in view.cluster.policies}
    for policy in view.repeated:
        other = first.get(policy.ref)
        if other is None or other == policy or policy.origin is None or other.origin is None:
            continue
        yield Finding.about(
            policy,
            "metadata.name",
            f"{policy.ref} is already at {other.origin}, with different content: the later one replaces it",
            suggestion="give it another name",
            severity=Severity.WARNING if policy.origin.file == other.origin.file else Severity.NOTE,
        )
    for repeat in view.variants:
        document = repeat.document
        namespace, _, name = repeat.name.rpartition("/")
        yield Finding(
            PolicyRef(namespace, name),
            "metadata.name",
            f"{document.kind} {repeat.name} is already at {repeat.first}, with different content: the later "
            "one replaces it",
            suggestion="give it another name, or pass only one of the folders",
            origin=document.origin,
            severity=Severity.WARNING if document.origin.file == repeat.first.file else Severity.NOTE,
        )


@lint_rule(Severity.ERROR)
def invalid(view: View) -> Iterator[Finding]:
    """A policy that the API server rejects.

    The message is that of Kubernetes' own validation, with its place in the file: an `except` outside its
    `cidr`, a quoted number as a port, an `ipBlock` next to a selector, a peer without fields, an `endPort`
    below its `port`, an invalid label. The other rules skip such a policy.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: office, namespace: production}
          spec:
            podSelector: {}
            ingress:
        -     - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [203.0.113.7/32]}}]
        +     - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.7/32]}}]
                ports: [{port: 443}]
    """
    for refused in view.refused:  # found when the policies were read: an invalid policy has no model
        message = refused.message
        if message == "Required value":
            message = f"{refused.path}: {message}"
        yield Finding(refused.ref, refused.path, message, origin=refused.origin, severity=Severity.ERROR)


@lint_rule(Severity.NOTE)
def not_simulated(view: View) -> Iterator[Finding]:
    """A policy of a kind that netprobe does not evaluate.

    It decides flows too, so what netprobe says about the flows of its pods is not final: `simulate`,
    `explain` and reports mark these answers with its name. Nothing in it is checked.

    Example:

        - apiVersion: cilium.io/v2
        - kind: CiliumNetworkPolicy
        + apiVersion: networking.k8s.io/v1
        + kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
        -   endpointSelector: {matchLabels: {app: api}}
        -   ingress: [{fromEndpoints: [{matchLabels: {app: web}}]}]
        +   podSelector: {matchLabels: {app: api}}
        +   ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
    """
    for each in view.all_kinds.unsimulated:
        whose = f"of the pods in {each.ref.namespace}" if each.ref.namespace else "of all pods"
        ends = "from and to nodes" if each.hosts else whose
        yield Finding(
            each.ref,
            "",
            f"{each.ref.kind} is not evaluated: it may decide flows {ends} too",
            origin=each.origin,
            severity=Severity.NOTE,
        )


@lint_rule(Severity.WARNING)
def peer_not_on_calico(view: View) -> Iterator[Finding]:
    """A peer by `nodes` or `domainNames`, which Calico does not support.

    Both are in the experimental channel of ClusterNetworkPolicy, and Calico 3.32 knows neither. It treats
    them as the API asks for unknown peers: a rule that accepts is dropped, and one that denies or passes
    denies everything that its ports match. So "deny egress to the nodes" cuts the pods off completely. The
    same happens with any other field that is not known. On other network plugins it may be right, so it is a
    note unless the input contains objects of Calico.

    Example:

          apiVersion: policy.networking.k8s.io/v1beta1
          kind: ClusterNetworkPolicy
          metadata: {name: no-nodes}
          spec:
            tier: Admin
            priority: 10
            subject: {namespaces: {}}
            egress:
              - action: Deny
        -       to: [{nodes: {}}]
        +       to: [{networks: [172.18.0.0/16]}]
    """
    severity = Severity.WARNING if _is_calico(view) else Severity.NOTE
    for policy in view.ordered:
        for located in located_rules(policy):
            names = dict.fromkeys(name for peer in located.rule.peers if (name := _unsupported_field(peer)))
            if names:
                fate = "it matches nothing" if located.rule.action is Action.ALLOW else "it denies everything"
                yield Finding.about(
                    policy,
                    located.path,
                    f"Calico does not support a peer by {listed(names)}: there the {located.action} rule "
                    f"does not do what it says, {fate} on its ports",
                    suggestion="use `networks` with the addresses",
                    severity=severity,
                )


def _unsupported_field(peer: Peer) -> str:
    match peer:
        case NodePeer():
            return "nodes"
        case DomainPeer():
            return "domainNames"
        case UnknownPeer(field):
            return field or "an unknown field"
        case _:
            return ""


def _is_calico(view: View) -> bool:
    cluster = view.all_kinds
    return bool(
        cluster.network_sets
        or cluster.staged
        or any(policy.kind in CALICO_KINDS for policy in cluster.policies)
        or {tier.name for tier in cluster.tiers} - {tier.name for tier in STANDARD_TIERS}
    )


MOST_STAGED = 50  # staged policies; each is evaluated by itself


@lint_rule(Severity.NOTE)
def staged_changes(view: View) -> Iterator[Finding]:
    """A staged policy that would change flows if it were enforced.

    Calico shows StagedNetworkPolicy, StagedGlobalNetworkPolicy and StagedKubernetesNetworkPolicy and never
    enforces them. The note says how many flows between known pods, and to and from addresses that policies
    name, the policy would open and close; `stagedAction: Delete` removes the enforced policy of its name. The
    pods must be in the input. `netprobe impact` shows all flows of a change.

    Example:

          apiVersion: projectcalico.org/v3
          kind: StagedGlobalNetworkPolicy
          metadata: {name: default.closed}
        - spec: {types: [Ingress]}
        + spec: {selector: app == 'api', types: [Ingress]}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
            spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
    """
    cluster = view.all_kinds
    for staged in cluster.staged[:MOST_STAGED] if cluster.pods else ():
        opened, closed = _staged_changes(cluster, staged)
        found = [
            f"{word} {what.flows:,} flow{'s' if what.flows != 1 else ''}, such as {what.sample}"
            for word, what in (("open", opened), ("close", closed))
            if what.flows
        ]
        if found:
            yield Finding(
                ref_of(staged),
                "spec",
                f"enforced, it would {' and '.join(found)}",
                origin=staged.policy.origin,
                severity=Severity.NOTE,
            )


@dataclass(slots=True)
class _Change:
    flows: int = 0
    sample: str = ""

    def add(self, flows: int, sample: str) -> None:
        self.flows += flows
        self.sample = self.sample or sample


def _staged_changes(cluster: Cluster, staged: Staged) -> tuple[_Change, _Change]:
    """What a staged policy opens and closes."""
    after = replace(cluster, policies=as_enforced(cluster.policies, [staged]))
    opened, closed = _Change(), _Change()
    if after.policies == cluster.policies:
        return opened, closed
    ports = Ports(cluster, after)
    old, new = evaluate_both(
        cluster,
        after,
        CALICO,
        externals=outside((cluster, after), cluster.families),
        apart=lambda end: ports.of(end) if isinstance(end, PodRef) else None,
    )
    for port, ends in destinations(new, ports).items():
        for change, flows, sample in _differences(old, new, port, ends):
            (opened if change else closed).add(flows, sample)
    return opened, closed


def _differences(
    old: Evaluation, new: Evaluation, port: PortNumber, destinations: int
) -> Iterator[tuple[bool, int, str]]:
    """(whether it opens, flows, a sample) for each group of sources, without pods on their node's network."""
    groups = new.groups
    weights = Weights([group.size for group in groups])
    pods = pack((g.index for g in groups if g.sample.pod and not g.sample.host), len(groups))
    externals = pack((g.index for g in groups if g.external), len(groups))
    for family in new.families or (None,):
        before, after = old.table(*port, family), new.table(*port, family)
        for source in unpack(pods | externals):
            to = destinations & (pods if groups[source].external else pods | externals)
            was, then = before.reached(source) & to, after.reached(source) & to
            for bits, opens in ((then & ~was, True), (was & ~then, False)):
                itself = bits >> source & 1
                flows = groups[source].size * (weights.total(bits) - itself)
                if flows:
                    target = next(unpack(bits & ~(1 << source) if bits != 1 << source else bits))
                    ends = groups[source].members[0], groups[target].members[-1]
                    yield opens, flows, f"{ends[0]} -> {ends[1]} on {port[0]}/{port[1].value}"
