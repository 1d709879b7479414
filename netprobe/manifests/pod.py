"""Pods and nodes as the network sees them: name, labels, addresses, ports, account and readiness.

The rest of an object is not read and not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.model.cluster import Node
from netprobe.model.flow import Address, ContainerPort, Pod, PodRef
from netprobe.policies import fields, names
from netprobe.policies.address import parse_address, read_address, read_number, read_protocol
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels

_FINISHED = ("Succeeded", "Failed")


def is_finished(obj: Mapping[str, Any]) -> bool:
    """Whether a Pod has ended: its address may already belong to another."""
    status = obj.get("status")
    return isinstance(status, Mapping) and status.get("phase") in _FINISHED


def read_pod(decoder: Decoder, obj: Mapping[str, Any], ref: PodRef) -> Pod:
    """The record of a Pod object; errors are collected in `decoder`."""
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    status = decoder.mapping(obj.get("status"), "status")
    spec = decoder.mapping(obj.get("spec"), "spec")
    return Pod(
        ref,
        check_labels(decoder, metadata, "labels", "metadata"),
        _addresses(decoder, status, "podIPs", "podIP"),
        ports_of(decoder, spec, "spec"),
        decoder.string(spec, "nodeName", "spec") or None,
        _addresses(decoder, status, "hostIPs", "hostIP"),
        decoder.boolean(spec, "hostNetwork", "spec"),
        _is_ready(decoder, status),
        account_of(decoder, spec, "spec"),
    )


def account_of(decoder: Decoder, spec: Mapping[str, Any], path: str) -> str:
    """The service account of a pod, which admission sets to "default" (`serviceAccount` is an old name)."""
    name = decoder.string(spec, "serviceAccountName", path) or decoder.string(spec, "serviceAccount", path)
    return name or "default"


def read_node(decoder: Decoder, obj: Mapping[str, Any], name: str) -> Node:
    """The record of a Node object; errors are collected in `decoder`."""
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    status = decoder.mapping(obj.get("status"), "status")
    addresses = []
    for item, path in decoder.items(status, "addresses", "status"):
        entry = decoder.mapping(item, path)
        if str(entry.get("type")).endswith("IP") and (text := decoder.string(entry, "address", path)):
            addresses.append(parse_address(text))  # a server accepts any text
    known = dict.fromkeys(address for address in addresses if address is not None)
    return Node(name, check_labels(decoder, metadata, "labels", "metadata"), tuple(known))


def _is_ready(decoder: Decoder, status: Mapping[str, Any]) -> bool:
    """The condition Ready; without conditions a pod is ready unless its phase says that it has not begun."""
    conditions = list(decoder.items(status, "conditions", "status"))
    for condition, _ in conditions:
        if isinstance(condition, Mapping) and condition.get("type") == "Ready":
            return condition.get("status") == "True"
    return status.get("phase") in (None, "", "Running")


def _addresses(decoder: Decoder, status: Mapping[str, Any], many: str, one: str) -> tuple[Address, ...]:
    texts: list[tuple[str, str]] = []
    for item, path in decoder.items(status, many, "status"):
        if text := decoder.string(decoder.mapping(item, path), "ip", path):
            texts.append((text, f"{path}.ip"))
    if not texts and (text := decoder.string(status, one, "status")):
        texts.append((text, f"status.{one}"))
    found = [read_address(decoder, text, path) for text, path in texts]
    return tuple(dict.fromkeys(address for address in found if address is not None))


def ports_of(decoder: Decoder, spec: Mapping[str, Any], path: str) -> tuple[ContainerPort, ...]:
    """The declared ports: of the containers, then of init containers that keep running (sidecars).

    That is the order in which Kubernetes looks a port's name up (pkg/api/v1/pod, FindPort).
    """
    result: dict[ContainerPort, None] = {}
    for container, where in _running_containers(decoder, spec, path):
        for item, at in decoder.items(container, "ports", where):
            port = _port(decoder, decoder.mapping(item, at), at)
            if port is not None:
                result[port] = None
    return tuple(result)


def _running_containers(
    decoder: Decoder, spec: Mapping[str, Any], path: str
) -> Iterator[tuple[Mapping[str, Any], str]]:
    for item, where in decoder.items(spec, "containers", path):
        yield decoder.mapping(item, where), where
    for item, where in decoder.items(spec, "initContainers", path):
        container = decoder.mapping(item, where)
        if container.get("restartPolicy") == "Always":
            yield container, where


def _port(decoder: Decoder, entry: Mapping[str, Any], path: str) -> ContainerPort | None:
    number = read_number(decoder, entry, "containerPort", path)
    name = decoder.string(entry, "name", path) or None
    if name is not None:
        decoder.errors += [fields.invalid(f"{path}.name", name, text) for text in names.port_name(name)]
    protocol = read_protocol(decoder, entry, path, allow_empty=True)
    host = decoder.integer(entry, "hostPort", path) or None
    return None if number is None else ContainerPort(number, protocol, name, host)
