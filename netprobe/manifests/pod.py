"""Pods: from Pod objects, and from the templates of what makes pods.

Only what the network can see is read: names, labels, addresses, ports, node, readiness. The rest of a pod
is not this tool's business and is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.model.flow import Address, ContainerPort, Pod, PodRef, Protocol
from netprobe.policies import fields, names
from netprobe.policies.address import parse_address
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_FINISHED = ("Succeeded", "Failed")
TEMPLATE_PATHS = {"CronJob": "spec.jobTemplate.spec.template"}
_TEMPLATE_PATH = "spec.template"


def is_finished(obj: Mapping[str, Any]) -> bool:
    """Whether a Pod has ended: its address may already belong to another."""
    status = obj.get("status")
    return isinstance(status, Mapping) and status.get("phase") in _FINISHED


def read_pod(decoder: Decoder, obj: Mapping[str, Any], ref: PodRef, workload: str | None) -> Pod:
    """The record of a Pod object; what cannot be decoded is collected in `decoder`."""
    metadata = decoder.mapping(obj.get("metadata"), "metadata")
    status = decoder.mapping(obj.get("status"), "status")
    spec = decoder.mapping(obj.get("spec"), "spec")
    return Pod(
        ref,
        check_labels(decoder, metadata, "labels", "metadata"),
        _addresses(decoder, status, "podIPs", "podIP"),
        _ports(decoder, spec, "spec"),
        decoder.string(spec, "nodeName", "spec") or None,
        _addresses(decoder, status, "hostIPs", "hostIP"),
        decoder.boolean(spec, "hostNetwork", "spec"),
        _is_ready(decoder, status),
        workload,
    )


def read_template(decoder: Decoder, obj: Mapping[str, Any], kind: str, ref: PodRef) -> Pod:
    """The pod that a workload's template makes, without an address and on no node."""
    path = TEMPLATE_PATHS.get(kind, _TEMPLATE_PATH)
    template: Mapping[str, Any] = obj
    where = ""
    for step in path.split("."):
        where = f"{where}.{step}" if where else step
        template = decoder.mapping(template.get(step), where)
    if not template:
        decoder.errors.append(fields.required(path, f"a {kind} has a template for its pods"))
    metadata = decoder.mapping(template.get("metadata"), f"{path}.metadata")
    spec = decoder.mapping(template.get("spec"), f"{path}.spec")
    return Pod(
        ref,
        check_labels(decoder, metadata, "labels", f"{path}.metadata"),
        ports=_ports(decoder, spec, f"{path}.spec"),
        host_network=decoder.boolean(spec, "hostNetwork", f"{path}.spec"),
        workload=f"{kind}/{ref.name}",
    )


def makes_no_pods(decoder: Decoder, obj: Mapping[str, Any], kind: str) -> bool:
    """Whether a workload says itself that it has no pods now: no replicas, or a Job that is over."""
    spec = decoder.mapping(obj.get("spec"), "spec")
    if kind == "Job":
        status = decoder.mapping(obj.get("status"), "status")
        over = ("Complete", "Failed")
        return any(
            isinstance(condition, Mapping)
            and condition.get("type") in over
            and condition.get("status") == "True"
            for condition, _ in decoder.items(status, "conditions", "status")
        )
    return kind != "CronJob" and decoder.integer(spec, "replicas", "spec") == 0


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
        text = decoder.string(decoder.mapping(item, path), "ip", path)
        if text:
            texts.append((text, f"{path}.ip"))
    if not texts and (text := decoder.string(status, one, "status")):
        texts.append((text, f"status.{one}"))
    result: list[Address] = []
    for text, path in texts:
        address = parse_address(text)
        if address is None:
            detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            decoder.errors.append(fields.invalid(path, text, detail))
        elif address not in result:
            result.append(address)
    return tuple(result)


def _ports(decoder: Decoder, spec: Mapping[str, Any], path: str) -> tuple[ContainerPort, ...]:
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
    number = decoder.integer(entry, "containerPort", path)
    name = decoder.string(entry, "name", path) or None
    protocol = decoder.string(entry, "protocol", path) or "TCP"
    before = len(decoder.errors)
    if number is None:
        if entry.get("containerPort") is None:
            decoder.errors.append(fields.required(f"{path}.containerPort", ""))
        return None
    decoder.errors += [
        fields.invalid(f"{path}.containerPort", number, text) for text in names.port_number(number)
    ]
    if name is not None:
        decoder.errors += [fields.invalid(f"{path}.name", name, text) for text in names.port_name(name)]
    if protocol not in _PROTOCOLS:
        decoder.errors.append(fields.not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    if len(decoder.errors) > before:
        return None
    return ContainerPort(number, Protocol(protocol), name)
