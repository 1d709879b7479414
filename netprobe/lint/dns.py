"""Whether a policy allows its pods to use the cluster's DNS."""

from __future__ import annotations

from netprobe.lint.cover import peer_within
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.selector_sets import only
from netprobe.lint.view import View
from netprobe.model.flow import Pod, Protocol
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import (
    Action,
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Networks,
    PodPeer,
    Policy,
    PortRange,
)

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
