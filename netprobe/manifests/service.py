"""Services, which move a flow to another address or port, and endpoints that are written by hand.

EndpointSlices and Endpoints say where a Service without a selector leads, such as `default/kubernetes`. An
endpoint belongs to the port of the Service that has the same name, as for kube-proxy. FQDN slices and
endpoints that are not ready lead nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.model.cluster import ManualEndpoint, Service, ServicePort
from netprobe.model.flow import Address, Protocol, ServiceRef
from netprobe.policies.address import read_address, read_number, read_port, read_protocol
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels

SERVICE_NAME = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""


def read_service(decoder: Decoder, obj: Mapping[str, Any], ref: ServiceRef) -> tuple[Service, bool]:
    """A Service, and whether the API server still has to choose its address.

    A manifest that was never applied has none, while a headless Service says so (`clusterIP: None`). An empty
    selector is the same as none: its endpoints are managed by hand.
    """
    spec = decoder.mapping(obj.get("spec"), "spec")
    is_external = decoder.string(spec, "type", "spec") == "ExternalName"
    selector = check_labels(decoder, spec, "selector", "spec") or None
    texts = decoder.strings(spec, "clusterIPs", "spec")
    if not texts and (text := decoder.string(spec, "clusterIP", "spec")):
        texts = [(text, "spec.clusterIP")]
    given = [(text, path) for text, path in texts if text]
    found = [read_address(decoder, text, path) for text, path in given if text != "None"]
    ports = [_port(decoder, item, path) for item, path in decoder.items(spec, "ports", "spec")]
    service = Service(
        ref,
        None if is_external else selector,
        tuple(address for address in found if address is not None),
        tuple(port for port in ports if port is not None),
        decoder.string(spec, "externalName", "spec") if is_external else None,
        decoder.boolean(spec, "publishNotReadyAddresses", "spec"),
        exposed=spec.get("type") in ("NodePort", "LoadBalancer"),
        external_traffic_local=spec.get("externalTrafficPolicy") == "Local",
    )
    return service, not given and not is_external


def _port(decoder: Decoder, value: Any, path: str) -> ServicePort | None:
    entry = decoder.mapping(value, path)
    number = read_number(decoder, entry, "port", path)
    protocol = read_protocol(decoder, entry, path, allow_empty=True)
    name = decoder.string(entry, "name", path) or None
    node_port = decoder.integer(entry, "nodePort", path) or None
    target = entry.get("targetPort")
    if target in (None, "", 0) and target is not False:
        target = number  # absent: the same as `port`
    else:
        target = read_port(decoder, target, f"{path}.targetPort")
    if number is None or target is None:
        return None
    return ServicePort(number, target, protocol, name, node_port)


def read_endpoints(decoder: Decoder, obj: Mapping[str, Any]) -> tuple[str, list[ManualEndpoint]]:
    """The name of the Service ("" without one) and its endpoints; errors are collected in `decoder`."""
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    if obj.get("kind") == "Endpoints":
        name, groups = decoder.string(metadata, "name", "metadata"), _of_subsets(decoder, obj)
    else:
        labels = decoder.mapping(metadata.get("labels"), "metadata.labels")
        name, groups = labels.get(SERVICE_NAME), _of_slice(decoder, obj)
    found = [
        ManualEndpoint(address, number, protocol, port)
        for addresses, ports in groups
        for address in addresses
        for number, protocol, port in ports
    ]
    return str(name or ""), found


_EndpointPorts = list[tuple[int, Protocol, str | None]]


def _of_slice(decoder: Decoder, obj: Mapping[str, Any]) -> Iterator[tuple[list[Address], _EndpointPorts]]:
    if obj.get("addressType") == "FQDN":
        return
    texts = []
    for item, path in decoder.items(obj, "endpoints", ""):
        endpoint = decoder.mapping(item, path)
        if decoder.mapping(endpoint.get("conditions"), f"{path}.conditions").get("ready") is not False:
            texts += decoder.strings(endpoint, "addresses", path)[:1]  # the others are not used
    yield _addresses(decoder, texts), _endpoint_ports(decoder, obj, "")


def _of_subsets(decoder: Decoder, obj: Mapping[str, Any]) -> Iterator[tuple[list[Address], _EndpointPorts]]:
    for item, path in decoder.items(obj, "subsets", ""):
        subset = decoder.mapping(item, path)
        texts = []
        for entry, where in decoder.items(subset, "addresses", path):
            text = decoder.string(decoder.mapping(entry, where), "ip", where)
            texts += [(text, f"{where}.ip")] if text else []
        yield _addresses(decoder, texts), _endpoint_ports(decoder, subset, path)


def _addresses(decoder: Decoder, texts: list[tuple[str, str]]) -> list[Address]:
    found = (read_address(decoder, text, path) for text, path in texts)
    return [address for address in found if address is not None]


def _endpoint_ports(decoder: Decoder, parent: Mapping[str, Any], path: str) -> _EndpointPorts:
    found: _EndpointPorts = []
    for item, where in decoder.items(parent, "ports", path):
        entry = decoder.mapping(item, where)
        number = decoder.integer(entry, "port", where)
        protocol = read_protocol(decoder, entry, where, allow_empty=True)
        if number is not None:
            found.append((number, protocol, decoder.string(entry, "name", where) or None))
    return found
