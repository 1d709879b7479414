"""What the API server says about a NetworkPolicy (networking.k8s.io/v1).

Sources: pkg/apis/networking/validation/validation.go in kubernetes/kubernetes, and apimachinery's
validation of metadata, selectors and CIDRs. Strict validation of IPs and CIDRs is off, as it is on a server
by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.manifests import fields, names
from netprobe.manifests.address import parse_block
from netprobe.manifests.decode import Decoder, as_integer
from netprobe.manifests.fields import FieldError
from netprobe.manifests.metadata import check_labels, validate_metadata

API_VERSION = "networking.k8s.io/v1"
_OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec"))
_SPEC = frozenset(("podSelector", "ingress", "egress", "policyTypes"))
_PORT = frozenset(("protocol", "port", "endPort"))
_PEER = frozenset(("podSelector", "namespaceSelector", "ipBlock"))
_BLOCK = frozenset(("cidr", "except"))
_SELECTOR = frozenset(("matchLabels", "matchExpressions"))
_REQUIREMENT = frozenset(("key", "operator", "values"))
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")


def validate_policy(obj: Mapping[str, Any], *, strict: bool = True) -> list[FieldError]:
    """Everything that the server refuses in a NetworkPolicy, in its order; [] for a good one.

    Paths and messages are the server's. What it cannot even decode (type FieldValueTypeInvalid) and, with
    `strict`, unknown fields (type UnknownField) come among the others here, while it would answer 400 for
    them and stop. A missing namespace is no error: the request supplies it. The input is not changed.
    """
    decoder = Decoder(strict=strict)
    root = decoder.mapping(obj, "", _OBJECT)
    validate_metadata(decoder, root.get("metadata"))
    spec = decoder.mapping(root.get("spec"), "spec", _SPEC)
    _selector(decoder, spec.get("podSelector"), "spec.podSelector")
    for section, peers in (("ingress", "from"), ("egress", "to")):
        for item, path in decoder.items(spec, section, "spec"):
            rule = decoder.mapping(item, path, (peers, "ports"))
            for port, where in decoder.items(rule, "ports", path):
                _port(decoder, port, where)
            for peer, where in decoder.items(rule, peers, path):
                _peer(decoder, peer, where)
    _policy_types(decoder, spec)
    return decoder.errors


def _policy_types(decoder: Decoder, spec: Mapping[str, Any]) -> None:
    types = decoder.strings(spec, "policyTypes", "spec")
    if len(types) > len(_TYPES):
        given = [name for name, _ in types]
        detail = "may not specify more than two policyTypes"
        decoder.errors.append(fields.invalid("spec.policyTypes", given, detail))
        return
    for name, path in types:
        if name not in _TYPES:
            decoder.errors.append(fields.not_supported(path, name, _TYPES))


def _port(decoder: Decoder, value: Any, path: str) -> None:
    entry = decoder.mapping(value, path, _PORT)
    errors = decoder.errors
    protocol = decoder.string(entry, "protocol", path)
    if protocol is not None and protocol not in _PROTOCOLS:
        errors.append(fields.not_supported(f"{path}.protocol", protocol, _PROTOCOLS))
    port = entry.get("port")
    end = decoder.integer(entry, "endPort", path)
    if port is None:
        if end is not None:
            detail = "may not be specified when `port` is not specified"
            errors.append(fields.invalid(f"{path}.endPort", end, detail))
    elif isinstance(port, str):
        if end is not None:
            detail = "may not be specified when `port` is non-numeric"
            errors.append(fields.invalid(f"{path}.endPort", end, detail))
        errors += [fields.invalid(f"{path}.port", port, text) for text in names.port_name(port)]
    elif (number := as_integer(port)) is None:
        errors.append(fields.wrong_type(f"{path}.port", port, "an integer or a port's name"))
    else:
        errors += [fields.invalid(f"{path}.port", number, text) for text in names.port_number(number)]
        if end is not None:
            _end_port(decoder, number, end, path)


def _end_port(decoder: Decoder, port: int, end: int, path: str) -> None:
    if end < port:
        detail = "must be greater than or equal to `port`"
        # the server shows `port` here, up to 1.33 at least
        decoder.errors.append(fields.invalid(f"{path}.endPort", port, detail))
    decoder.errors += [fields.invalid(f"{path}.endPort", end, text) for text in names.port_number(end)]


def _peer(decoder: Decoder, value: Any, path: str) -> None:
    peer = decoder.mapping(value, path, _PEER)
    given = [key for key in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(key) is not None]
    for key in given:
        if key == "ipBlock":
            _block(decoder, peer[key], f"{path}.{key}")
        else:
            _selector(decoder, peer[key], f"{path}.{key}")
    if not given:
        decoder.errors.append(fields.required(path, "must specify a peer"))
    elif "ipBlock" in given and len(given) > 1:
        decoder.errors.append(fields.forbidden(path, "may not specify both ipBlock and another peer"))


def _block(decoder: Decoder, value: Any, path: str) -> None:
    entry = decoder.mapping(value, path, _BLOCK)
    detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
    text = decoder.string(entry, "cidr", path)
    exceptions = decoder.strings(entry, "except", path)
    if not text:
        if entry.get("cidr") in (None, ""):
            decoder.errors.append(fields.required(f"{path}.cidr", ""))
        return
    block = parse_block(text)
    if block is None:
        decoder.errors.append(fields.invalid(f"{path}.cidr", text, detail))
        return
    for excluded, where in exceptions:
        inner = parse_block(excluded)
        if inner is None:
            decoder.errors.append(fields.invalid(where, excluded, detail))
        elif not block.contains_strictly(inner):
            decoder.errors.append(fields.invalid(where, excluded, "must be a strict subset of `cidr`"))


def _selector(decoder: Decoder, value: Any, path: str) -> None:
    selector = decoder.mapping(value, path, _SELECTOR)
    check_labels(decoder, selector, "matchLabels", path)
    for item, where in decoder.items(selector, "matchExpressions", path):
        _requirement(decoder, item, where)


def _requirement(decoder: Decoder, value: Any, path: str) -> None:
    requirement = decoder.mapping(value, path, _REQUIREMENT)
    errors = decoder.errors
    operator = decoder.string(requirement, "operator", path) or ""
    values = decoder.strings(requirement, "values", path)
    match operator:
        case "In" | "NotIn":
            if not values:
                detail = "must be specified when `operator` is 'In' or 'NotIn'"
                errors.append(fields.required(f"{path}.values", detail))
        case "Exists" | "DoesNotExist":
            if values:
                detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(fields.forbidden(f"{path}.values", detail))
        case _:
            errors.append(fields.invalid(f"{path}.operator", operator, "not a valid selector operator"))
    key = decoder.string(requirement, "key", path) or ""
    errors += [fields.invalid(f"{path}.key", key, text) for text in names.label_key(key)]
    for text, where in values:
        errors += [fields.invalid(where, text, message) for message in names.label_value(text)]
