"""An admission webhook whose pods the API server cannot reach.

The API server calls webhooks from outside the pod network: from a control plane node, or through a tunnel.
No podSelector matches that. If the webhook's pods are isolated for ingress and no rule opens the port for
everyone or for addresses, every create or update that goes through the webhook fails, or is not checked
(`failurePolicy`).

It is reported for webhooks that name a Service, if its pods are known.

Example:

      apiVersion: admissionregistration.k8s.io/v1
      kind: ValidatingWebhookConfiguration
      metadata: {name: checks}
      webhooks: [{name: c.example.com, clientConfig: {service: {name: hook, namespace: shop}}}]
      ---
      {apiVersion: v1, kind: Service, metadata: {name: hook, namespace: shop}, spec: {
        selector: {app: hook}, ports: [{port: 443, targetPort: 9443}]}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: hook, namespace: shop, labels: {app: hook}}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: hook, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: hook}}
    -   ingress:
    -     - from: [{namespaceSelector: {}}]
    -       ports: [{port: 9443}]
    +   ingress: [{ports: [{port: 9443}]}]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.cluster import Service
from netprobe.model.flow import Pod, ServiceRef
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy, PortRange
from netprobe.simulate.service import target

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    seen = set()
    for name, ref, number in _webhooks(view):
        service = view.cluster.services.get(ref)
        if service is None or not service.selector or (ref, number) in seen:
            continue
        seen.add((ref, number))
        for pod in view.pods(ref.namespace, Selector.of(service.selector)):
            isolating = [policy for policy in view.policies.get(ref.namespace, ()) if _isolates(policy, pod)]
            port = _port(service, pod, number)
            if isolating and port is not None and not any(_opens(policy, port) for policy in isolating):
                yield Finding.about(
                    isolating[0],
                    "spec",
                    f"webhook {name} is served by {ref.namespace}/{pod.ref.name} on port {port.first}, which "
                    "no policy opens for the API server: no podSelector matches it",
                    suggestion=f"open port {port.first} for the addresses of the control plane, or for all",
                )
                break


def _webhooks(view: View) -> Iterator[tuple[str, ServiceRef, int]]:
    """Each webhook that calls a Service: its name, the Service and its port."""
    for configuration in view.webhooks:
        for webhook in configuration.get("webhooks") or ():
            client = webhook.get("clientConfig") if isinstance(webhook, Mapping) else None
            service = client.get("service") if isinstance(client, Mapping) else None
            if isinstance(service, Mapping) and service.get("name"):
                ref = ServiceRef(str(service.get("namespace")), str(service["name"]))
                number = service.get("port")
                yield str(webhook.get("name")), ref, number if isinstance(number, int) else 443


def _isolates(policy: Policy, pod: Pod) -> bool:
    return policy.ingress is not None and policy.subject.pods.matches(pod.labels)


def _port(service: Service, pod: Pod, number: int) -> PortRange | None:
    for entry in service.ports:
        if entry.port == number and (found := target(pod, entry)) is not None:
            return PortRange(entry.protocol, found, found)
    return None


def _opens(policy: Policy, port: PortRange) -> bool:
    """Whether some rule opens the port for others than pods."""
    return any(
        ports_within([port], rule.ports) and not all(isinstance(peer, PodPeer) for peer in rule.peers)
        for rule in policy.ingress or ()
    )
