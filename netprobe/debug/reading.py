"""From facts to evidence, without sending anything: the Service, the ends of the traffic, the policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from netprobe.debug import ends
from netprobe.debug.ends import Destination
from netprobe.debug.evidence import Evidence
from netprobe.debug.facts import Facts
from netprobe.debug.near import near_miss
from netprobe.debug.records import Denial, Leg, Question, ServiceState, Source
from netprobe.explain import Advisor, SideView, explain
from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import ContainerPort, End, External, Flow, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.policy import DEFAULT_TIER, NETWORK_POLICY, Direction
from netprobe.model.verdict import Cause, Side, Verdict
from netprobe.policies.address import parse_address
from netprobe.probe.surroundings import readiness_ports
from netprobe.run.cluster import RunOptions
from netprobe.simulate import Profile, Simulator
from netprobe.simulate.service import named, selected

MOST: Final = 6
"""Of more pods behind a destination, this many are looked at: those of different nodes first."""

DNS_LABEL: Final = ("k8s-app", "kube-dns")


@dataclass(frozen=True, slots=True)
class Request:
    """What to find out, and how. `probe` False: only read. `ephemeral`: send from the real pod.

    `say` gets a warning about what cannot be undone, before it is done.
    """

    source: str
    destination: str
    port: int | None = None
    protocol: Protocol | None = None
    probe: bool = True
    ephemeral: bool = False
    disturb: bool = False
    options: RunOptions = field(default_factory=RunOptions)
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Read:
    """What reading found: the evidence without packets, and the facts with the source's pod."""

    evidence: Evidence
    facts: Facts


def read(request: Request, facts: Facts, *, unsent: str, network: str | None = None) -> Read:
    """The evidence that needs no packet; `unsent` says why none is sent. UsageError for unknown ends."""
    source, facts = ends.find_source(request.source, facts)
    destination, port_of_url = ends.find_destination(request.destination, source, facts)
    port, protocol = ends.choose_port(request.port or port_of_url, request.protocol, destination, facts)
    question = Question(request.source, request.destination, port, protocol)
    profile = request.options.profile
    service = None
    if destination.service is not None and not destination.pods:
        service = _service_state(facts, destination.service, port, protocol)
    evidence = Evidence(
        question,
        source,
        destination.name,
        service,
        destination.pods,
        legs(facts, source, destination, question, profile),
        _dns_leg(facts, source, profile) if destination.name else None,
        unsent=unsent,
        others=facts.others,
        network=network,
        warnings=tuple(f"not read: {why}" for why in facts.unread.values()),
    )
    return Read(evidence, facts)


def _service_state(facts: Facts, ref: ServiceRef, port: int, protocol: Protocol) -> ServiceState:
    """A Service with its pods, and what its port leads to."""
    service = facts.cluster.services[ref]
    entry = next((one for one in service.ports if (one.port, one.protocol) == (port, protocol)), None)
    pods = (
        list(selected(facts.cluster, replace(service, publish_not_ready=True), None))
        if service.selector
        else []
    )
    states = tuple(facts.pod(pod.ref) for pod in pods)
    wanted = (service.selector or {}).items()
    idle = [
        name
        for name, pod in facts.idle
        if pod.ref.namespace == ref.namespace and wanted and wanted <= pod.labels.items()
    ]
    targets = {}
    if entry is not None and isinstance(entry.target, str):
        targets = {pod.ref: named(pod, entry.target, entry.protocol) for pod in pods}
    return ServiceState(
        ref,
        service.selector,
        port,
        protocol,
        entry.target if entry else None,
        tuple(f"{one.port}/{one.protocol.value}" for one in service.ports),
        not service.addresses,
        service.external_name,
        states,
        _almost(facts.cluster, service) if not pods else {},
        tuple(idle),
        _endpoints(facts, ref),
        targets,
        service.publish_not_ready,
    )


def _almost(cluster: Cluster, service: Service) -> Mapping[str, str]:
    """Pods that match the selector except for one label, with that label as they have it."""
    wanted, found = service.selector or {}, {}
    for ref, pod in cluster.pods.items():
        if ref.namespace != service.ref.namespace:
            continue
        off = [key for key, value in wanted.items() if pod.labels.get(key) != value]
        if len(off) == 1 and (len(wanted) > 1 or off[0] in pod.labels):
            key = off[0]
            found[str(ref)] = f"{key}={pod.labels[key]}" if key in pod.labels else f"no label {key}"
    return found


def _endpoints(facts: Facts, ref: ServiceRef) -> tuple[str, ...] | None:
    if not facts.live or "EndpointSlice" in facts.unread:
        return None
    return tuple(address for address, _ in _addresses(facts, ref))


def _addresses(facts: Facts, ref: ServiceRef) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The ready addresses of a Service's EndpointSlices, each with its slice."""
    for obj in facts.around.of("EndpointSlice", ref.namespace):
        if (obj["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == ref.name:
            for endpoint in obj.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    yield from ((str(address), obj) for address in endpoint.get("addresses") or ())


def legs(
    facts: Facts, source: Source, destination: Destination, question: Question, profile: Profile
) -> tuple[Leg, ...]:
    """Where the traffic ends, with what the policies say; () if that is not known."""
    if source.end is None:
        return ()
    simulator = Simulator(facts.cluster, profile)
    flows = _flows(simulator, facts, source.end, destination, question)
    advisor = Advisor(simulator)
    return tuple(_leg(advisor, facts, flow) for flow in _spread(facts.cluster, flows))


def _dns_leg(facts: Facts, source: Source, profile: Profile) -> Leg | None:
    """The source's way to the cluster's DNS server; None if that is not known.

    Manifests of an application do not have it: the usual pod is assumed then.
    """
    if source.end is None:
        return None
    key, value = DNS_LABEL
    simulator = Simulator(facts.cluster, profile)
    for service in facts.cluster.services.values():
        if service.ref.namespace == "kube-system" and (service.selector or {}).get(key) == value:
            for flow in _through(simulator, source.end, service, 53, Protocol.UDP):
                return _leg(Advisor(simulator), facts, flow)
    if facts.live:
        return None
    assumed = Pod(PodRef("kube-system", "kube-dns"), {key: value}, ports=(ContainerPort(53, Protocol.UDP),))
    simulator = Simulator(facts.with_pod(assumed).cluster, profile)
    return _leg(Advisor(simulator), facts, Flow(source.end, assumed.ref, 53, Protocol.UDP))


def _flows(
    simulator: Simulator, facts: Facts, source: End, destination: Destination, question: Question
) -> Iterator[Flow]:
    port, protocol = question.port, question.protocol
    if destination.service is not None and not destination.pods:
        service = facts.cluster.services[destination.service]
        if service.selector:
            yield from _through(simulator, source, service, port, protocol)
        else:
            yield from _manual(facts, source, service, port, protocol)
        return
    known = facts.cluster.pods
    ends: list[PodRef | External] = [pod.ref for pod in destination.pods if pod.ref in known]
    if destination.address is not None:
        ends.append(destination.address)
    for end in ends:
        via = Via.EXTERNAL if isinstance(end, External) else Via.POD
        yield from simulator.apart(Flow(source, end, port, protocol, via=via))


def _through(
    simulator: Simulator, source: End, service: Service, port: int, protocol: Protocol
) -> Iterator[Flow]:
    """To the ready pods behind a Service; if there are none, to those that are not ready."""
    every = replace(service, publish_not_ready=True)
    unready = Simulator(
        replace(simulator.cluster, services={**simulator.cluster.services, service.ref: every}),
        simulator.profile,
    )
    for flow in simulator.apart(Flow(source, service.ref, port, protocol, via=Via.SERVICE)):
        found = simulator.decide(flow).backends or unready.decide(flow).backends
        yield from (onward for onward, _ in found)


def _manual(facts: Facts, source: End, service: Service, port: int, protocol: Protocol) -> Iterator[Flow]:
    """To the addresses that somebody wrote into EndpointSlices."""
    entry = next((one for one in service.ports if (one.port, one.protocol) == (port, protocol)), None)
    by_address = {address: ref for ref, pod in facts.cluster.pods.items() for address in pod.addresses}
    for text, obj in _addresses(facts, service.ref):
        address = parse_address(text)
        number = _slice_port(obj, entry)
        if address is not None and number is not None:
            end = by_address.get(address) or External(address)
            yield Flow(source, end, number, protocol, address.version, Via.SERVICE)


def _slice_port(obj: Mapping[str, Any], entry: ServicePort | None) -> int | None:
    ports = obj.get("ports") or ()
    names = {one.get("name") or None: one.get("port") for one in ports}
    found = names.get(entry.name if entry else None)
    return int(found) if found else None


def _spread(cluster: Cluster, flows: Iterable[Flow]) -> list[Flow]:
    """At most MOST destinations of the flows, those on different nodes first."""
    every = list(flows)
    by_node: dict[str | None, list[Flow]] = {}
    for flow in every:
        end = flow.destination
        node = cluster.pods[end].node if isinstance(end, PodRef) else None
        by_node.setdefault(node, []).append(flow)
    ends = dict.fromkeys(
        group[index].destination
        for index in range(len(every))
        for group in by_node.values()
        if index < len(group)
    )
    kept = set(list(ends)[:MOST])
    return [flow for flow in every if flow.destination in kept]


def _leg(advisor: Advisor, facts: Facts, flow: Flow) -> Leg:
    simulator = advisor.simulator
    decision = simulator.decide(flow)
    end = flow.destination
    denials: tuple[Denial, ...] = ()
    explanation = None
    if decision.verdict is Verdict.DENY:
        explanation = explain(advisor, flow)
        views = {view.direction: view for view in explanation.sides}
        denials = tuple(
            _denial(simulator, flow, side, views.get(side.direction))
            for side in (decision.egress, decision.ingress)
            if side.verdict is Verdict.DENY
        )
    if isinstance(end, External):
        return Leg(flow, end.address, None, decision, denials, explanation)
    assert isinstance(end, PodRef)  # noqa: S101
    pod = simulator.cluster.pods[end]
    own = pod.addresses or (pod.node_addresses if pod.host_network else ())
    address = next((one for one in own if flow.family in {None, one.version}), None)
    obj = facts.object("Pod", end)
    proven = bool(obj) and flow.protocol is Protocol.TCP and flow.port in set(readiness_ports(obj or {}))
    return Leg(flow, address, pod.node, decision, denials, explanation, pod.host_network, proven)


def _denial(simulator: Simulator, flow: Flow, side: Side, view: SideView | None) -> Denial:
    deciding = side.denying or side.isolating
    return Denial(
        side.direction,
        tuple(dict.fromkeys(map(policy_name, deciding))),
        any(not _is_plain(cause) for cause in deciding),
        near_miss(simulator, flow, view) if view else None,
        _only_by_host_network(simulator, flow, side.direction),
    )


def policy_name(cause: Cause) -> str:
    """A policy, with its kind and tier unless it is a NetworkPolicy."""
    if _is_plain(cause):
        return f"NetworkPolicy {cause.policy}"
    return f"{cause.kind} {cause.policy} (tier {cause.tier})"


def _is_plain(cause: Cause) -> bool:
    return cause.kind == NETWORK_POLICY and cause.tier == DEFAULT_TIER.name


def _only_by_host_network(simulator: Simulator, flow: Flow, direction: Direction) -> bool:
    """Whether a side would allow the flow if the pod at the other end had its own network."""
    peer = flow.source if direction is Direction.INGRESS else flow.destination
    pod = simulator.cluster.pods.get(peer) if isinstance(peer, PodRef) else None
    if pod is None or not pod.host_network:
        return False
    pods = {**simulator.cluster.pods, pod.ref: replace(pod, host_network=False)}
    other = Simulator(replace(simulator.cluster, pods=pods), simulator.profile).decide(flow)
    side = other.ingress if direction is Direction.INGRESS else other.egress
    return side.verdict is Verdict.ALLOW
