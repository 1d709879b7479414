"""FROM and TO as the user writes them: which pods, Services, names and addresses they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from netprobe.debug.facts import Facts
from netprobe.debug.records import Name, PodState, Source
from netprobe.errors import UsageError
from netprobe.model.flow import Address, External, PodRef, Protocol, ServiceRef
from netprobe.model.text import listed

SCHEMES: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "postgres": 5432, "postgresql": 5432,
                  "mysql": 3306, "redis": 6379, "amqp": 5672, "mongodb": 27017, "grpc": 443, "ftp": 21,
                  "ldap": 389, "ldaps": 636, "smtp": 25, "nats": 4222}  # fmt: skip
DOMAINS: Final = (".svc.cluster.local", ".cluster.local", ".svc")


@dataclass(frozen=True, slots=True)
class Destination:
    """TO: its `pods`, `service` or `address`; none of these if `name` is unknown in the cluster."""

    text: str
    pods: tuple[PodState, ...] = ()
    service: ServiceRef | None = None
    address: External | None = None
    name: Name | None = None


def find_source(text: str, facts: Facts) -> tuple[Source, Facts]:
    """FROM, and the facts with its pod even if that has ended. UsageError for no such end."""
    if (address := _address(text)) is not None:
        owner = _pod_at(address, facts)
        if owner is None:
            return Source(text, "address", address=External(address)), facts
        text = str(owner)
    namespace, slash, name = text.partition("/")
    if not slash:
        if namespace not in facts.cluster.namespaces:
            raise UsageError(f"FROM {text}: {_unknown(text, facts.cluster.namespaces, 'namespace')}")
        refs = [PodRef(namespace, obj["metadata"]["name"]) for obj in facts.around.of("Pod", namespace)]
        refs += [ref for ref in facts.cluster.pods if ref.namespace == namespace and ref not in refs]
        return _chosen(text, "Namespace", refs, facts)
    ref = PodRef(namespace, name)
    workload = facts.workload(namespace, name)
    if facts.object("Pod", ref) is not None or (workload is None and ref in facts.cluster.pods):
        return _chosen(text, "Pod", [ref], facts)
    if workload is None:
        raise UsageError(f"FROM {text}: {_unknown(text, _known(facts), 'pod or workload')}")
    kind, template, pods = workload
    if not pods:
        facts = facts.with_pod(template)
        pod = PodState(template.ref, None, "none", False, "it has no pods", template.ports)
        return Source(text, kind, (), pod if facts.live else facts.pod(template.ref)), facts
    return _chosen(text, kind, pods, facts)


def _chosen(text: str, kind: str, refs: Iterable[PodRef], facts: Facts) -> tuple[Source, Facts]:
    """The source with the pod that serves best: one that is ready, runs, and has its own network."""
    pods = tuple(map(facts.pod, refs))
    order = sorted(pods, key=lambda pod: (not pod.runs, not pod.ready, pod.host_network))
    chosen = order[0] if order else None
    if chosen and chosen.ref not in facts.cluster.pods and (model := facts.model_pod(chosen.ref)):
        facts = facts.with_pod(model)
    return Source(text, kind, pods, chosen), facts


def find_destination(text: str, source: Source, facts: Facts) -> tuple[Destination, int | None]:
    """TO, and the port that a URL names. UsageError for no such pod, workload or Service."""
    if "://" in text:
        url = urlsplit(text)
        try:
            host, port = url.hostname, url.port or SCHEMES.get(url.scheme)
        except ValueError as error:
            raise UsageError(f"TO {text}: {error}") from error
        if not host:
            raise UsageError(f"TO {text}: a URL without a host")
        return _named(host, text, source, facts), port
    if text.startswith("svc:"):
        return _service(text, facts), None
    if "/" in text:
        return _pods(text, facts), None
    return _named(text, text, source, facts), None


def _service(text: str, facts: Facts) -> Destination:
    try:
        ref = ServiceRef.parse(text)
    except ValueError as error:
        raise UsageError(f"TO {text}: svc:NAMESPACE/SERVICE") from error
    if ref not in facts.cluster.services:
        raise UsageError(f"TO {text}: {_unknown(text, facts.cluster.services, 'Service')}")
    name = Name(f"{ref.name}.{ref.namespace}.svc", given=False, in_cluster=True, service=ref)
    return Destination(text, service=ref, name=name)


def _pods(text: str, facts: Facts) -> Destination:
    try:
        ref = PodRef.parse(text)
    except ValueError as error:
        raise UsageError(
            f"TO {text}: NAMESPACE/POD, svc:NAMESPACE/SERVICE, a name, an address or a URL"
        ) from error
    if facts.object("Pod", ref) is not None or ref in facts.cluster.pods:
        return Destination(text, (facts.pod(ref),))
    workload = facts.workload(ref.namespace, ref.name)
    if workload is None:
        raise UsageError(f"TO {text}: {_unknown(text, _known(facts), 'pod or workload')}")
    pods = tuple(map(facts.pod, workload.pods))
    if not pods:
        raise UsageError(f"TO {text}: this {workload.kind} has no pods")
    return Destination(text, tuple(pod for pod in pods if pod.ready) or pods)


def _named(host: str, text: str, source: Source, facts: Facts) -> Destination:
    """A DNS name or an address."""
    if (address := _address(host)) is not None:
        if owner := _pod_at(address, facts):
            return Destination(text, (facts.pod(owner),))
        for known in facts.cluster.services.values():
            if address in known.addresses:
                return Destination(text, service=known.ref)
        return Destination(text, address=External(address))
    space = source.pod.ref.namespace if source.pod else "default"
    service, pod, in_cluster = _lookup(host.rstrip("."), space, facts)
    name = Name(host, given=True, in_cluster=in_cluster, service=service)
    if pod is not None:
        return Destination(text, (facts.pod(pod),), name=name)
    if in_cluster and service is None:
        first = host.partition(".")[0]
        by_name = {ref.name: ref for ref in facts.cluster.services}
        elsewhere = tuple(ref for ref in facts.cluster.services if ref.name == first)
        near = tuple(by_name[one] for one in get_close_matches(first, by_name, 1))
        name = replace(name, elsewhere=elsewhere, near=near)
    return Destination(text, service=service, name=name)


def _lookup(host: str, namespace: str, facts: Facts) -> tuple[ServiceRef | None, PodRef | None, bool]:
    """The Service of a name, its pod for POD.SERVICE.NAMESPACE, and whether it is a name of the cluster."""
    suffix = next((end for end in DOMAINS if host.endswith(end)), "")
    parts = host.removesuffix(suffix).split(".")
    services = facts.cluster.services
    if len(parts) == 1:
        ref = ServiceRef(namespace, parts[0])
        return (ref if ref in services else None), None, True
    ref = ServiceRef(parts[-1], parts[-2])
    in_cluster = bool(suffix) or (len(parts) == 2 and parts[1] in facts.cluster.namespaces) or ref in services
    if len(parts) == 2:
        return (ref if ref in services else None), None, in_cluster
    pod = PodRef(ref.namespace, parts[0])
    found = len(parts) == 3 and ref in services and pod in facts.cluster.pods
    return (ref if found else None), (pod if found else None), found or bool(suffix)


def choose_port(
    port: int | None, protocol: Protocol | None, destination: Destination, facts: Facts
) -> tuple[int, Protocol]:
    """The port that was given, or the only one that the destination declares. UsageError."""
    if port is not None:
        return port, protocol or Protocol.TCP
    declared = dict.fromkeys(_declared(destination, facts))
    if len(declared) == 1:
        return next(iter(declared))
    names = listed((f"{number}/{kind.value}" for number, kind in declared), 8) or "none"
    raise UsageError(f"no port given: {destination.text} declares {names}; use --port")


def _declared(destination: Destination, facts: Facts) -> Iterator[tuple[int, Protocol]]:
    if destination.service is not None:
        for entry in facts.cluster.services[destination.service].ports:
            yield entry.port, entry.protocol
    for pod in destination.pods:
        for port in pod.ports:
            yield port.number, port.protocol


def _address(text: str) -> Address | None:
    try:
        return ip_address(text.strip("[]"))
    except ValueError:
        return None


def _pod_at(address: Address, facts: Facts) -> PodRef | None:
    pods = facts.cluster.pods.values()
    return next((pod.ref for pod in pods if address in pod.addresses and not pod.host_network), None)


def _known(facts: Facts) -> Iterator[str]:
    yield from map(str, facts.cluster.pods)
    yield from (
        f"{pod.ref.namespace}/{pod.workload.partition('/')[2]}"
        for pod in facts.cluster.pods.values()
        if pod.workload
    )


def _unknown(text: str, known: Iterable[object], what: str) -> str:
    near = get_close_matches(text, list(dict.fromkeys(map(str, known))), 1)
    return f"there is no such {what}" + (f"; did you mean {near[0]}?" if near else "")
