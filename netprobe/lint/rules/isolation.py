"""Rules about what a policy isolates: sections, policyTypes, empty lists, the default deny."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_

from netprobe.lint.cover import is_blanket, peer_within, selects_everything
from netprobe.lint.known import ALWAYS_THERE
from netprobe.lint.located import LocatedRule, written
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.selector_sets import implies
from netprobe.lint.view import View, workloads
from netprobe.manifests.change import pointer
from netprobe.model.flow import Pod
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import ANY_PEER, ANY_PORT, Action, Direction, PodPeer, Policy, Rule
from netprobe.model.text import listed


@lint_rule(Severity.WARNING)
def closes_ingress_too(view: View) -> Iterator[Finding]:
    """An egress policy that also closes ingress, because `policyTypes` is missing.

    Without `policyTypes`, every policy applies to ingress, and to egress as well if it has egress rules. So a
    policy with only egress rules, intended to limit what its pods connect to, also rejects all connections to
    them.

    Nothing is reported if another policy isolates the same pods for ingress: then this one closes nothing.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api-to-postgres, namespace: production}
          spec:
            podSelector: {matchLabels: {app: api}}
        +   policyTypes: [Egress]
            egress:
              - to: [{podSelector: {matchLabels: {app: postgres}}}]
                ports: [{port: 5432}]
    """
    for policy in view.cluster.policies:
        if policy.ingress != () or not policy.egress or not written(policy, "spec.egress"):
            continue
        if written(policy, "spec.policyTypes") or written(policy, "spec.ingress"):
            continue
        neighbours = view.policies[policy.ref.namespace]
        if any(
            other.ingress is not None
            and other is not policy
            and implies(policy.subject.pods, other.subject.pods)
            for other in neighbours
        ):
            continue
        yield Finding.about(
            policy,
            "spec.egress",
            "without policyTypes this policy also applies to ingress, and without ingress rules it closes it",
            suggestion="write policyTypes: [Egress], or [Ingress, Egress] if ingress should be closed",
        )


CATCH_ALL = Rule()
SAYS_DENY = re.compile(r"(^|[-.])(deny|block|isolate)([-.]|$)")


@lint_rule(Severity.WARNING)
def deny_that_allows(view: View) -> Iterator[Finding]:
    """A policy whose name says deny but which allows everything.

    `ingress: [{}]` is one rule that matches everyone on every port; `ingress: []` is no rule at all. A
    "default deny" with the braces isolates its pods and then allows everything. It also cancels the
    restrictions of all other policies for these pods, because policies only add permissions.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: default-deny, namespace: production}
          spec:
            podSelector: {}
        -   ingress:
        -     - {}
        +   policyTypes: [Ingress]
        +   ingress: []
    """
    for policy in view.cluster.policies:
        if not SAYS_DENY.search(policy.ref.name) or "allow" in policy.ref.name:
            continue
        sections = {d: rules for d in Direction if (rules := policy.rules(d)) is not None}
        if not sections or not all(CATCH_ALL in rules for rules in sections.values()):
            continue
        direction, rules = next(iter(sections.items()))
        yield Finding.about(
            policy,
            f"spec.{direction.value}[{rules.index(CATCH_ALL)}]",
            f"the name says deny, but this rule allows everyone on every port ({direction.value})",
            suggestion=f"write {direction.value}: [] to allow nobody",
        )


@lint_rule(Severity.WARNING)
def empty_list(view: View) -> Iterator[Finding]:
    """An empty `from` or `to` matches everyone, and an empty `ports` every port.

    `ingress: []` allows nobody. `ingress: [{from: []}]` allows everybody, including addresses outside the
    cluster: inside a rule, an empty list or a key without a value means the same as leaving the key out. If
    the rule has ports, or the name of the policy says "allow", an empty `from` is a note: some people write
    it for "anyone".

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: nobody, namespace: production}
          spec:
            podSelector: {}
        -   ingress:
        -     - from: []
        +   policyTypes: [Ingress]
        +   ingress: []
    """
    for located in view.rules:
        peers = f"{located.path}.{located.list_name}"
        if located.rule.peers == ANY_PEER and written(located.policy, peers):
            yield Finding.about(
                located.policy,
                peers,
                f"an empty `{located.list_name}` matches everyone, including addresses outside the cluster",
                suggestion=f"to allow nobody write {located.direction.value}: []; to allow everyone leave "
                f"`{located.list_name}` out",
                severity=Severity.NOTE if _is_deliberate(located) else Severity.WARNING,
            )
        ports = f"{located.path}.ports"
        if located.rule.ports == ANY_PORT and written(located.policy, ports):
            yield Finding.about(
                located.policy,
                ports,
                "an empty `ports` opens every port",
                suggestion="list the ports that are needed, or leave `ports` out to allow all",
            )


def _is_deliberate(located: LocatedRule) -> bool:
    return located.rule.ports != ANY_PORT or "allow" in located.policy.ref.name


@lint_rule(Severity.ERROR)
def ineffective_section(view: View) -> Iterator[Finding]:
    """A section that `policyTypes` does not include: it is accepted and has no effect.

    With `policyTypes: [Ingress]`, an `egress` section neither closes nor allows anything. The same happens
    without `policyTypes`: the default is Ingress, and Egress only if there is an egress rule, so `egress:
    []`, intended to close egress, does nothing.

    `--fix` adds the missing type if the section has rules. An empty list with explicit policyTypes is a note:
    tools that write manifests often leave such lists.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
            podSelector: {matchLabels: {app: api}}
        -   policyTypes: [Ingress]
        +   policyTypes: [Ingress, Egress]
            ingress: [{ports: [{port: 8080}]}]
            egress:
              - to: [{podSelector: {matchLabels: {app: postgres}}}]
                ports: [{port: 5432}]

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: close-egress, namespace: production}
          spec:
            podSelector: {}
        +   policyTypes: [Egress]
            egress: []
    """
    for policy in view.cluster.policies:
        for direction in Direction:
            section = f"spec.{direction.value}"
            if policy.rules(direction) is None and written(policy, section):
                yield _ineffective(policy, direction, section)


def _ineffective(policy: Policy, direction: Direction, section: str) -> Finding:
    word = direction.value.capitalize()
    explicit = written(policy, "spec.policyTypes")
    filled = written(policy, f"{section}[0]")
    if not explicit:
        severity = Severity.WARNING
        message = (
            f"without policyTypes an empty {direction.value} list has no effect: {direction.value} stays open"
        )
        suggestion = f"write policyTypes with {word}, if {direction.value} should be closed"
    elif filled:
        severity = Severity.ERROR
        message = f"policyTypes does not include {word}, so this section has no effect"
        suggestion = f"add {word} to policyTypes"
    else:
        severity = Severity.NOTE
        message = f"policyTypes does not include {word}, so this empty list closes nothing"
        suggestion = f"add {word} to policyTypes, or remove the list"
    add = {"op": "add", "path": "/spec/policyTypes/-", "value": word}
    fix = (add,) if explicit and filled else ()
    return Finding.about(policy, section, message, suggestion=suggestion, severity=severity, fix=fix)


@lint_rule(Severity.WARNING)
def missing_default_deny(view: View) -> Iterator[Finding]:
    """Policies for some pods, but no default deny for the rest of the namespace.

    A policy isolates only the pods that it selects. In a namespace with only "allow" policies the selected
    pods are isolated and all others are open, including the next workload that is deployed there. That is
    seldom what the author of an allow list wants.

    If the pods of the namespace are known, the message names those that nothing isolates; if there are none,
    nothing is reported. Jobs without ports do not count, because nobody connects to them. If the pods are
    unknown it is a note, because the default deny may be in another file; also if the policy does not say in
    which namespace it will be created. Closing egress for only a few pods is a valid choice: this is a note,
    and only reported in a namespace with a default deny for ingress. `kube-system` is never reported: a
    default deny can break the cluster there. A Deny of everything in a ClusterNetworkPolicy, or a Calico tier
    that denies at its end, counts as a default deny for the pods of its policies.

    Example:

        + apiVersion: networking.k8s.io/v1
        + kind: NetworkPolicy
        + metadata: {name: default-deny, namespace: database}
        + spec:
        +   podSelector: {}
        +   policyTypes: [Ingress]
        + ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-api, namespace: database}
          spec:
            podSelector: {matchLabels: {app: postgres}}
            ingress:
              - from: [{podSelector: {matchLabels: {app: api}}}]
                ports: [{port: 5432}]
    """
    for namespace, policies in view.policies.items():
        if namespace == ALWAYS_THERE:
            continue
        for direction in Direction:
            isolating = [policy for policy in policies if policy.rules(direction) is not None]
            allowing = [policy for policy in isolating if _is_allow_list(policy, direction)]
            if not allowing or _closed_by_default(policies, direction):
                continue
            tiers = list(_closing_tiers(view, direction))
            everyone = PodPeer(EVERYTHING, Selector.of({NAME_LABEL: namespace}))
            if any(peer_within(everyone, view.subject_peer(each), "", view.labels) for each in tiers):
                continue
            if direction is Direction.EGRESS and not _closed_by_default(policies, Direction.INGRESS):
                continue
            if view.has_pods(namespace):
                left = _open_pods(view, namespace, isolating, tiers)
                if left:
                    sure = view.known.whole or written(allowing[0], "metadata.namespace")
                    yield _missing_deny(allowing[0], direction, left, sure=sure)
            else:
                yield _missing_deny(allowing[0], direction, [])


def _is_allow_list(policy: Policy, direction: Direction) -> bool:
    rules = policy.rules(direction) or ()
    return bool(rules) and CATCH_ALL not in rules


def _closed_by_default(policies: list[Policy], direction: Direction) -> bool:
    return any(
        selects_everything(policy.subject.pods) and policy.rules(direction) is not None for policy in policies
    )


def _closing_tiers(view: View, direction: Direction) -> Iterator[Policy]:
    """The policies of other kinds that close a direction for their pods, but for what is allowed first."""
    for tier, policy in view.ranked:
        rules = policy.rules(direction)
        if rules is None or tier.name in view.unplaced:
            continue
        if tier.default is Action.DENY or any(r.action is Action.DENY and is_blanket(r) for r in rules):
            yield policy


def _open_pods(view: View, namespace: str, isolating: list[Policy], tiers: list[Policy]) -> list[Pod]:
    closed = {pod.ref for policy in isolating for pod in view.subjects(policy)}
    if tiers:
        evaluation = view.evaluation
        closing = reduce(or_, map(evaluation.universe.subjects, tiers))
        closed |= {
            pod.ref for pod in view.all_pods(namespace) if closing >> evaluation.group_of(pod.ref).index & 1
        }
    return [
        pod
        for pod in view.all_pods(namespace)
        if pod.ref not in closed and not pod.host_network and not _only_works(pod)
    ]


def _only_works(pod: Pod) -> bool:
    """Whether it is a Job's and serves nothing: migrations, hooks of a chart, what a CronJob starts."""
    return not pod.ports and (pod.workload or "").startswith(("Job/", "CronJob/"))


def _missing_deny(policy: Policy, direction: Direction, left: list[Pod], *, sure: bool = False) -> Finding:
    word = direction.value
    left_open = f"{listed(workloads(left))}, which no policy selects" if left else "all other pods"
    return Finding.about(
        policy,
        "spec.podSelector",
        f"namespace {policy.ref.namespace} has policies for some pods' {word} and no default deny: "
        f"{word} stays open for {left_open}",
        suggestion=f"add a policy with podSelector: {{}} and policyTypes: [{word.capitalize()}]",
        severity=Severity.WARNING if sure and left and direction is Direction.INGRESS else Severity.NOTE,
    )


@lint_rule(Severity.WARNING)
def null_section(view: View) -> Iterator[Finding]:
    """`ingress:` or `egress:` without a value, as charts render them.

    A template such as `ingress: {{ .Values.rules }}` with empty values leaves a key without a value. `null`
    is the same as an absent section: it has no rules. If `policyTypes` includes the direction, nothing is
    allowed; if it does not, the section has no effect. `[]` says the first on purpose.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web, namespace: shop}
          spec:
            podSelector: {matchLabels: {app: web}}
            policyTypes: [Ingress]
        -   ingress:
        +   ingress: []
    """
    for policy in view.cluster.policies:
        source = view.source(policy)
        spec = source.get("spec") if source is not None else None
        if not isinstance(spec, Mapping):
            continue
        for direction in Direction:
            section = direction.value
            if spec.get(section, ()) is not None:
                continue
            closed = policy.rules(direction) is not None
            effect = f"no {section} is allowed at all" if closed else "it has no effect"
            yield Finding.about(
                policy,
                f"spec.{section}",
                f"`{section}:` has no value, perhaps because a template rendered nothing: {effect}",
                suggestion=f"write {section}: [] if that is meant" if closed else "remove it",
                fix=({"op": "replace", "path": pointer("spec", section), "value": []},) if closed else (),
            )
