"""The port of a Service where the port of the pod is needed.

Policies see a connection after the Service has been translated: the destination is the address and port
of a pod. A Service that listens on 80 and sends to 8080 needs a policy for 8080.

It is reported if a known Service with that port selects the destination pods, its target port is another
one, no destination pod declares the port in the policy, and the rule does not allow the target port as
well. `--fix` writes the target port.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
        spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}}
      ---
      {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop},
        spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
    -   ingress: [{ports: [{port: 80}]}]
    +   ingress: [{ports: [{port: 8080}]}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, reached
from netprobe.lint.view import View, workloads
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.labels import Selector
from netprobe.model.policy import PortRange
from netprobe.model.text import listed
from netprobe.simulate.service import target

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
            fronts, targets = service_ports.behind(located, port)
            wanted = [PortRange(port.protocol, number, number) for number in targets]
            if not targets or port.first in targets or ports_within(wanted, located.rule.ports):
                continue
            yield Finding.about(
                located.policy,
                f"{located.port_path(index)}.port",
                f"{port.first} is {fronts}; policies see the pod's port, "
                f"{listed(map(str, sorted(targets)))} on {listed(workloads(view.destinations(located)))}",
                suggestion=f"write port: {min(targets)}" if len(targets) == 1 else "write the pods' ports",
                severity=SEVERITY,
                fix=(
                    {"op": "replace", "path": located.pointer("ports", index, "port"), "value": min(targets)},
                )
                if len(targets) == 1
                else (),
            )


@dataclass(frozen=True, slots=True)
class Front:
    """A port in front of a pod's: `kind` is "port", "nodePort" or "hostPort" of `owner`."""

    kind: str
    owner: str
    number: int


class ServicePorts:
    """What leads to each pod, by port: Services, their node ports, and host ports."""

    def __init__(self, view: View) -> None:
        self._entries: dict[tuple[int, Protocol], list[tuple[str, Service, ServicePort]]] = defaultdict(list)
        for service in view.cluster.services.values():
            for entry in service.ports if service.selector else ():
                self._entries[entry.port, entry.protocol].append(("port", service, entry))
                if entry.node_port is not None:
                    self._entries[entry.node_port, entry.protocol].append(("nodePort", service, entry))
        self._hosts: dict[tuple[int, Protocol], list[tuple[Pod, int]]] = defaultdict(list)
        for pod in view.cluster.pods.values():
            for port in pod.ports if not pod.host_network else ():
                if port.host is not None:
                    self._hosts[port.host, port.protocol].append((pod, port.number))
        self._view = view
        self._found: dict[tuple[int, Protocol], dict[PodRef, list[Front]]] = {}
        self._results: dict[object, tuple[str, set[int]]] = {}

    def exist(self, port: PortRange) -> bool:
        key = (port.first, port.protocol)
        return key in self._entries or key in self._hosts

    def behind(self, located: LocatedRule, port: PortRange) -> tuple[str, set[int]]:
        """What has this port in front of the destinations of a rule, as text, and the pods' ports."""
        key_of_rule = (located.policy.ref.namespace, reached(located), port)
        if key_of_rule not in self._results:
            key = (port.first, port.protocol)
            if key not in self._found:
                self._found[key] = self._targets(key)
            found = self._found[key]
            ends = [end for pod in self._view.destinations(located) for end in found.get(pod.ref, ())]
            self._results[key_of_rule] = _text(ends), {end.number for end in ends}
        return self._results[key_of_rule]

    def _targets(self, key: tuple[int, Protocol]) -> dict[PodRef, list[Front]]:
        found: dict[PodRef, list[Front]] = defaultdict(list)
        for kind, service, entry in self._entries.get(key, ()):
            for pod in self._view.pods(service.ref.namespace, Selector.of(service.selector)):
                if (number := target(pod, entry)) is not None:
                    owner = f"Service {service.ref.namespace}/{service.ref.name}"
                    found[pod.ref].append(Front(kind, owner, number))
        for pod, number in self._hosts.get(key, ()):
            owner = (pod.workload or f"pod/{pod.ref.name}").replace("/", " ")
            found[pod.ref].append(Front("hostPort", owner, number))
        return found


def _text(fronts: Iterable[Front]) -> str:
    """ "the port of Service shop/a and shop/b and the hostPort of pod web"."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for front in fronts:
        what, _, name = front.owner.partition(" ")
        by_kind.setdefault((front.kind, what), []).append(name)
    return " and ".join(
        f"the {kind} of {what} {listed(dict.fromkeys(names))}" for (kind, what), names in by_kind.items()
    )
