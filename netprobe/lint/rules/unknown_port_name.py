"""A named port that none of the destination pods has.

A port name is looked up in the container ports of the destination pod: of the policy's own pods for
ingress, of the peers for egress. A pod that does not declare the name with that protocol is not matched.
It is reported if some destination pods are known and none has the name. If another port of the same rule
does match something it is a warning: some charts write `https` next to `http`, and serve it only if
configured.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api}},
        spec: {containers: [{name: api, image: api, ports: [{name: http, containerPort: 8080}]}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
    -   ingress: [{ports: [{port: web}]}]
    +   ingress: [{ports: [{port: http}]}]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View, workloads
from netprobe.model.flow import ContainerPort
from netprobe.model.policy import NamedPort, Port
from netprobe.model.text import listed

SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        for index, port in enumerate(located.rule.ports):
            if not isinstance(port, NamedPort):
                continue
            declared = view.declared(located)
            if any(p.name == port.name and port.protocol in {None, p.protocol} for p in declared):
                continue
            pods = view.destinations(located)
            if not pods:
                continue
            others = (p for p in located.rule.ports if p != port)
            yield Finding.about(
                located.policy,
                f"{located.port_path(index)}.port",
                f"{listed(workloads(pods))} {'has' if len(workloads(pods)) == 1 else 'have'} no "
                f"{f'{port.protocol.value} ' if port.protocol else ''}port named {port.name}",
                suggestion=_suggestion(declared, port),
                severity=Severity.WARNING if any(_opens(other, declared) for other in others) else SEVERITY,
            )


def _opens(port: Port, declared: Collection[ContainerPort]) -> bool:
    """Whether a port of a rule allows something: a number does, a name if some pod has it."""
    return not isinstance(port, NamedPort) or any(
        p.name == port.name and port.protocol in {None, p.protocol} for p in declared
    )


def _suggestion(found: Collection[ContainerPort], port: NamedPort) -> str:
    others = sorted(p.protocol.value for p in found if p.name == port.name)
    if others:
        protocol = others[0]
        return f"the port with that name is {protocol}: write protocol: {protocol}"
    names = sorted({p.name for p in found if p.name and port.protocol in {None, p.protocol}})
    if names:
        return f"the pods have ports named {listed(names)}"
    return "name the port in the pod template, or write its number"
