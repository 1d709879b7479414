"""A port by number, where the Service's named targetPort is another number on some pods.

A Service with `targetPort: http` sends a connection to whatever port a pod calls "http". During a migration
that may be 80 on one pod and 8080 on another. A policy with one of the numbers then opens the Service for
some connections only.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: new, namespace: shop, labels: {app: api}}, spec: {
        containers: [{name: c, image: i, ports: [{containerPort: 80, name: http}]}]}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: old, namespace: shop, labels: {app: api}}, spec: {
        containers: [{name: c, image: i, ports: [{containerPort: 8080, name: http}]}]}}
      ---
      {apiVersion: v1, kind: Service, metadata: {name: api, namespace: shop}, spec: {
        selector: {app: api}, ports: [{port: 80, targetPort: http}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: api}}
    -   ingress: [{ports: [{port: 80}]}]
    +   ingress: [{ports: [{port: http}]}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import PodRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PortRange
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    mixed = [
        (service, entry, numbers)
        for services in view.services.values()
        for service in services
        for entry in service.ports
        if len(set((numbers := _numbers(view, service, entry)).values())) > 1
    ]
    for located in view.rules if mixed else ():
        reached = {pod.ref for pod in view.destinations(located)}
        for index, port in enumerate(located.rule.ports):
            if not isinstance(port, PortRange) or port.first != port.last:
                continue
            for service, entry, numbers in mixed:
                here = {ref: number for ref, number in numbers.items() if ref in reached}
                missing = [
                    PortRange(entry.protocol, number, number)
                    for number in set(here.values())
                    if not ports_within([PortRange(entry.protocol, number, number)], located.rule.ports)
                ]
                if port.protocol is entry.protocol and port.first in here.values() and missing:
                    places = listed(f"{number} on {ref}" for ref, number in sorted(here.items()))
                    yield Finding.about(
                        located.policy,
                        f"{located.port_path(index)}.port",
                        f"Service {service.ref.namespace}/{service.ref.name} sends port {entry.port} to "
                        f"{entry.target}, which is {places}: {port.first} opens only some of them",
                        suggestion=f"write port: {entry.target}",
                    )


def _numbers(view: View, service: Service, entry: ServicePort) -> dict[PodRef, int]:
    """The number of a named targetPort on each pod behind a Service; {} for a number."""
    if not service.selector or isinstance(entry.target, int):
        return {}
    return {
        pod.ref: port.number
        for pod in view.pods(service.ref.namespace, Selector.of(service.selector))
        for port in pod.ports
        if port.name == entry.target and port.protocol is entry.protocol
    }
