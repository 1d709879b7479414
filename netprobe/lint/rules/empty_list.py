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

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, written
from netprobe.lint.view import View
from netprobe.model.policy import ANY_PEER, ANY_PORT

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        peers = f"{located.path}.{located.list_name}"
        if located.rule.peers == ANY_PEER and written(located.policy, peers):
            yield Finding.about(
                located.policy,
                peers,
                f"an empty `{located.list_name}` matches everyone, including addresses outside the cluster",
                suggestion=f"to allow nobody write {located.direction.value}: []; to allow everyone leave "
                f"`{located.list_name}` out",
                severity=Severity.NOTE if _deliberate(located) else SEVERITY,
            )
        ports = f"{located.path}.ports"
        if located.rule.ports == ANY_PORT and written(located.policy, ports):
            yield Finding.about(
                located.policy,
                ports,
                "an empty `ports` opens every port",
                suggestion="list the ports that are needed, or leave `ports` out to allow all",
            )


def _deliberate(located: LocatedRule) -> bool:
    return located.rule.ports != ANY_PORT or "allow" in located.policy.ref.name
