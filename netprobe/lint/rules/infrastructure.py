"""Rules about what is not an ordinary pod: the API server, its webhooks, nodes, a mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_network

from netprobe.lint.cover import ports_within, rule_within, selects_everything
from netprobe.lint.located import LocatedRule
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.view import View, workloads
from netprobe.model.cluster import Service
from netprobe.model.flow import Pod, Protocol, ServiceRef
from netprobe.model.labels import Selector
from netprobe.model.policy import Direction, IPBlock, PodPeer, Policy, PortRange, Rule
from netprobe.model.text import listed
from netprobe.simulate.service import target

MESH_LABEL = ("istio.io/dataplane-mode", "ambient")
HBONE = PortRange(Protocol.TCP, 15008, 15008)


@lint_rule(Severity.WARNING)
def ambient_mesh(view: View) -> Iterator[Finding]:
    """A policy in an ambient mesh that does not open port 15008.

    In Istio's ambient mode, a pod receives the connections of others of the mesh through ztunnel, as HBONE on
    TCP port 15008. A policy that only lists the application's ports closes that (istio.io, "Ambient and
    Kubernetes NetworkPolicy"). Health checks of the kubelet come from 169.254.7.127.

    It is reported if a namespace has the label `istio.io/dataplane-mode: ambient`, or the selected pods have,
    and a rule lists ports while no policy opens 15008 for those pods.

    Example:

          apiVersion: v1
          kind: Namespace
          metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web, namespace: shop}
          spec:
            podSelector: {matchLabels: {app: web}}
            ingress:
              - from: [{podSelector: {matchLabels: {app: front}}}]
        -       ports: [{port: 8080}]
        +       ports: [{port: 8080}, {port: 15008}]
    """
    for policy in view.cluster.policies:
        if not policy.ingress or not _in_mesh(view, policy):
            continue
        rules = view.rules_beside(policy, Direction.INGRESS)
        if not any(ports_within([HBONE], rule.ports) for rule in rules):
            yield Finding.about(
                policy,
                "spec.ingress",
                f"the pods are in an ambient mesh ({'='.join(MESH_LABEL)}), where connections arrive on port "
                "15008, and no rule opens it",
                suggestion="add {port: 15008} to the rules for peers in the mesh",
            )


def _in_mesh(view: View, policy: Policy) -> bool:
    key, value = MESH_LABEL
    pods = view.subjects(policy)
    if any(pod.labels.get(key, value) != value for pod in pods):
        return False  # a pod's label wins
    own = bool(pods) and all(pod.labels.get(key) == value for pod in pods)
    return own or view.labels.get(policy.ref.namespace, {}).get(key) == value


API_SERVER_PORTS = tuple(PortRange(Protocol.TCP, number, number) for number in (443, 6443))
API_SERVER = ServiceRef("default", "kubernetes")


@lint_rule(Severity.WARNING)
def api_server_by_selector(view: View) -> Iterator[Finding]:
    """Egress to the API server by a selector, which cannot match it.

    The API server runs in the network of a control plane node, or outside the cluster: no podSelector and no
    namespaceSelector matches it, not even `namespaceSelector: {}`. After translation of the Service
    `default/kubernetes`, the port is that of the endpoint, usually 6443.

    It is reported if the Service or the API server's pod is in the input, a rule opens 443 or 6443 to pods,
    none of which has that port, and no policy opens the API server's address.

    Example:

          {apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default},
            spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}}
          ---
          {apiVersion: v1, kind: Endpoints, metadata: {name: kubernetes, namespace: default},
            subsets: [{addresses: [{ip: 192.0.2.4}], ports: [{name: https, port: 6443}]}]}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: operator, namespace: shop}
          spec:
            podSelector: {}
            policyTypes: [Egress]
            egress:
        -     - to: [{namespaceSelector: {}}]
        -       ports: [{port: 443}]
        +     - to: [{ipBlock: {cidr: 192.0.2.4/32}}]
        +       ports: [{port: 6443}]
    """
    ends = _api_servers(view)
    for located in view.rules if ends is not None else ():
        meant = [port for port in API_SERVER_PORTS if port in located.rule.ports]
        if not meant or not _is_by_selector(view, located, meant):
            continue
        policy = located.policy
        around = view.rules_beside(policy, Direction.EGRESS)
        if any(rule_within(end, around, policy.ref.namespace) for end in ends or ()):
            continue
        known = listed(f"{end.peers[0].cidr}" for end in ends or () if isinstance(end.peers[0], IPBlock))
        yield Finding.about(
            policy,
            f"{located.path}.to",
            f"no pod that this matches has port {meant[0].first}; if it is meant to allow the API server: no "
            "selector matches that",
            suggestion=f"use an ipBlock with the API server's address{f', {known}' if known else ''}, and "
            "the port of its endpoint, usually 6443",
        )


def _api_servers(view: View) -> list[Rule] | None:
    """What would open each API server; [] if no address is known, None if none is in the input."""
    service = view.cluster.services.get(API_SERVER)
    if service is not None:
        return [
            Rule(
                (IPBlock(ip_network(f"{end.address}/{end.address.max_prefixlen}")),),
                (PortRange(end.protocol, end.port, end.port),),
            )
            for end in service.endpoints or ()
        ]
    pods = view.cluster.pods.values()
    return [] if any(p.host_network and p.labels.get("component") == "kube-apiserver" for p in pods) else None


def _is_by_selector(view: View, located: LocatedRule, meant: list[PortRange]) -> bool:
    """Whether an egress rule names pods, and no pod with its own address has one of the ports."""
    if located.direction is not Direction.EGRESS:
        return False
    if not all(isinstance(peer, PodPeer) and peer.namespaces is not None for peer in located.rule.peers):
        return False
    return not any(
        port.number == wanted.first and port.protocol is wanted.protocol
        for pod in view.destinations(located)
        if not pod.host_network
        for port in pod.ports
        for wanted in meant
    )


@lint_rule(Severity.WARNING)
def host_network(view: View) -> Iterator[Finding]:
    """Pods with hostNetwork: most network plugins apply no policy to them.

    A hostNetwork pod has the address of its node. What a policy does for such a pod, or with it as a peer, is
    undefined; usually selectors ignore it and its traffic counts as traffic of the node. So a policy that
    selects only such pods, or a peer that matches only such pods, does nothing on most clusters.

    Example:

          apiVersion: v1
          kind: Pod
          metadata: {name: exporter, namespace: monitoring, labels: {app: exporter}}
        - spec: {hostNetwork: true, containers: [{name: exporter, image: exporter}]}
        + spec: {containers: [{name: exporter, image: exporter}]}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: exporter, namespace: monitoring}
          spec:
            podSelector: {matchLabels: {app: exporter}}
            ingress: [{ports: [{port: 9100}]}]
    """
    for policy in view.cluster.policies:
        pods = view.subjects(policy)
        if pods and not selects_everything(policy.subject.pods) and all(pod.host_network for pod in pods):
            yield Finding.about(
                policy,
                "spec.podSelector",
                f"selects only hostNetwork pods ({listed(workloads(pods))}): most plugins apply no policy "
                "to them",
                suggestion="filter on the node, or run the pods without hostNetwork",
            )
    for located, index, peer in view.all_peers(PodPeer):
        policy = located.policy
        if selects_everything(peer.pods) or view.matches_nobody(policy, peer):
            continue
        if all(pod.host_network for pod in view.peers(policy, peer)):
            yield Finding.about(
                policy,
                located.peer_path(index),
                f"matches only hostNetwork pods ({listed(workloads(view.peers(policy, peer)))}): most "
                "plugins see the node instead",
                suggestion="use an ipBlock with the addresses of the nodes",
            )


@lint_rule(Severity.WARNING)
def webhook_closed(view: View) -> Iterator[Finding]:
    """An admission webhook whose pods the API server cannot reach.

    The API server calls webhooks from outside the pod network: from a control plane node, or through a
    tunnel. No podSelector matches that. If the webhook's pods are isolated for ingress and no rule opens the
    port for everyone or for addresses, every create or update that goes through the webhook fails, or is not
    checked (`failurePolicy`).

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
    seen = set()
    for name, ref, number in _webhooks(view):
        service = view.cluster.services.get(ref)
        if service is None or not service.selector or (ref, number) in seen:
            continue
        seen.add((ref, number))
        for pod in view.pods(ref.namespace, Selector.of(service.selector)):
            isolating = [policy for policy in view.policies.get(ref.namespace, ()) if _isolates(policy, pod)]
            port = _pod_port(service, pod, number)
            if isolating and port is not None and not any(_opens_it(policy, port) for policy in isolating):
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


def _pod_port(service: Service, pod: Pod, number: int) -> PortRange | None:
    for entry in service.ports:
        if entry.port == number and (found := target(pod, entry)) is not None:
            return PortRange(entry.protocol, found, found)
    return None


def _opens_it(policy: Policy, port: PortRange) -> bool:
    """Whether some rule opens the port for others than pods."""
    return any(
        ports_within([port], rule.ports) and not all(isinstance(peer, PodPeer) for peer in rule.peers)
        for rule in policy.ingress or ()
    )
