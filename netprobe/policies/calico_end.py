"""The `source` and `destination` of Calico's rules: who an end of a flow must be.

All fields must match, an item of a list is enough. The scope of a selector is Felix's
(syncersv1/updateprocessors/rules.go, GetEntityRuleSelector): in a namespaced policy any of `selector`,
`notSelector`, `serviceAccounts` restricts the end to the policy's own namespace, unless `namespaceSelector`
says otherwise; `nets` alone does not. In a global policy it is the whole cluster. A selector matches pods and
addresses in network sets; `notSelector` alone matches everything else, outside addresses too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

from netprobe.model.expression import ALL, Expression, Negation, both
from netprobe.model.flow import FAMILIES, Family, ServiceRef
from netprobe.model.labels import CALICO_ACCOUNT, EVERYTHING, NAME_LABEL, Operator, Requirement, Selector
from netprobe.model.policy import (
    WHOLE,
    AllPeers,
    AnyPeer,
    Network,
    Networks,
    NotPeer,
    Peer,
    PodPeer,
    ServicePeer,
)
from netprobe.policies import fields
from netprobe.policies.calico_checks import Checks
from netprobe.policies.calico_selector import GLOBAL, uses_global

_FORM = re.compile(r"([0-9A-Fa-f:.]+)(?:/([0-9]{1,3}))?")


def parse_net(text: str) -> tuple[Network, bool] | None:
    """A network and whether its host bits are zero; None if the text is not one. An address is a network.

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


_HAS_NAMESPACE = Requirement(NAME_LABEL, Operator.EXISTS)
_FIELDS = frozenset(
    (
        "nets",
        "notNets",
        "selector",
        "notSelector",
        "namespaceSelector",
        "ports",
        "notPorts",
        "serviceAccounts",
        "services",
    )
)
_WITHOUT_SERVICES = ("selector", "notSelector", "namespaceSelector", "serviceAccounts", "nets", "notNets")

_NO_NAMESPACE = "without `namespace` this is the policy's own by the API; Calico v3.32 matches nothing then"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a rule. `namespace` is the policy's own, "" for a global one; `fields` is what was read."""

    path: str
    namespace: str
    fields: Mapping[str, Any]
    pods: Expression | None
    not_pods: Expression | None
    namespaces: Expression | None
    accounts: Expression | None
    service: ServiceRef | None
    nets: tuple[Network, ...]
    not_nets: tuple[Network, ...]

    def peer(self, families: tuple[Family, ...], *, on_ports: bool) -> Peer:
        """What the end must match, in a rule for flows of some families.

        `on_ports`: a Service matches on its ports only.
        """
        selected = self._selected()
        parts = [selected] if selected else []
        if self.service:
            parts.append(ServicePeer(self.service, on_ports))
        if self.nets or self.not_nets or families != FAMILIES:
            nets = self.nets or tuple(WHOLE[family] for family in families)
            parts.append(
                Networks(
                    tuple(net for net in nets if net.version in families),
                    tuple(net for net in self.not_nets if net.version in families),
                )
            )
        return AllPeers(tuple(parts)) if len(parts) > 1 else parts[0] if parts else AnyPeer()

    def _selected(self) -> Peer | None:
        if self.pods or self.accounts or self.namespaces or (self.namespace and self.not_pods):
            pods = both(self.pods, Negation(self.not_pods) if self.not_pods else None)
            namespaces = as_selector(self.namespaces) or (None if self.namespace else EVERYTHING)
            return PodPeer(as_selector(pods) or EVERYTHING, namespaces, as_selector(self.accounts), sets=True)
        if self.not_pods:
            return NotPeer(PodPeer(Selector(expression=self.not_pods), EVERYTHING, sets=True))
        return None


def as_selector(expression: Expression | None) -> Selector | None:
    return Selector(expression=expression) if expression is not None else None


def read_end(checks: Checks, value: Any, path: str, namespace: str) -> End:
    """The end at `path`, without its ports; `namespace` is "" in a global policy."""
    end = checks.decoder.mapping(value, path, _FIELDS)
    by_name, accounts = _accounts(checks, end, path)
    return End(
        path,
        namespace,
        end,
        both(checks.selector(end, "selector", path), by_name),
        checks.selector(end, "notSelector", path, nowhere=ALL),
        _namespaces(checks, end, path),
        accounts,
        _service(checks, end, path, namespace),
        read_nets(checks, end, "nets", path, in_rule=True),
        read_nets(checks, end, "notNets", path, in_rule=True),
    )


def _namespaces(checks: Checks, end: Mapping[str, Any], path: str) -> Expression | None:
    """`all()` means that there is a namespace; `global()`, which must be alone, that there is none."""
    nowhere = Negation(_HAS_NAMESPACE)
    found = checks.selector(end, "namespaceSelector", path, everything=_HAS_NAMESPACE, nowhere=nowhere)
    text = end.get("namespaceSelector")
    if found is not None and found != nowhere and uses_global(str(text)):
        where = f"{path}.namespaceSelector"
        checks.refuse_v3(fields.invalid(where, text, f"{GLOBAL} cannot be combined with other selectors"))
    return found


def _accounts(
    checks: Checks, end: Mapping[str, Any], path: str
) -> tuple[Expression | None, Expression | None]:
    """By name, which is a label of the pod; and by the labels of the account."""
    where = f"{path}.serviceAccounts"
    accounts = checks.decoder.mapping(end.get("serviceAccounts"), where, ("names", "selector"))
    found: list[str] = []
    for name, at in checks.decoder.strings(accounts, "names", where):
        if name in found:
            checks.refuse(fields.duplicate(at, name))
        found.append(name)
    by_name = Requirement(CALICO_ACCOUNT, Operator.IN, tuple(found)) if found else None
    return by_name, checks.selector(accounts, "selector", where)


def _service(checks: Checks, end: Mapping[str, Any], path: str, namespace: str) -> ServiceRef | None:
    where = f"{path}.services"
    if end.get("services") is None:
        return None
    entry = checks.decoder.mapping(end["services"], where, ("name", "namespace"))
    name = checks.decoder.string(entry, "name", where)
    own = checks.decoder.string(entry, "namespace", where)
    if not own and namespace:
        checks.warn(where, _NO_NAMESPACE)
    own = own or namespace
    if not name:
        checks.refuse_v3(fields.required(f"{where}.name", "the name of a Service"))
    if not own:
        checks.refuse_v3(fields.required(f"{where}.namespace", "a global policy has no namespace of its own"))
    for key in (key for key in _WITHOUT_SERVICES if end.get(key)):
        checks.refuse_v3(fields.forbidden(f"{path}.{key}", "may not be used together with `services`"))
    return ServiceRef(own, name) if name else None
