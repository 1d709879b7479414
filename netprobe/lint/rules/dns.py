"""Rules about access to the cluster's DNS."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from ipaddress import ip_network

from netprobe.lint.cover import peer_within, rule_within, selects_everything
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.selector_sets import disjoint, implies, only
from netprobe.lint.view import View, workloads
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import (
    Action,
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    PodPeer,
    Policy,
    PortRange,
    Rule,
)
from netprobe.model.text import listed

DNS_PORTS = (53, 5353)  # OpenShift's resolvers listen on 5353
DNS_NAMESPACES = frozenset({"kube-system", "openshift-dns"})
DNS_LABELS = (("k8s-app", "kube-dns"), ("k8s-app", "coredns"), ("app.kubernetes.io/name", "coredns"))


class Resolvers:
    """The DNS servers of a cluster, if its pods are known.

    A rule that names port 53 allows DNS, unless the DNS pods are known and it matches none of them. A rule
    for every port allows DNS only if its peer may match DNS servers.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.pods = frozenset(pod.ref for pod in view.cluster.pods.values() if _serves(pod))
        self.namespaces = frozenset(ref.namespace for ref in self.pods)
        self.known = bool(self.pods) and all(view.knows_labels(name) for name in self.namespaces)

    def opened_by(self, policy: Policy) -> bool:
        return any(
            self._reaches(located)
            for located in located_rules(policy)
            if located.direction is Direction.EGRESS
            and located.rule.action is Action.ALLOW
            and _allows_udp(located)
        )

    def opened_before(self, policy: Policy) -> bool:
        """Whether a policy of another kind allows DNS to all pods of a NetworkPolicy."""
        own = self.view.subject_peer(policy)
        return any(
            self.opened_by(other) and peer_within(own, self.view.subject_peer(other), "", self.view.labels)
            for other in self.view.ordered
            if other.egress
        )

    def _reaches(self, located: LocatedRule) -> bool:
        explicit = not any(isinstance(port, AnyPort) for port in located.rule.ports)
        for peer in located.rule.peers:
            match peer:
                case AnyPeer() | IPBlock() | Networks():
                    return True
                case PodPeer():
                    if self._peer_reaches(located.policy, peer, explicit):
                        return True
        return False

    def _peer_reaches(self, policy: Policy, peer: PodPeer, explicit: bool) -> bool:
        if self.known:
            return any(pod.ref in self.pods for pod in self.view.peers(policy, peer))
        if peer.namespaces is None:
            return explicit or policy.ref.namespace in DNS_NAMESPACES | self.namespaces
        if explicit:
            return True
        if any(peer.namespaces.matches({NAME_LABEL: name}) for name in DNS_NAMESPACES | self.namespaces):
            return True
        if only(peer.namespaces, NAME_LABEL) is not None:
            return False
        return not self.view.namespaces(peer.namespaces)  # it matches other, known namespaces


def _serves(pod: Pod) -> bool:
    return any(pod.labels.get(key) == value for key, value in DNS_LABELS) or any(
        port.number == 53 and port.protocol is Protocol.UDP for port in pod.ports
    )


def _allows_udp(located: LocatedRule) -> bool:
    for port in located.rule.ports:
        match port:
            case AnyPort():
                return True
            case PortRange(Protocol.UDP, first, last):
                if any(first <= number <= last for number in DNS_PORTS):
                    return True
            case NamedPort(name, Protocol.UDP):
                if "dns" in name:
                    return True
            case _:
                pass
    return False


def tcp_only(located: LocatedRule) -> bool:
    """Whether an egress rule allows port 53 for TCP but not for UDP."""
    return (
        located.direction is Direction.EGRESS
        and any(
            isinstance(port, PortRange) and port.protocol is Protocol.TCP and port.first == port.last == 53
            for port in located.rule.ports
        )
        and not _allows_udp(located)
    )


API_SERVER_PORT = PortRange(Protocol.TCP, 6443, 6443)
ALLOW_DNS = (
    "allow UDP and TCP 53 to the cluster's DNS, usually "
    f"namespaceSelector {NAME_LABEL}=kube-system with podSelector k8s-app=kube-dns"
)


@lint_rule(Severity.WARNING)
def no_dns(view: View) -> Iterator[Finding]:
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
                yield _no_udp(half_open[0])
            elif not _inside(policy.subject.pods, fixable):  # reported again after that is fixed
                yield _no_dns(policy, severity, judge.pods_without_dns(policy))
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
                return Severity.WARNING
        elif not self._meets(policy, self._opening) and self._meets(policy, self._calling):
            return Severity.WARNING
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
    return any(port != API_SERVER_PORT for rule in policy.egress or () for port in rule.ports)


def _inside(selector: Selector, others: Collection[Selector]) -> bool:
    """Whether one of the others matches everything that a selector matches."""
    return selector in others or any(implies(selector, other) for other in others)


def _no_udp(located: LocatedRule) -> Finding:
    number = next(n for n, port in enumerate(located.rule.ports) if getattr(port, "first", None) == 53)
    return Finding.about(
        located.policy,
        located.port_path(number),
        "port 53 is allowed for TCP only (an entry without protocol means TCP), but DNS uses UDP",
        suggestion="add {port: 53, protocol: UDP}",
        fix=({"op": "add", "path": located.pointer("ports", "-"), "value": {"port": 53, "protocol": "UDP"}},),
    )


def _no_dns(policy: Policy, severity: Severity, without_dns: list[Pod]) -> Finding:
    return Finding.about(
        policy,
        "spec.egress" if policy.egress else "spec",
        f"egress is closed and no policy allows DNS for {listed(workloads(without_dns)) or 'its pods'}: "
        "names cannot be looked up",
        suggestion=ALLOW_DNS,
        severity=severity,
    )


USUAL_ADDRESS = "169.254.20.10"
NODE_LOCAL = "node-local-dns"
DNS_PORT = PortRange(Protocol.UDP, 53, 53)
_LINK_LOCAL = re.compile(r"169\.254(?:\.\d{1,3}){2}")


@lint_rule(Severity.WARNING)
def node_local_dns(view: View) -> Iterator[Finding]:
    """DNS allowed by podSelector, in a cluster with node-local DNS.

    The DNS cache of a node listens on a link-local address, usually 169.254.20.10, in the node's network. No
    podSelector matches it: egress to it needs an ipBlock (kubernetes.io, "Using NodeLocal DNSCache").

    It is reported if pods of node-local DNS are in the input, and no policy opens their address on UDP port
    53 for pods to which DNS is allowed by selectors.

    Example:

          apiVersion: apps/v1
          kind: DaemonSet
          metadata: {name: node-local-dns, namespace: kube-system}
          spec:
            template:
              metadata: {labels: {k8s-app: node-local-dns}}
              spec: {hostNetwork: true, containers: [{name: c, image: i, args: ["-localip", 169.254.20.10]}]}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: dns, namespace: shop}
          spec:
            podSelector: {}
            policyTypes: [Egress]
            egress:
        -     - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
        +     - to:
        +         - {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}
        +         - {ipBlock: {cidr: 169.254.20.10/32}}
                ports: [{port: 53, protocol: UDP}]
    """
    address = _node_local_address(view)
    if address is None:
        return
    wanted = Rule((IPBlock(address),), (DNS_PORT,))
    for policy in view.cluster.policies:
        for located in located_rules(policy):
            if located.direction is not Direction.EGRESS or DNS_PORT not in located.rule.ports:
                continue
            if not all(isinstance(peer, PodPeer) for peer in located.rule.peers):
                continue
            around = view.rules_beside(policy, Direction.EGRESS)
            if not rule_within(wanted, around, policy.ref.namespace):
                yield Finding.about(
                    policy,
                    f"{located.path}.to",
                    "DNS is allowed by selectors only, and node-local DNS answers at "
                    f"{address.network_address} in the network of the node, which no selector matches",
                    suggestion=f"add {{ipBlock: {{cidr: {address}}}}} to this rule",
                )
                break


def _node_local_address(view: View) -> Network | None:
    """Where node-local DNS listens, if it is in the input."""
    if not any(
        pod.host_network and (pod.labels.get("k8s-app") == NODE_LOCAL or pod.ref.name.startswith(NODE_LOCAL))
        for pod in view.cluster.pods.values()
    ):
        return None
    sources = (source for (_, name), source in view.cluster.sources.items() if NODE_LOCAL in name)
    given = (_LINK_LOCAL.search(str(source.object.get("spec"))) for source in sources)
    found = next((match[0] for match in given if match), USUAL_ADDRESS)
    return ip_network(f"{found}/32")
