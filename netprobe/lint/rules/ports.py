"""Rules about ports, by number and by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from netprobe.explain.phrases import describe_peer
from netprobe.lint.cover import peer_within, ports_within, selects_everything
from netprobe.lint.located import LocatedRule, reached, written
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.view import View, workloads
from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import ContainerPort, Pod, PodRef, Protocol
from netprobe.model.labels import Selector
from netprobe.model.policy import (
    ANY_PORT,
    AnyPeer,
    Direction,
    IPBlock,
    NamedPort,
    Peer,
    PodPeer,
    Port,
    PortRange,
)
from netprobe.model.text import listed
from netprobe.simulate.service import target


@lint_rule(Severity.WARNING)
def mixed_target_port(view: View) -> Iterator[Finding]:
    """A port by number, where the Service's named targetPort is another number on some pods.

    A Service with `targetPort: http` sends a connection to whatever port a pod calls "http". During a
    migration that may be 80 on one pod and 8080 on another. A policy with one of the numbers then opens the
    Service for some connections only.

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
    mixed = [
        (service, entry, numbers)
        for services in view.services.values()
        for service in services
        for entry in service.ports
        if len(set((numbers := _target_numbers(view, service, entry)).values())) > 1
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


def _target_numbers(view: View, service: Service, entry: ServicePort) -> dict[PodRef, int]:
    """The number of a named targetPort on each pod behind a Service; {} for a number."""
    if not service.selector or isinstance(entry.target, int):
        return {}
    return {
        pod.ref: port.number
        for pod in view.pods(service.ref.namespace, Selector.of(service.selector))
        for port in pod.ports
        if port.name == entry.target and port.protocol is entry.protocol
    }


@lint_rule(Severity.WARNING)
def named_port_for_address(view: View) -> Iterator[Finding]:
    """An egress rule that allows a named port to addresses.

    A port name is looked up on the destination pod. Addresses outside the cluster have no port names, so a
    named port with an ipBlock allows nothing there.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
            podSelector: {matchLabels: {app: api}}
            policyTypes: [Egress]
            egress:
              - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
        -       ports: [{port: https}]
        +       ports: [{port: 443}]
    """
    for located in view.rules:
        block = next((peer for peer in located.rule.peers if isinstance(peer, IPBlock)), None)
        if located.direction is Direction.INGRESS or block is None:
            continue
        numbers = any(not isinstance(port, NamedPort) for port in located.rule.ports)
        mixed = any(not isinstance(peer, IPBlock) for peer in located.rule.peers)
        if numbers or mixed:
            continue  # the rule allows something
        for index, port in enumerate(located.rule.ports):
            if isinstance(port, NamedPort):
                yield Finding.about(
                    located.policy,
                    f"{located.port_path(index)}.port",
                    f"addresses outside have no port names: {port.name} allows nothing to "
                    f"{describe_peer(block)}",
                    suggestion="write the number of the port",
                )


@lint_rule(Severity.WARNING)
def no_ports(view: View) -> Iterator[Finding]:
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
    for located in view.rules:
        if located.rule.ports != ANY_PORT or written(located.policy, f"{located.path}.ports"):
            continue  # the rule empty-list reports empty lists
        if _is_for_everyone(located):
            continue
        peers = dict.fromkeys(map(describe_peer, located.rule.peers))
        way = "from" if located.direction is Direction.INGRESS else "to"
        yield Finding.about(
            located.policy,
            located.path,
            f"no ports: every port is allowed {way} {listed(peers)}",
            suggestion=_declared_ports(view.declared(located)),
            severity=Severity.NOTE if all(map(_is_chosen, located.rule.peers)) else Severity.WARNING,
        )


def _is_for_everyone(located: LocatedRule) -> bool:
    """Whether the rule is for everyone, or for exactly the policy's own namespace."""
    own = located.policy.ref.namespace
    return all(
        isinstance(peer, AnyPeer)
        or (isinstance(peer, PodPeer) and peer == PodPeer())
        or (peer_within(PodPeer(), peer, own) and peer_within(peer, PodPeer(), own))
        for peer in located.rule.peers
    )


def _is_chosen(peer: Peer) -> bool:
    return isinstance(peer, PodPeer) and (
        peer.namespaces is None
        or not selects_everything(peer.namespaces)
        or not selects_everything(peer.pods)
    )


def _declared_ports(declared: Iterable[ContainerPort]) -> str:
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


@lint_rule(Severity.ERROR)
def service_port(view: View) -> Iterator[Finding]:
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
                severity=Severity.ERROR,
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
            self._results[key_of_rule] = _front_names(ends), {end.number for end in ends}
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


def _front_names(fronts: Iterable[Front]) -> str:
    """ "the port of Service shop/a and shop/b and the hostPort of pod web"."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for front in fronts:
        what, _, name = front.owner.partition(" ")
        by_kind.setdefault((front.kind, what), []).append(name)
    return " and ".join(
        f"the {kind} of {what} {listed(dict.fromkeys(names))}" for (kind, what), names in by_kind.items()
    )


@lint_rule(Severity.ERROR)
def unknown_port_name(view: View) -> Iterator[Finding]:
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
            others = any(_port_opens(p, declared) for p in located.rule.ports if p != port)
            yield Finding.about(
                located.policy,
                f"{located.port_path(index)}.port",
                f"{listed(workloads(pods))} {'has' if len(workloads(pods)) == 1 else 'have'} no "
                f"{f'{port.protocol.value} ' if port.protocol else ''}port named {port.name}",
                suggestion=_port_names(declared, port),
                severity=Severity.WARNING if others else Severity.ERROR,
            )


def _port_opens(port: Port, declared: Collection[ContainerPort]) -> bool:
    """Whether a port of a rule allows something: a number does, a name if some pod has it."""
    return not isinstance(port, NamedPort) or any(
        p.name == port.name and port.protocol in {None, p.protocol} for p in declared
    )


def _port_names(found: Collection[ContainerPort], port: NamedPort) -> str:
    others = sorted(p.protocol.value for p in found if p.name == port.name)
    if others:
        protocol = others[0]
        return f"the port with that name is {protocol}: write protocol: {protocol}"
    names = sorted({p.name for p in found if p.name and port.protocol in {None, p.protocol}})
    if names:
        return f"the pods have ports named {listed(names)}"
    return "name the port in the pod template, or write its number"
