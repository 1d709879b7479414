"""Services as nftables rules: from API objects to sets, chains and maps.

Theory of operation
-------------------

The same as kube-proxy's nftables mode, in its own table:

    hook prerouting, output    address . protocol . port → the chain of a Service's port (dnat)
    hook forward, input,       before all policies: no endpoint → refused (or dropped, if the Service
    output                     only has local ones elsewhere); another port of a Service → refused; an
                               address of the Services' network without a Service → dropped
    hook postrouting           marked packets leave with the node's own address (masquerade)

    map   services4            10.96.0.7 . tcp . 80 → its chain; the same for 172.31.255.1 . tcp . 30080,
                               a node port; a host port leads to the chain of its endpoint
    map   void4                the same keys, for ports without endpoints
    set   virtual4             the addresses of all Services
    chain service4/shop/web/http     choose an endpoint at random
    chain external4/shop/web/http    the same for node ports: masquerade first
    chain endpoint/10.244.1.3/tcp/8080

Addresses are translated before routing, so the policies (hook forward) see the pod's own address and port.
Masquerading comes after the policies, so they see the client's address, except on another node than the one
whose node port was used. Marked are connections from outside the pod network, and those of a pod to itself,
which could not answer its own address.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from netprobe.lab.fabric.addresses import POD_NETWORKS, SERVICE_NETWORKS
from netprobe.lab.fabric.policyrules import shortened
from netprobe.lab.fabric.state import LabNode, PolicyPod
from netprobe.lab.fabric.table import NamedSet, NftTable, Ruleset
from netprobe.model.flow import Address, ContainerPort, ServiceRef
from netprobe.model.objects import ReadOnlyObject

SERVICE_NAME = "kubernetes.io/service-name"
NAME = "inet netprobe-services"
_MARK = 0x4000
_IP = {4: "ip", 6: "ip6"}
_TYPE = {4: "ipv4_addr", 6: "ipv6_addr"}
_MASQUERADE = f"meta mark set meta mark | {_MARK:#x}"


def table(versions: Sequence[int]) -> NftTable:
    """The table of Services for the address families of the lab."""
    key = {v: f"{_IP[v]} daddr . meta l4proto . th dport" for v in versions}

    def each(line: str) -> str:
        return "\n    ".join(
            line.format(v=v, ip=_IP[v], key=key[v], type=_TYPE[v], services=SERVICE_NETWORKS[v])
            for v in versions
        )

    entry = "{type} . inet_proto . inet_service : verdict"
    base = f"""\
table {NAME} {{
    {each("map services{v} {{ type " + entry + "; }}")}
    {each("map void{v} {{ type " + entry + "; }}")}
    {each("set virtual{v} {{ type {type}; }}")}
  chain refuse {{
    meta l4proto tcp counter reject with tcp reset comment "no such Service or endpoint: refused"
    counter reject with icmpx port-unreachable comment "no such Service or endpoint: refused"
  }}
  chain unserved {{
    {each("{key} vmap @void{v}")}
    {each("{ip} daddr @virtual{v} goto refuse")}
    {each('{ip} daddr {services} counter drop comment "no such Service: dropped"')}
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    {each("{key} vmap @services{v}")}
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    {each("{key} vmap @services{v}")}
  }}
  chain unserved-forward {{
    type filter hook forward priority -110; policy accept;
    ct state new jump unserved
  }}
  chain unserved-input {{
    type filter hook input priority -110; policy accept;
    ct state new jump unserved
  }}
  chain unserved-output {{
    type filter hook output priority -90; policy accept;
    ct state new jump unserved
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    meta mark & {_MARK:#x} == {_MARK:#x} meta mark set meta mark ^ {_MARK:#x} masquerade
  }}
}}
"""
    return NftTable(NAME, base)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    address: str
    port: int
    node: str | None


class Services:
    """The Services of a state; `node` gives the rules of one node."""

    def __init__(
        self,
        services: Iterable[ReadOnlyObject],
        slices: Iterable[ReadOnlyObject],
        versions: Sequence[int] = (4,),
        members: Iterable[PolicyPod] = (),
    ) -> None:
        self._versions = versions
        self._hosts = [*host_ports(members)]
        self._services = [service for service in services if service["spec"].get("clusterIPs")]
        self._slices = by_service(slices)

    def node(self, node: LabNode) -> Ruleset:
        writer = _Writer(node, self._versions)
        for service in self._services:
            for address in service["spec"]["clusterIPs"]:
                version = 6 if ":" in address else 4
                if address != "None" and version in self._versions:
                    writer.virtual[version].add(address)
                    for port in service["spec"].get("ports") or ():
                        writer.port(service, port, address, version, self._endpoints(service, port, version))
        for member, port in self._hosts:
            if member.node == node.name:
                writer.host_port(member, port)
        return writer.ruleset()

    def _endpoints(self, service: ReadOnlyObject, port: ReadOnlyObject, version: int) -> list[_Endpoint]:
        """The ready endpoints of a port."""
        metadata = service["metadata"]
        ready: set[_Endpoint] = set()
        for slice_ in self._slices[metadata["namespace"], metadata["name"]]:
            number = _number(slice_, port)
            if number is None or slice_.get("addressType") != f"IPv{version}":
                continue
            for endpoint in slice_.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    for address in addresses_of(endpoint, version)[:1]:
                        ready.add(_Endpoint(str(address), number, endpoint.get("nodeName")))
        return sorted(ready, key=str)


def by_service(slices: Iterable[ReadOnlyObject]) -> defaultdict[tuple[str, str | None], list[ReadOnlyObject]]:
    """EndpointSlices by namespace and name of their Service."""
    found: defaultdict[tuple[str, str | None], list[ReadOnlyObject]] = defaultdict(list)
    for slice_ in slices:
        metadata = slice_["metadata"]
        found[metadata["namespace"], (metadata.get("labels") or {}).get(SERVICE_NAME)].append(slice_)
    return found


def addresses_of(endpoint: ReadOnlyObject, version: int) -> list[Address]:
    """The addresses of an endpoint, without invalid ones, since anybody may write a slice."""
    found = []
    for text in endpoint.get("addresses") or ():
        with contextlib.suppress(ValueError):
            found.append(ip_address(text))
    return [address for address in found if address.version == version]


def endpoints(
    slices: Iterable[ReadOnlyObject], service: ServiceRef, version: int, *, on_ports: bool
) -> Iterator[str]:
    """The addresses of a Service's endpoints, ready or not; `on_ports`: "address . protocol . number"."""
    for slice_ in by_service(slices)[service.namespace, service.name]:
        hosts = [a for endpoint in slice_.get("endpoints") or () for a in addresses_of(endpoint, version)]
        ports = [
            f" . {port.get('protocol', 'TCP').lower()} . {port['port']}"
            for port in slice_.get("ports") or ()
            if port.get("port")
        ]
        yield from (f"{host}{port}" for host in hosts for port in (ports if on_ports else [""]))


def choice(port: str) -> str:
    """The comment of the rule that chooses an endpoint for "NAMESPACE/NAME port NUMBER/PROTOCOL"."""
    return shortened(f"service {port}")


def _number(slice_: ReadOnlyObject, port: ReadOnlyObject) -> int | None:
    """The number of a Service's port in a slice; they are matched by name and protocol."""
    wanted = port.get("name") or "", port["protocol"]
    for one in slice_.get("ports") or ():
        if (one.get("name") or "", one.get("protocol", "TCP")) == wanted:
            number: int | None = one.get("port")
            return number
    return None


class _Writer:
    """Collects the rules of one node."""

    def __init__(self, node: LabNode, versions: Sequence[int]) -> None:
        self._node = node
        self.virtual: dict[int, set[str]] = {version: set() for version in versions}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._maps: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def ruleset(self) -> Ruleset:
        sets = {
            f"virtual{version}": NamedSet(_TYPE[version], frozenset(found))
            for version, found in self.virtual.items()
        }
        maps = {name: dict(sorted(entries.items())) for name, entries in self._maps.items()}
        return Ruleset(sets, dict(sorted(self._chains.items())), maps)

    def port(
        self,
        service: ReadOnlyObject,
        port: ReadOnlyObject,
        address: str,
        version: int,
        endpoints: Sequence[_Endpoint],
    ) -> None:
        spec, protocol = service["spec"], port["protocol"].lower()
        local = [endpoint for endpoint in endpoints if endpoint.node == self._node.name]
        name = f"{service['metadata']['namespace']}/{service['metadata']['name']}"
        place = f"{version}/{name}/{port.get('name') or protocol}"
        named = f"{name} port {port['port']}/{protocol}"
        outside = f"{_IP[version]} saddr != {POD_NETWORKS[version]}"
        chosen = local if spec.get("internalTrafficPolicy") == "Local" else endpoints
        inner = [f"{outside} {_MASQUERADE}", *self._choose(chosen, version, protocol, named)]
        key = f"{address} . {protocol} . {port['port']}"
        self._enter(version, key, f"service{place}", inner, chosen, refused=not endpoints)
        for key in self._on_node(port.get("nodePort"), version, protocol):
            everywhere = self._choose(endpoints, version, protocol, named)
            if spec.get("externalTrafficPolicy") == "Local":
                # Pods use endpoints on all nodes; clients from outside keep their address.
                rules = [f"{_IP[version]} saddr {POD_NETWORKS[version]} {rule}" for rule in everywhere]
                rules += self._choose(local, version, protocol, named)
                if endpoints and not local:
                    self._maps[f"void{version}"][key] = "drop"
            else:
                rules = [_MASQUERADE, *everywhere]
            self._enter(version, key, f"external{place}", rules, endpoints, refused=not endpoints)

    def host_port(self, member: PolicyPod, port: ContainerPort) -> None:
        """A port of the node that leads to a pod, as with the portmap plugin: clients keep their address."""
        protocol = port.protocol.value.lower()
        for address in member.addresses:
            version = address.version
            if version in self.virtual:
                chain = self._endpoint(_Endpoint(str(address), port.number, member.node), version, protocol)
                for key in self._on_node(port.host, version, protocol):
                    self._maps[f"services{version}"][key] = f"goto {chain}"

    def _on_node(self, number: int | None, version: int, protocol: str) -> list[str]:
        """The keys of a port on the node's own addresses."""
        own = [address for address in self._node.addresses if address.version == version and number]
        return [f"{address} . {protocol} . {number}" for address in own]

    def _enter(
        self,
        version: int,
        key: str,
        chain: str,
        rules: Sequence[str],
        endpoints: Sequence[_Endpoint],
        *,
        refused: bool,
    ) -> None:
        if endpoints:
            self._chains[chain] = tuple(rules)
            self._maps[f"services{version}"][key] = f"goto {chain}"
        else:
            self._maps[f"void{version}"][key] = "goto refuse" if refused else "drop"

    def _choose(self, endpoints: Sequence[_Endpoint], version: int, protocol: str, named: str) -> list[str]:
        """The rule that chooses one of the endpoints; none if there are none."""
        chains = [self._endpoint(endpoint, version, protocol) for endpoint in endpoints]
        comment = f'comment "{choice(named)}"'
        if len(chains) <= 1:
            return [f"counter goto {chain} {comment}" for chain in chains]
        entries = ", ".join(f"{index} : goto {chain}" for index, chain in enumerate(chains))
        return [f"counter numgen random mod {len(chains)} vmap {{ {entries} }} {comment}"]

    def _endpoint(self, endpoint: _Endpoint, version: int, protocol: str) -> str:
        address, port = endpoint.address, endpoint.port
        chain = f"endpoint/{address.replace(':', '_')}/{protocol}/{port}"
        where = f"{address}:{port}" if version == 4 else f"[{address}]:{port}"
        self._chains[chain] = (
            f"{_IP[version]} saddr {address} {_MASQUERADE}",
            f'meta l4proto {protocol} counter dnat {_IP[version]} to {where} comment "endpoint {where}"',
        )
        return chain


def host_ports(members: Iterable[PolicyPod]) -> Iterator[tuple[PolicyPod, ContainerPort]]:
    """The ports of nodes that lead to pods. With hostNetwork the port is the node's anyway."""
    for member in members:
        for port in member.ports if not member.host_network else ():
            if port.host is not None:
                yield member, port
