"""What the definitions of ClusterNetworkPolicy and its predecessors refuse, as schemas of their `spec`.

They are those of network-policy-api v0.3.0 (v1beta1 and v1alpha2, which are the same; the experimental
channel) and v0.1.7 (v1alpha1: AdminNetworkPolicy and the only BaselineAdminNetworkPolicy, "default"). A
definition knows no label syntax; a selector that no implementation could use is still an error.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from netprobe.model.flow import Protocol
from netprobe.model.policy import Network
from netprobe.policies.crd import Schema, without_nulls
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import read_selector

_DOMAIN = r"^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$"
_CIDR = re.compile(r"[0-9A-Fa-f:.]+/(0|[1-9][0-9]*)")
_NOT_A_NETWORK = "must be a network without host bits, such as 10.0.0.0/8"
_WITHOUT_NAMES = ("networks", "nodes", "domainNames")


def _network(text: str) -> Network | None:
    """A network as the CEL function isCIDR takes it: one spelling per address, no zone, not IPv4-mapped."""
    if not _CIDR.fullmatch(text):
        return None
    try:
        address = ip_address(text.partition("/")[0])
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    return None if isinstance(address, IPv6Address) and address.ipv4_mapped else network


def _has_no_host_bits(text: str) -> bool:
    network = _network(text)
    return network is not None and network.network_address == ip_address(text.partition("/")[0])


def _check_selector(decoder: Decoder, value: Any, path: str) -> None:
    read_selector(decoder, without_nulls(value), path)


_STRING = Schema()
_PORT = Schema(integer=True, bounds=(1, 65535))
_SELECTOR = Schema(
    {
        "matchLabels": Schema(values=_STRING),
        "matchExpressions": Schema(
            items=Schema(
                {"key": _STRING, "operator": _STRING, "values": Schema(items=_STRING)}, ("key", "operator")
            )
        ),
    },
    also=_check_selector,
)
_RANGE = {"start": _PORT, "end": _PORT}


def _pods(*required: str) -> Schema:
    """One way to select pods: `namespaces` or `pods`."""
    selectors = {"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR}
    return Schema({"namespaces": _SELECTOR, "pods": Schema(selectors, required)}, sizes=(1, 1))


def _destinations(pods: Schema, cidr: Schema, *, domains: bool) -> Schema:
    """The peers of an egress rule."""
    found = {**(pods.properties or {}), "nodes": _SELECTOR}
    found["networks"] = Schema(items=cidr, sizes=(1, 25), distinct=True)
    if domains:
        found["domainNames"] = Schema(items=Schema(pattern=_DOMAIN), sizes=(1, 25), distinct=True)
    return Schema(found, sizes=(1, 1))


def _has(items: Any, *keys: str) -> bool:
    return any(item.get(key) is not None for item in items or () for key in keys)


def _object(
    limit: int, actions: tuple[str, ...], pods: Schema, destinations: Schema, ports: tuple[str, Schema]
) -> dict[str, Schema]:
    """What the kinds have in common. `limit`: rules, peers and ports; `ports`: their field in a rule."""
    key, entry = ports
    named = "destinationNamedPort" if key == "protocols" else "namedPort"
    common = {
        "name": Schema(sizes=(0, 100)),
        "action": Schema(one_of=actions),
        key: Schema(items=entry, sizes=(1, limit)),
    }
    rules = {}
    for section, peers, schema in (("ingress", "from", pods), ("egress", "to", destinations)):
        rule = Schema(
            {**common, peers: Schema(items=schema, sizes=(1, limit))},
            ("action", peers),
            rules=(
                (
                    "networks, nodes and domainNames have no named ports",
                    lambda rule: not (_has(rule.get("to"), *_WITHOUT_NAMES) and _has(rule.get(key), named)),
                ),
            ),
        )
        rules[section] = Schema(items=rule, sizes=(0, limit))
    return {"subject": pods, **rules}


_PRIORITY = Schema(integer=True, bounds=(0, 1000))
_ENTRY_PORT = Schema(
    {
        "number": _PORT,
        "range": Schema(
            _RANGE,
            ("start", "end"),
            rules=(("start must be less than end", lambda it: it["start"] < it["end"]),),
        ),
    },
    sizes=(1, 1),
)
_PROTOCOL = Schema(
    {
        **dict.fromkeys(
            (each.value.lower() for each in Protocol),
            Schema({"destinationPort": _ENTRY_PORT}, sizes=(1, None)),
        ),
        "destinationNamedPort": _STRING,
    },
    sizes=(1, 1),
)
_NETWORK = Schema(sizes=(0, 43), rules=((_NOT_A_NETWORK, _has_no_host_bits),))
_CNP_PODS = _pods("podSelector")
CLUSTER_NETWORK_POLICY_SPEC = Schema(
    {
        "tier": Schema(one_of=("Admin", "Baseline")),
        "priority": _PRIORITY,
        **_object(
            25,
            ("Accept", "Deny", "Pass"),
            _CNP_PODS,
            _destinations(_CNP_PODS, _NETWORK, domains=True),
            ("protocols", _PROTOCOL),
        ),
    },
    ("tier", "priority", "subject"),
)

_OLD_PORT = Schema(
    {
        "portNumber": Schema({"protocol": _STRING, "port": _PORT}, ("port",)),
        "portRange": Schema({"protocol": _STRING, **_RANGE}, ("start", "end")),
        "namedPort": _STRING,
    },
    sizes=(1, 1),
)
_OLD_NETWORK = Schema(
    sizes=(0, 43), rules=(("must be a network such as 10.0.0.0/8", lambda text: _network(text) is not None),)
)
_OLD_PODS = _pods("podSelector", "namespaceSelector")
ADMIN_SPEC = Schema(
    {
        "priority": _PRIORITY,
        **_object(
            100,
            ("Allow", "Deny", "Pass"),
            _OLD_PODS,
            _destinations(_OLD_PODS, _OLD_NETWORK, domains=True),
            ("ports", _OLD_PORT),
        ),
    },
    ("priority", "subject"),
)
BASELINE_SPEC = Schema(
    _object(
        100,
        ("Allow", "Deny"),
        _OLD_PODS,
        _destinations(_OLD_PODS, _OLD_NETWORK, domains=False),
        ("ports", _OLD_PORT),
    ),
    ("subject",),
)
