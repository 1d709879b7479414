"""A rule without ports allows every port of every protocol.

The database is open to the pods that use it, and so are the debugger, the admin console and whatever the
next image listens on. Rules that obviously intend to allow everything are not reported: one without peers
(`- {}`), and one for all pods of the policy's own namespace. If labels select the peers it is a note; if
the peers are addresses or the pods of all namespaces, a warning.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: allow-api, namespace: database}
      spec:
        podSelector: {matchLabels: {app: postgres}}
        ingress:
    -     - from: [{namespaceSelector: {}}]
    +     - from: [{podSelector: {matchLabels: {app: api}}}]
    +       ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.explain.phrases import describe_peer
from netprobe.lint.cover import peer_within, selects_everything
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, written
from netprobe.lint.view import View
from netprobe.model.flow import ContainerPort, Protocol
from netprobe.model.policy import ANY_PORT, AnyPeer, Direction, Peer, PodPeer
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        if located.rule.ports != ANY_PORT or written(located.policy, f"{located.path}.ports"):
            continue  # the rule empty-list reports empty lists
        if _everyone(located):
            continue
        peers = dict.fromkeys(map(describe_peer, located.rule.peers))
        way = "from" if located.direction is Direction.INGRESS else "to"
        yield Finding.about(
            located.policy,
            located.path,
            f"no ports: every port is allowed {way} {listed(peers)}",
            suggestion=_suggestion(view.declared(located)),
            severity=Severity.NOTE if all(_chosen(peer) for peer in located.rule.peers) else SEVERITY,
        )


def _everyone(located: LocatedRule) -> bool:
    """Whether the rule is for everyone, or for exactly the policy's own namespace."""
    own = located.policy.ref.namespace
    return all(
        isinstance(peer, AnyPeer)
        or (isinstance(peer, PodPeer) and peer == PodPeer())
        or (peer_within(PodPeer(), peer, own) and peer_within(peer, PodPeer(), own))
        for peer in located.rule.peers
    )


def _chosen(peer: Peer) -> bool:
    return isinstance(peer, PodPeer) and (
        peer.namespaces is None
        or not selects_everything(peer.namespaces)
        or not selects_everything(peer.pods)
    )


def _suggestion(declared: Iterable[ContainerPort]) -> str:
    ports = sorted({(port.number, port.protocol.value) for port in declared})
    if not ports or len(ports) > 5:
        return "list the ports that are needed"
    entries = [
        f"{{port: {number}}}"
        if protocol == Protocol.TCP.value
        else f"{{port: {number}, protocol: {protocol}}}"
        for number, protocol in ports
    ]
    return f"list the ports that are needed; the pods declare [{', '.join(entries)}]"
