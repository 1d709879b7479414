"""A Service's port where the pod's port was meant.

Policies see a connection after the Service has been translated: its destination is the pod's address and
the pod's port. A Service that listens on 80 and sends to 8080 needs a policy for 8080.

The rule speaks where a Service in the input selects the destination pods and has the port, its target is
another one, no destination pod declares the policy's port, and the rule does not open the target as well.
`--fix` puts the target.

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

from collections.abc import Iterator

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Replace, Severity
from netprobe.lint.view import View
from netprobe.lint.words import listed, workloads
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import Pod
from netprobe.model.policy import AnyPort, PortRange

ID = "service-port"
SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    for place in view.places:
        if any(isinstance(port, AnyPort) for port in place.rule.ports):
            continue
        pods = view.destinations(place)
        if not pods:
            continue
        for index, port in enumerate(place.rule.ports):
            if not isinstance(port, PortRange) or port.first != port.last or _declared(pods, port):
                continue
            fronts = list(_fronts(view, pods, port))
            targets = {number for _, numbers in fronts for number in numbers}
            wanted = [PortRange(port.protocol, number, number) for number in targets]
            if not targets or port.first in targets or ports_within(wanted, place.rule.ports):
                continue
            service = fronts[0][0]
            yield Finding.about(
                place.policy,
                ID,
                SEVERITY,
                f"{place.port_path(index)}.port",
                f"{port.first} is the port of Service {service.ref.namespace}/{service.ref.name}; policies "
                f"see the pod's port, {listed(map(str, sorted(targets)))} on {listed(workloads(pods))}",
                suggestion=f"write port: {min(targets)}" if len(targets) == 1 else "write the pods' ports",
                changes=(Replace(place.keys("ports", index, "port"), min(targets)),)
                if len(targets) == 1
                else (),
            )


def _declared(pods: tuple[Pod, ...], port: PortRange) -> bool:
    return any(p.number == port.first and p.protocol is port.protocol for pod in pods for p in pod.ports)


def _fronts(view: View, pods: tuple[Pod, ...], port: PortRange) -> Iterator[tuple[Service, set[int]]]:
    """The Services with this port before some of the pods, and the numbers that it ends at there.

    A Service before other pods as well counts too; one without an address of its own (headless) does not:
    its clients choose the pod's port themselves.
    """
    for namespace in sorted({pod.ref.namespace for pod in pods}):
        for service in view.services[namespace]:
            entry = next(
                (e for e in service.ports if e.port == port.first and e.protocol is port.protocol), None
            )
            if entry is None or not service.selector:
                continue
            behind = [
                pod
                for pod in pods
                if pod.ref.namespace == namespace and service.selector.items() <= pod.labels.items()
            ]
            numbers = {number for pod in behind if (number := _target(pod, entry)) is not None}
            if numbers:
                yield service, numbers


def _target(pod: Pod, entry: ServicePort) -> int | None:
    if isinstance(entry.target, int):
        return entry.target
    return next(
        (p.number for p in pod.ports if p.name == entry.target and p.protocol is entry.protocol), None
    )
