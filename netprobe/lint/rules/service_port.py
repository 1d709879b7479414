"""The port of a Service where the port of the pod is needed.

Policies see a connection after the Service has been translated: the destination is the address and port
of a pod. A Service that listens on 80 and sends to 8080 needs a policy for 8080.

It is reported if a known Service with that port selects the destination pods, its target port is another
one, no destination pod declares the port in the policy, and the rule does not allow the target port as
well. `--fix` writes the target port.

Fails:

    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: web}}
      ingress: [{ports: [{port: 80}]}]

Passes:

    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop, labels: {app: web}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: web, namespace: shop}
    spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: web}}
      ingress: [{ports: [{port: 8080}]}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import LocatedRule, View, reached, workloads
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.labels import Selector
from netprobe.model.policy import PortRange
from netprobe.model.text import listed

ID = "service-port"
SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    service_ports = ServicePorts(view)
    for located in view.rules:
        singles = [
            (index, port)
            for index, port in enumerate(located.rule.ports)
            if isinstance(port, PortRange) and port.first == port.last and service_ports.exist(port)
        ]
        declared = view.declared(located) if singles else frozenset()
        for index, port in singles:
            if any(p.number == port.first and p.protocol is port.protocol for p in declared):
                continue
            services, targets = service_ports.behind(located, port)
            wanted = [PortRange(port.protocol, number, number) for number in targets]
            if not targets or port.first in targets or ports_within(wanted, located.rule.ports):
                continue
            yield Finding.about(
                located.policy,
                ID,
                SEVERITY,
                f"{located.port_path(index)}.port",
                f"{port.first} is the port of Service {listed(services)}; policies see the pod's port, "
                f"{listed(map(str, sorted(targets)))} on {listed(workloads(view.destinations(located)))}",
                suggestion=f"write port: {min(targets)}" if len(targets) == 1 else "write the pods' ports",
                fix=(
                    {"op": "replace", "path": located.pointer("ports", index, "port"), "value": min(targets)},
                )
                if len(targets) == 1
                else (),
            )


class ServicePorts:
    """The Services in front of each pod, by port."""

    def __init__(self, view: View) -> None:
        self._entries: dict[tuple[int, Protocol], list[tuple[Service, ServicePort]]] = defaultdict(list)
        for service in view.cluster.services.values():
            for entry in service.ports if service.selector else ():
                self._entries[entry.port, entry.protocol].append((service, entry))
        self._view = view
        self._found: dict[tuple[int, Protocol], dict[PodRef, list[tuple[str, int]]]] = {}
        self._results: dict[object, tuple[list[str], set[int]]] = {}

    def exist(self, port: PortRange) -> bool:
        return (port.first, port.protocol) in self._entries

    def behind(self, located: LocatedRule, port: PortRange) -> tuple[list[str], set[int]]:
        """The Services with this port in front of the destinations of a rule, and their target ports."""
        key_of_rule = (located.policy.ref.namespace, reached(located), port)
        if key_of_rule not in self._results:
            key = (port.first, port.protocol)
            if key not in self._found:
                self._found[key] = self._targets(key)
            found = self._found[key]
            ends = [end for pod in self._view.destinations(located) for end in found.get(pod.ref, ())]
            self._results[key_of_rule] = (
                list(dict.fromkeys(n for n, _ in ends)),
                {number for _, number in ends},
            )
        return self._results[key_of_rule]

    def _targets(self, key: tuple[int, Protocol]) -> dict[PodRef, list[tuple[str, int]]]:
        found: dict[PodRef, list[tuple[str, int]]] = defaultdict(list)
        for service, entry in self._entries[key]:
            for pod in self._view.pods(service.ref.namespace, Selector.of(service.selector)):
                if (number := _target(pod, entry)) is not None:
                    found[pod.ref].append((f"{service.ref.namespace}/{service.ref.name}", number))
        return found


def _target(pod: Pod, entry: ServicePort) -> int | None:
    if isinstance(entry.target, int):
        return entry.target
    return next(
        (p.number for p in pod.ports if p.name == entry.target and p.protocol is entry.protocol), None
    )
