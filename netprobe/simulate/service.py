"""Services as destinations: which pods are behind one, and on which of their ports.

Policies see the pod's address and port, after the Service has been translated (docs), so a flow to a
Service is as many flows as there are backends, each decided for itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.model.cluster import Cluster, Service, ServicePort
from netprobe.model.flow import FAMILIES, End, External, Family, Flow, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.verdict import Decision
from netprobe.simulate.endpoint import Endpoint, first_of_each_family


@dataclass(frozen=True, slots=True)
class Backend:
    """A pod or an address behind a Service, and the port on it that a connection ends at."""

    end: End
    port: int


def families(cluster: Cluster, source: Endpoint, service: Service) -> tuple[Family | None, ...]:
    """The families in which a source reaches a Service; a headless one has those of its backends."""
    manual = {endpoint.address.version for endpoint in service.endpoints or ()}
    addresses = (
        {address.version for address in service.addresses}
        or manual
        or {
            family
            for pod in cluster.pods.values()
            if pod.ref.namespace == service.ref.namespace
            and service.selector is not None
            and service.selector.items() <= pod.labels.items()
            for family in first_of_each_family(pod.addresses)
        }
    )
    if not addresses and not source.addresses:
        return (None,)
    return tuple(
        family
        for family in FAMILIES
        if (family in addresses or not addresses) and (family in source.addresses or not source.addresses)
    )


def backends(cluster: Cluster, service: Service, flow: Flow) -> tuple[Backend, ...] | str:
    """Where connections to the Service end; a sentence if that cannot be determined."""
    if service.external_name is not None:
        return (
            f"{service.ref} is an alias of {service.external_name}: what that resolves to is not known here"
        )
    if service.selector is None and service.endpoints is None:
        return f"{service.ref} has no selector: its endpoints are managed manually"
    family = flow.family
    if service.addresses and family and family not in first_of_each_family(service.addresses):
        return f"{service.ref} has no IPv{family} address"
    headless = not service.addresses
    entry = None if headless else port_entry(service, flow)
    if not headless and entry is None:
        what = "node port" if flow.via is Via.NODE_PORT else "port"
        return f"{service.ref} has no {what} {flow.port}/{flow.protocol.value}"
    found = [*_manual(service, entry, flow)]
    for pod in selected(cluster, service, family) if service.selector is not None else ():
        port = flow.port if entry is None else target(pod, entry)
        if port is not None:
            found.append(Backend(pod.ref, port))
    return tuple(found) or f"{service.ref} has no ready endpoint for {flow.port}/{flow.protocol.value}"


def _manual(service: Service, entry: ServicePort | None, flow: Flow) -> Iterator[Backend]:
    """The endpoints of the Service's port; a headless one does not translate the port."""
    for endpoint in service.endpoints or ():
        if endpoint.protocol is flow.protocol and flow.family in {None, endpoint.address.version}:
            if entry is None:
                yield Backend(External(endpoint.address), flow.port)
            elif endpoint.name == entry.name:
                yield Backend(External(endpoint.address), endpoint.port)


def port_entry(service: Service, flow: Flow) -> ServicePort | None:
    """The entry of `ports` that a connection arrives at."""
    for entry in service.ports:
        number = entry.node_port if flow.via is Via.NODE_PORT else entry.port
        if number == flow.port and entry.protocol is flow.protocol:
            return entry
    return None


def selected(cluster: Cluster, service: Service, family: Family | None) -> Iterator[Pod]:
    """The ready pods that the Service selects, in the order of the cluster."""
    wanted = (service.selector or {}).items()
    for ref, pod in cluster.pods.items():
        if ref.namespace != service.ref.namespace or not wanted <= pod.labels.items():
            continue
        addresses = first_of_each_family(pod.addresses)
        if (pod.ready or service.publish_not_ready) and (
            family is None or not addresses or family in addresses
        ):
            yield pod


def targets(cluster: Cluster, ref: ServiceRef) -> dict[PodRef, frozenset[tuple[int, Protocol]]]:
    """The pods behind a Service, ready or not, each with the ports that the Service forwards to."""
    service = cluster.services.get(ref)
    if service is None or service.selector is None:
        return {}
    wanted = service.selector.items()
    return {
        pod.ref: frozenset(
            (number, entry.protocol) for entry in service.ports if (number := target(pod, entry)) is not None
        )
        for pod in cluster.pods.values()
        if pod.ref.namespace == ref.namespace and wanted <= pod.labels.items()
    }


def target(pod: Pod, entry: ServicePort) -> int | None:
    """The pod's port: a number as it is, a name looked up on this pod's containers."""
    if isinstance(entry.target, int):
        return entry.target
    return named(pod, entry.target, entry.protocol)


def named(pod: Pod, name: str, protocol: Protocol) -> int | None:
    for declared in pod.ports:
        if declared.name == name and declared.protocol is protocol:
            return declared.number
    return None


def rewritten_source(source: Endpoint, via: Via, decision: Decision) -> str | None:
    """A node port or a load balancer may replace the source's address by a node's: undefined (docs)."""
    if source.pod is not None and via is not Via.NODE_PORT:
        return None
    ingress = decision.ingress
    if not ingress.applies or any(cause.peer is None for cause in (*ingress.allowing, *ingress.denying)):
        return None
    return "a node port or load balancer may rewrite the source's address"
