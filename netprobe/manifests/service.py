"""Services, as far as they move a flow to another address or port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import ServiceRef
from netprobe.policies.address import read_address
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels
from netprobe.policies.ports import read_number, read_port, read_protocol


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
