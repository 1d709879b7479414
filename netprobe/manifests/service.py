"""Services, as far as they move a flow to another address or port."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.cluster import Service, ServicePort
from netprobe.model.flow import Address, Protocol, ServiceRef
from netprobe.policies import fields, names
from netprobe.policies.address import parse_address
from netprobe.policies.fields import Decoder, as_integer
from netprobe.policies.metadata import check_labels

_PROTOCOLS = ("TCP", "UDP", "SCTP")


def read_service(decoder: Decoder, obj: Mapping[str, Any], ref: ServiceRef) -> tuple[Service, bool]:
    """The record of a Service, and whether the API server still has to choose its address.

    It has none in a manifest that was never applied, while a headless one says so (`clusterIP: None`).
    An empty selector is the same as none: endpoints kept by hand.
    """
    spec = decoder.mapping(obj.get("spec"), "spec")
    kind = decoder.string(spec, "type", "spec") or "ClusterIP"
    selector = check_labels(decoder, spec, "selector", "spec") or None
    external = decoder.string(spec, "externalName", "spec") if kind == "ExternalName" else None
    texts = decoder.strings(spec, "clusterIPs", "spec")
    if not texts and (text := decoder.string(spec, "clusterIP", "spec")):
        texts = [(text, "spec.clusterIP")]
    texts = [(text, path) for text, path in texts if text]
    headless = any(text == "None" for text, _ in texts)
    addresses: list[Address] = []
    for text, path in texts:
        if text == "None":
            continue
        address = parse_address(text)
        if address is None:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            decoder.errors.append(fields.invalid(path, text, detail))
        else:
            addresses.append(address)
    ports = [_port(decoder, item, path) for item, path in decoder.items(spec, "ports", "spec")]
    service = Service(
        ref,
        None if kind == "ExternalName" else selector,
        tuple(addresses),
        tuple(port for port in ports if port is not None),
        external,
        decoder.boolean(spec, "publishNotReadyAddresses", "spec"),
    )
    return service, not addresses and not headless and kind != "ExternalName"


def _port(decoder: Decoder, value: Any, path: str) -> ServicePort | None:
    entry = decoder.mapping(value, path)
    before = len(decoder.errors)
    number = decoder.integer(entry, "port", path)
    protocol = decoder.string(entry, "protocol", path) or "TCP"
    name = decoder.string(entry, "name", path) or None
    node_port = decoder.integer(entry, "nodePort", path) or None
    if number is None:
        if entry.get("port") is None:
            decoder.errors.append(fields.required(f"{path}.port", ""))
    else:
        decoder.errors += [fields.invalid(f"{path}.port", number, t) for t in names.port_number(number)]
    if protocol not in _PROTOCOLS:
        decoder.errors.append(fields.not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    target = _target(decoder, entry.get("targetPort"), f"{path}.targetPort")
    if number is None or len(decoder.errors) > before:
        return None
    return ServicePort(number, target or number, Protocol(protocol), name, node_port)


def _target(decoder: Decoder, value: Any, path: str) -> int | str | None:
    """`targetPort`: a number or a container port's name; None where absent, which means `port`."""
    if value is None or (value in (0, "") and value is not False):
        return None
    if isinstance(value, str):
        decoder.errors += [fields.invalid(path, value, text) for text in names.port_name(value)]
        return value
    number = as_integer(value)
    if number is None:
        decoder.errors.append(fields.wrong_type(path, value, "an integer or a port's name"))
        return None
    decoder.errors += [fields.invalid(path, number, text) for text in names.port_number(number)]
    return number
