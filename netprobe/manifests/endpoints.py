"""EndpointSlices and Endpoints: where a Service without a selector leads, such as `default/kubernetes`.

An endpoint belongs to the port of the Service that has the same name, as for kube-proxy. FQDN slices and
endpoints that are not ready lead nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.model.cluster import ManualEndpoint
from netprobe.model.flow import Address, Protocol
from netprobe.policies.address import read_address
from netprobe.policies.fields import Decoder
from netprobe.policies.ports import read_protocol

SERVICE_NAME = "kubernetes.io/service-name"
"""The label of an EndpointSlice that names its Service."""


def read_endpoints(decoder: Decoder, obj: Mapping[str, Any]) -> tuple[str, list[ManualEndpoint]]:
    """The name of the Service, "" if there is none, and its endpoints; errors are collected in `decoder`."""
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    if obj.get("kind") == "Endpoints":
        name, groups = decoder.string(metadata, "name", "metadata"), _subsets(decoder, obj)
    else:
        labels = decoder.mapping(metadata.get("labels"), "metadata.labels")
        name, groups = labels.get(SERVICE_NAME), _slice(decoder, obj)
    found = [
        ManualEndpoint(address, number, protocol, port)
        for addresses, ports in groups
        for address in addresses
        for number, protocol, port in ports
    ]
    return str(name or ""), found


_Ports = list[tuple[int, Protocol, str | None]]


def _slice(decoder: Decoder, obj: Mapping[str, Any]) -> Iterator[tuple[list[Address], _Ports]]:
    if obj.get("addressType") == "FQDN":
        return
    texts = []
    for item, path in decoder.items(obj, "endpoints", ""):
        endpoint = decoder.mapping(item, path)
        if decoder.mapping(endpoint.get("conditions"), f"{path}.conditions").get("ready") is not False:
            texts += decoder.strings(endpoint, "addresses", path)[:1]  # the others are not used
    yield _addresses(decoder, texts), _ports(decoder, obj, "")


def _subsets(decoder: Decoder, obj: Mapping[str, Any]) -> Iterator[tuple[list[Address], _Ports]]:
    for item, path in decoder.items(obj, "subsets", ""):
        subset = decoder.mapping(item, path)
        texts = []
        for entry, where in decoder.items(subset, "addresses", path):
            text = decoder.string(decoder.mapping(entry, where), "ip", where)
            texts += [(text, f"{where}.ip")] if text else []
        yield _addresses(decoder, texts), _ports(decoder, subset, path)


def _addresses(decoder: Decoder, texts: list[tuple[str, str]]) -> list[Address]:
    found = (read_address(decoder, text, path) for text, path in texts)
    return [address for address in found if address is not None]


def _ports(decoder: Decoder, parent: Mapping[str, Any], path: str) -> _Ports:
    found: _Ports = []
    for item, where in decoder.items(parent, "ports", path):
        entry = decoder.mapping(item, where)
        number = decoder.integer(entry, "port", where)
        protocol = read_protocol(decoder, entry, where, allow_empty=True)
        if number is not None:
            found.append((number, protocol, decoder.string(entry, "name", where) or None))
    return found
