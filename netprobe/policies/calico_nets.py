"""The `nets` and `notNets` of Calico's rules and sets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from netprobe.model.policy import Network
from netprobe.policies import fields
from netprobe.policies.calico_checks import Checks

_FORM = re.compile(r"([0-9A-Fa-f:.]+)(?:/([0-9]{1,3}))?")


def parse_net(text: str) -> tuple[Network, bool] | None:
    """A network and whether its host bits are zero; None if it is none. An address alone is one of its own.

    As Go reads it (libcalico-go/lib/net, ParseCIDROrIP): no leading zeros in addresses, no netmasks.
    """
    form = _FORM.fullmatch(text)
    if form is None:
        return None
    try:
        address = ip_address(form[1])
        length = address.max_prefixlen if form[2] is None else int(form[2])
        if address.version == 6 and address.ipv4_mapped is not None and 96 <= length <= 128:
            address, length = address.ipv4_mapped, length - 96
        network = ip_network((address, length), strict=False)
    except ValueError:
        return None
    return network, network.network_address == address


def read_nets(
    checks: Checks, parent: Mapping[str, Any], key: str, path: str, *, in_rule: bool
) -> tuple[Network, ...]:
    """The networks in a field. In a rule, Calico's API server wants a CIDR without host bits."""
    found: list[Network] = []
    seen: set[str] = set()
    for text, where in checks.decoder.strings(parent, key, path):
        if text in seen and key == "nets":  # x-kubernetes-list-type: set
            checks.refuse(fields.duplicate(where, text))
        seen.add(text)
        parsed = parse_net(text)
        if parsed is None:
            checks.skip(
                fields.invalid(where, text, "must be a CIDR (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
                "Calico goes on without it",
            )
            continue
        network, is_strict = parsed
        if in_rule and "/" not in text:
            checks.refuse_v3(fields.invalid(where, text, f"must be a CIDR: write {network}"))
        elif in_rule and not is_strict:
            checks.refuse_v3(fields.invalid(where, text, f"has host bits set: write {network}"))
        found.append(network)
    return tuple(found)
