"""Egress is closed, and DNS with it.

Pods that may connect to an address but cannot look up its name fail with "no such host" after a few
seconds. As soon as a policy isolates pods for egress, some policy has to allow port 53, UDP and TCP, to
the cluster's DNS.

An entry without `protocol` means TCP, so `ports: [{port: 53}]` alone does not allow DNS, which uses UDP.
That case has one right answer, and `--fix` adds it.

If pods are known, each one is checked with all policies that select it. Nothing is reported if a policy
that may select the same pods allows DNS. A namespace that nothing may leave is a note, and single pods
without any egress are not reported: they need no names. The same holds for pods that may connect only to
port 6443, the API server: its address is in the environment of every pod.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
        policyTypes: [Egress]
        egress:
          - to: [{podSelector: {matchLabels: {app: postgres}}}]
            ports: [{port: 5432}]
    +     - to:
    +         - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}
    +           podSelector: {matchLabels: {k8s-app: kube-dns}}
    +       ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: allow-dns, namespace: production}
      spec:
        podSelector: {}
        policyTypes: [Egress]
        egress:
          - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}]
            ports:
              - port: 53
    +         - {port: 53, protocol: UDP}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from netprobe.lint.cover import selects_everything
from netprobe.lint.dns import Resolvers, tcp_only
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.selector_sets import disjoint, implies
from netprobe.lint.view import View, workloads
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import Policy, PortRange
from netprobe.model.text import listed

SEVERITY = Severity.WARNING
API_SERVER = PortRange(Protocol.TCP, 6443, 6443)
RULE = (
    "allow UDP and TCP 53 to the cluster's DNS, usually "
    f"namespaceSelector {NAME_LABEL}=kube-system with podSelector k8s-app=kube-dns"
)


def check(view: View) -> Iterator[Finding]:
    resolvers = Resolvers(view)
    for policies in view.policies.values():
        isolating = [policy for policy in policies if policy.egress is not None]
        opening = [p for p in isolating if resolvers.opened_by(p) or resolvers.opened_before(p)]
        judge = _DnsAccess(view, isolating, opening)
        fixable = {
            p.subject.pods for p in isolating if any(tcp_only(located) for located in located_rules(p))
        }
        reported: dict[Selector, None] = {}
        # The widest first: what a default deny lacks is not reported again for each policy next to it.
        for policy in sorted(isolating, key=lambda p: not selects_everything(p.subject.pods)):
            severity = judge.severity(policy)
            half_open = [located for located in located_rules(policy) if tcp_only(located)]
            if severity is None or _inside(policy.subject.pods, reported):
                continue
            if half_open:
                yield _tcp_only(half_open[0])
            elif not _inside(policy.subject.pods, fixable):  # reported again after that is fixed
                yield _finding(policy, severity, judge.pods_without_dns(policy))
            reported[policy.subject.pods] = None


class _DnsAccess:
    """Which pods of a namespace may connect to something (`calling`), and which may use DNS (`opening`)."""

    def __init__(self, view: View, isolating: list[Policy], opening: list[Policy]) -> None:
        self.view = view
        self.calling = [policy for policy in isolating if _needs_names(policy)]
        self._opening = {policy.subject.pods for policy in opening}
        self._calling = {policy.subject.pods for policy in self.calling}
        namespace = isolating[0].ref.namespace if isolating else ""
        with_dns = self._pods(namespace, opening)
        self._without_dns = self._pods(namespace, self.calling) - with_dns
        self._found: dict[Selector, list[Pod]] = {}

    def severity(self, policy: Policy) -> Severity | None:
        """The severity if the policy leaves its pods without DNS; None if it does not."""
        if any(not pod.host_network for pod in self.view.subjects(policy)):
            if self.pods_without_dns(policy):
                return SEVERITY
        elif not self._meets(policy, self._opening) and self._meets(policy, self._calling):
            return SEVERITY
        return Severity.NOTE if selects_everything(policy.subject.pods) and not self.calling else None

    def pods_without_dns(self, policy: Policy) -> list[Pod]:
        """The known pods that may connect to something, but not use DNS."""
        found = self._found.get(policy.subject.pods)
        if found is None:
            without_dns = self._without_dns
            found = (
                [pod for pod in self.view.subjects(policy) if pod.ref in without_dns] if without_dns else []
            )
            self._found[policy.subject.pods] = found
        return found

    def _pods(self, namespace: str, policies: list[Policy]) -> set[PodRef]:
        selectors = {policy.subject.pods for policy in policies}
        return {
            pod.ref
            for selector in selectors
            for pod in self.view.pods(namespace, selector)
            if not pod.host_network
        }

    def _meets(self, policy: Policy, others: set[Selector]) -> bool:
        return any(not disjoint(policy.subject.pods, other) for other in others)


def _needs_names(policy: Policy) -> bool:
    """Whether it allows connections to more than the API server."""
    return any(port != API_SERVER for rule in policy.egress or () for port in rule.ports)


def _inside(selector: Selector, others: Collection[Selector]) -> bool:
    """Whether one of the others matches everything that a selector matches."""
    return selector in others or any(implies(selector, other) for other in others)


def _tcp_only(located: LocatedRule) -> Finding:
    number = next(n for n, port in enumerate(located.rule.ports) if getattr(port, "first", None) == 53)
    return Finding.about(
        located.policy,
        located.port_path(number),
        "port 53 is allowed for TCP only (an entry without protocol means TCP), but DNS uses UDP",
        suggestion="add {port: 53, protocol: UDP}",
        fix=({"op": "add", "path": located.pointer("ports", "-"), "value": {"port": 53, "protocol": "UDP"}},),
    )


def _finding(policy: Policy, severity: Severity, without_dns: list[Pod]) -> Finding:
    return Finding.about(
        policy,
        "spec.egress" if policy.egress else "spec",
        f"egress is closed and no policy allows DNS for {listed(workloads(without_dns)) or 'its pods'}: "
        "names cannot be looked up",
        suggestion=RULE,
        severity=severity,
    )
