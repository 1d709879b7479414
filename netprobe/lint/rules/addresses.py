"""Rules about address blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.lint.cover import is_narrow, rule_within
from netprobe.lint.indexes import AddressIndex
from netprobe.lint.located import LocatedRule
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.view import View, workloads
from netprobe.model.flow import ServiceRef
from netprobe.model.labels import Selector
from netprobe.model.policy import WHOLE, Direction, IPBlock, Network, Policy, PortRange, Rule
from netprobe.model.text import listed
from netprobe.policies.address import parse_address, parse_block
from netprobe.simulate.match import within


@lint_rule(Severity.WARNING)
def client_address(view: View) -> Iterator[Finding]:
    """Client addresses behind a Service whose nodes replace them.

    With `externalTrafficPolicy: Cluster`, the default, a node that receives a connection for a node port or a
    load balancer may send it on with its own address as the source. An ipBlock with the addresses of clients
    then matches nothing (documentation of Services, "Preserving the client source IP"). With `Local`, nodes
    pass connections on to their own pods only, and the address stays.

    It is reported for blocks that are not the addresses of known nodes, on pods behind a Service of the type
    NodePort or LoadBalancer. Load balancers that speak the PROXY protocol or HTTP are sources themselves.

    Example:

          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {
            containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}}
          ---
          {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: LoadBalancer,
        -   selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
        +   externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: office, namespace: shop}
          spec:
            podSelector: {matchLabels: {app: web}}
            ingress:
              - from: [{ipBlock: {cidr: 203.0.113.0/24}}]
                ports: [{port: 8080}]
    """
    nodes = {address for node in view.cluster.nodes.values() for address in node.addresses}
    nodes |= {address for pod in view.cluster.pods.values() for address in pod.node_addresses}
    for located, index, block in view.all_peers(IPBlock):
        if located.direction is not Direction.INGRESS or block.cidr.prefixlen == 0:
            continue
        if view.pods_inside(block) or any(within(block, address) for address in nodes):
            continue
        services = [f"{ref.namespace}/{ref.name}" for ref in _exposing_services(view, located.policy)]
        if services:
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"connections through Service {listed(services)} may come from the address of a node, so "
                f"{block.cidr} does not match their clients (externalTrafficPolicy: Cluster)",
                suggestion="set externalTrafficPolicy: Local on the Service, and check the impact on its "
                "load balancing",
            )


def _exposing_services(view: View, policy: Policy) -> Iterator[ServiceRef]:
    """The Services that nodes and load balancers serve, in front of a policy's pods."""
    own = {pod.ref for pod in view.subjects(policy)}
    for service in view.services.get(policy.ref.namespace, ()) if own else ():
        if not service.exposed or service.external_traffic_local or not service.selector:
            continue
        behind = view.pods(policy.ref.namespace, Selector.of(service.selector))
        if any(pod.ref in own for pod in behind):
            yield service.ref


@lint_rule(Severity.WARNING)
def egress_to_anywhere(view: View) -> Iterator[Finding]:
    """Egress to 0.0.0.0/0 or ::/0: every address there is.

    Anyone who takes over the pod can send data to any address on the internet. With most network plugins this
    also includes every pod, node and metadata service, because an ipBlock of all addresses contains those
    too. Name the networks that are needed. A block with `except` is a note: private networks are excluded,
    the internet is not. Rules for port 53 only are not reported.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-partner, namespace: production}
          spec:
            podSelector: {matchLabels: {app: api}}
            policyTypes: [Egress]
            egress:
        -     - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
        +     - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
                ports: [{port: 443}]
    """
    for located in view.rules:
        if located.direction is Direction.INGRESS or _dns_only(located):
            continue
        blocks = [(index, peer) for index, peer in enumerate(located.rule.peers) if isinstance(peer, IPBlock)]
        halves = {block.cidr for _, block in blocks if block.cidr.prefixlen == 1}
        both = {version for version in (4, 6) if sum(half.version == version for half in halves) == 2}
        for index, block in blocks:
            half = block.cidr.prefixlen == 1 and block.cidr.version in both
            if block.cidr.prefixlen > 0 and not half:
                continue
            both.discard(block.cidr.version)
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"egress to {block.cidr}{' and its other half' if half else ''}: every address"
                + (
                    " except the excluded ones"
                    if block.excluded
                    else ", including pods and nodes of the cluster"
                ),
                suggestion="name the networks that are needed",
                severity=Severity.NOTE if block.excluded else Severity.WARNING,
            )


def _dns_only(located: LocatedRule) -> bool:
    return all(isinstance(port, PortRange) and port.first == port.last == 53 for port in located.rule.ports)


@lint_rule(Severity.WARNING)
def host_bits(view: View) -> Iterator[Finding]:
    """A CIDR with bits set behind its prefix: it means the whole network.

    The API server accepts `192.0.2.7/24` and means 192.0.2.0/24; 10.0.0.0/0 is every address. Some tools
    refuse such a block or read it as one host. The author's intent is unclear, so write the network as it
    is, or /32 (IPv6: /128) for the one address.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: office, namespace: shop}
          spec:
            podSelector: {}
            ingress:
        -     - from: [{ipBlock: {cidr: 192.0.2.7/24}}]
        +     - from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.7/32]}}]
                ports: [{port: 443}]
    """
    for located, index, _ in view.all_peers(IPBlock):
        for path, text in _written_blocks(view, located, index):
            network, address = _other_network(text), text.partition("/")[0]
            if network is not None:
                yield Finding.about(
                    located.policy,
                    f"{located.peer_path(index)}.ipBlock.{path}",
                    f"{text} means {network}",
                    suggestion=f"write {network}, or {address}/{network.max_prefixlen} for the one address",
                )


def _written_blocks(view: View, located: LocatedRule, index: int) -> Iterator[tuple[str, str]]:
    """The blocks of a peer as the manifest has them: (path in the ipBlock, text)."""
    peer = view.source_of(located, located.list_name, index)
    block = peer.get("ipBlock") if isinstance(peer, Mapping) else None
    if not isinstance(block, Mapping):
        return
    yield "cidr", str(block.get("cidr"))
    for number, text in enumerate(block.get("except") or ()):
        yield f"except[{number}]", str(text)


def _other_network(text: str) -> Network | None:
    """The network of a block whose address is not that of the network."""
    block, address = parse_block(text), parse_address(text.partition("/")[0])
    if block is None or address == block.network.network_address:
        return None
    return block.network


@lint_rule(Severity.WARNING)
def one_family(view: View) -> Iterator[Finding]:
    """Every IPv4 address but no IPv6 address, for pods that have both.

    0.0.0.0/0 says nothing about IPv6. A dual-stack pod prefers IPv6 where the name that it connects to has
    such an address, and then the policy denies the connection, or a client. The other way round, ::/0 leaves
    out IPv4.

    It is reported if known pods that the policy selects have addresses of both families.

    Example:

          {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
            spec: {containers: [{name: web, image: web}]},
            status: {phase: Running, podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}]}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web, namespace: shop}
          spec:
            podSelector: {matchLabels: {app: web}}
            policyTypes: [Egress]
            egress:
        -     - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
        +     - to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}]
                ports: [{port: 443}]
    """
    pods = view.cluster.pods.values()
    dual = {pod.ref for pod in pods if {each.version for each in pod.addresses} == {4, 6}}
    for located, index, block in view.all_peers(IPBlock) if dual else ():
        policy = located.policy
        if block.cidr not in WHOLE.values():
            continue
        missing = WHOLE[6 if block.cidr.version == 4 else 4]
        both = [pod for pod in view.subjects(policy) if pod.ref in dual]
        if not both:
            continue
        wanted = Rule((IPBlock(missing),), located.rule.ports)
        around = view.rules_beside(policy, located.direction)
        if not rule_within(wanted, around, policy.ref.namespace):
            yield Finding.about(
                policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains no IPv{missing.version} address, and {listed(workloads(both))} "
                "has addresses of both families",
                suggestion=f"add {{ipBlock: {{cidr: '{missing}'}}}}, if that is wanted as well",
            )


@lint_rule(Severity.WARNING)
def pod_address(view: View) -> Iterator[Finding]:
    """An ipBlock that contains addresses of pods.

    A pod gets another address after each restart, and its old address may go to another pod. An ipBlock is
    for addresses outside the cluster: Cilium never matches pods by it, other plugins do. Select pods by
    labels.

    It is reported if known pods have addresses in a small block (/24 or smaller).

    Example:

          {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api}},
            spec: {containers: [{name: api, image: api}]},
            status: {phase: Running, podIP: 10.244.1.7, podIPs: [{ip: 10.244.1.7}]}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: postgres, namespace: production}
          spec:
            podSelector: {matchLabels: {app: postgres}}
            ingress:
        -     - from: [{ipBlock: {cidr: 10.244.1.7/32}}]
        +     - from: [{podSelector: {matchLabels: {app: api}}}]
                ports: [{port: 5432}]
    """
    for located, index, block in view.all_peers(IPBlock):
        pods = view.pods_inside(block) if is_narrow(block) else ()
        if pods:
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains the current address of {listed(map(str, pods))}, which can change",
                suggestion="select the pods by their labels",
            )


@lint_rule(Severity.WARNING)
def service_address(view: View) -> Iterator[Finding]:
    """An egress ipBlock that contains the address of a Service.

    Most network plugins see a packet after the address of the Service has been translated to that of a pod,
    so the block never matches. The result is undefined by the API. Select the pods behind the Service; for
    the API server, whose Service is `default/kubernetes`, use the addresses of its endpoints.

    It is reported if a known Service has its address in the block, and no known pod does.

    Example:

          {apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default},
            spec: {clusterIP: 10.96.0.1, ports: [{port: 443, targetPort: 6443}]}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: to-api-server, namespace: production}
          spec:
            podSelector: {matchLabels: {app: operator}}
            policyTypes: [Egress]
            egress:
        -     - to: [{ipBlock: {cidr: 10.96.0.1/32}}]
        -       ports: [{port: 443}]
        +     - to: [{ipBlock: {cidr: 172.31.255.1/32}}]
        +       ports: [{port: 6443}]
    """
    addresses = AddressIndex(
        (address, f"{service.ref.namespace}/{service.ref.name}")
        for service in view.cluster.services.values()
        if service.ref in view.known.addressed
        for address in service.addresses
    )
    for located, index, block in view.all_peers(IPBlock):
        if located.direction is Direction.INGRESS or not is_narrow(block):
            continue
        services = addresses.inside(block)
        if services and not view.pods_inside(block):
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains the address of Service {listed(services)}: most plugins see the "
                "pods' addresses instead, so the block never matches",
                suggestion="select the pods behind the Service, or use the addresses of its endpoints",
            )
