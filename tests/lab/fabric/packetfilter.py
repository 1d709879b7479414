"""The rules that the compiler writes, applied to packets in this process: what nft would do with them.

It knows the part of nft's language that the compiler uses, and refuses everything else, as it refuses what
the kernel would: a set whose type does not fit what is looked up, intervals that overlap, a reset of what is
not TCP. That the kernel reads the rules in the same way is what the tests with packets show.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from netprobe.lab.fabric import addresses as plan
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.lab.fabric.table import Ruleset
from netprobe.lab.options import LabOptions
from netprobe.model.cluster import Cluster, Service
from netprobe.model.flow import Address, End, External, Flow, PodRef
from netprobe.model.labels import labels_of_account, labels_of_namespace, labels_of_pod, labels_of_set
from netprobe.model.objects import Object

OPEN, REFUSED, SILENT = "open", "refused", "silent"
TEMPORARY = 40000
"""The source port of a connection."""

_TEST = re.compile(
    r"(?P<field>[a-z0-9]+ [a-z0-9]+(?: \. [a-z0-9]+ [a-z0-9]+)*) (?P<not>!= )?(?P<operand>\{ [^}]+ \}|\S+)"
)
_VERDICT = re.compile(r"accept|drop|return|jump (\S+)|reject with (tcp reset|icmpx port-unreachable)")
_MARK = re.compile(
    r"meta mark (set meta mark (?P<change>[&|]) |& )(?P<bits>0x[0-9a-f]+)( == (?P<equal>0x[0-9a-f]+))?"
)


@dataclass
class Packet:
    """The first packet of a flow."""

    source: Address
    destination: Address
    protocol: str
    port: int
    mark: int = 0

    def field(self, name: str) -> tuple[str, str | None]:
        """The type of a field, and its value as text; None if the packet does not have it."""
        match name.split():
            case ["ip" | "ip6" as family, "saddr" | "daddr" as end]:
                version = 4 if family == "ip" else 6
                address = self.source if end == "saddr" else self.destination
                return f"ipv{version}_addr", str(address) if address.version == version else None
            case ["tcp" | "udp" | "sctp" | "th" as header, "sport" | "dport" as end]:
                number = self.port if end == "dport" else TEMPORARY
                return "inet_service", str(number) if header in {self.protocol, "th"} else None
            case ["meta", "l4proto"]:
                return "inet_proto", self.protocol
            case ["meta", "nfproto"]:
                return "nf_proto", f"ipv{self.source.version}"
        raise AssertionError(f"unknown field {name}")


class _Rules:
    """The rules of one node."""

    def __init__(self, rules: Ruleset) -> None:
        self._rules = rules

    def verdict(self, direction: str, link: str, packet: Packet) -> str:
        """What becomes of a packet at a pod's link."""
        entry = self._rules.maps.get(direction, {}).get(f'"{link}"')
        return "accept" if entry is None else self._chain(entry.removeprefix("jump "), packet) or "accept"

    def _chain(self, name: str, packet: Packet) -> str | None:
        """The final verdict of a chain, None if it returns."""
        for rule in self._rules.chains[name]:
            found = self._rule(rule, packet)
            if found is not None:
                return None if found == "return" else found
        return None

    def _rule(self, rule: str, packet: Packet) -> str | None:
        text = re.sub(r' ?comment "[^"]{1,128}"$', "", rule)
        headers = set(re.findall(r"\b(tcp|udp|sctp) [sd]port", text))
        named = set(re.findall(r"meta l4proto ([a-z0-9-]+)", text))
        assert not headers or len(headers | named) == 1, f"conflicting protocols: {rule}"
        while text:
            if text.split()[0] == "counter":
                text = text[8:]
            elif found := _VERDICT.match(text):
                assert found.end() == len(text), rule
                if found[1]:
                    return self._chain(found[1], packet)
                assert found[2] != "tcp reset" or packet.protocol == "tcp", rule
                return found[0].split()[0]
            elif found := _MARK.match(text):
                bits, text = int(found["bits"], 16), text[found.end() + 1 :]
                if found["change"]:
                    packet.mark = packet.mark & bits if found["change"] == "&" else packet.mark | bits
                elif packet.mark & bits != int(found["equal"], 16):
                    return None
            else:
                found = _TEST.match(text)
                assert found, rule
                text = text[found.end() + 1 :]
                if not self._holds(found["field"].split(" . "), found["operand"], bool(found["not"]), packet):
                    return None
        return None

    def _holds(self, names: list[str], operand: str, negated: bool, packet: Packet) -> bool:
        fields = [packet.field(name) for name in names]
        kind = " . ".join(each for each, _ in fields)
        values = [value for _, value in fields]
        if operand.startswith("@"):
            named = self._rules.sets[operand[1:]]
            assert named.kind.removesuffix("; flags interval") == kind, (operand, named.kind, kind)
            elements: Iterable[str] = named.elements
            assert named.kind != kind or not any("/" in one for one in elements), operand
        else:
            elements = operand.strip("{} ").split(", ")
        _disjoint(elements)
        if None in values:
            return False
        wanted = " . ".join(map(str, values))
        return negated != any(_within(wanted, element) for element in elements)


def _within(value: str, element: str) -> bool:
    if "/" in element:
        return ip_address(value) in ip_network(element)
    if re.fullmatch(r"\d+-\d+", element):
        first, last = map(int, element.split("-"))
        assert first < last
        return first <= int(value) <= last
    return value == element


def _disjoint(elements: Iterable[str]) -> None:
    networks = sorted(ip_network(each) for each in elements if "/" in each)
    for one, other in itertools.pairwise(networks):
        assert not one.overlaps(other), f"{one} overlaps {other}"


def passes(cluster: Cluster, flows: Iterable[Flow]) -> Iterator[tuple[Flow, bool]]:
    """Whether the lab's rules let flows pass: those between pods with addresses and addresses outside."""
    compiler = Compiler(state_of(cluster), (4, 6))
    links = {ref: f"p{number}" for number, ref in enumerate(cluster.pods)}
    rules = _Rules(compiler.node(links))
    for flow in flows:
        source, destination = (_addresses(cluster, end) for end in (flow.source, flow.destination))
        pods = {end for end in (flow.source, flow.destination) if isinstance(end, PodRef)}
        versions = [v for v in source if v in destination and flow.family in {v, None}]
        if len(versions) != 1 or not pods or flow.source == flow.destination:
            continue
        version = versions[0]
        found = "accept"
        packet = Packet(source[version], destination[version], flow.protocol.value.lower(), flow.port)
        for direction, end in (("from", flow.source), ("to", flow.destination)):
            if isinstance(end, PodRef) and found == "accept":
                found = rules.verdict(direction, links[end], packet)
        yield flow, found == "accept"


def _addresses(cluster: Cluster, end: End) -> Mapping[int, Address]:
    if isinstance(end, External):
        inside = {a for node in cluster.nodes.values() for a in node.addresses}
        inside.update(a for pod in cluster.pods.values() for a in (*pod.addresses, *pod.node_addresses))
        return {} if end.address in inside else {end.address.version: end.address}
    pod = cluster.pods[end] if isinstance(end, PodRef) else None
    return {} if pod is None or pod.host_network else {a.version: a for a in reversed(pod.addresses)}


def state_of(cluster: Cluster) -> NetworkState:
    """The cluster as the lab's control plane would hand it on."""
    accounts = cluster.service_accounts
    members = {
        ref: PolicyPod(
            ref,
            labels_of_pod(ref.namespace, pod.service_account, pod.labels),
            pod.addresses,
            pod.ports,
            pod.node or "n1",
            pod.host_network,
            account=pod.service_account,
            account_labels=labels_of_account(
                pod.service_account, accounts.get((ref.namespace, pod.service_account))
            ),
        )
        for ref, pod in cluster.pods.items()
    }
    return NetworkState(
        {name: labels_of_namespace(name, one.labels) for name, one in cluster.namespaces.items()},
        members,
        [InstalledPolicy(policy, {}) for policy in cluster.policies],
        endpoint_slices=[part for service in cluster.services.values() for part in _slices(cluster, service)],
        tiers=cluster.tiers,
        network_sets=[replace(s, labels=labels_of_set(s.namespace, s.labels)) for s in cluster.network_sets],
        selectable_nodes=tuple(cluster.nodes.values()),
    )


def _slices(cluster: Cluster, service: Service) -> Iterator[Object]:
    """A slice for each pod and family."""
    for ref, pod in cluster.pods.items():
        if ref.namespace != service.ref.namespace or service.selector is None or pod.host_network:
            continue
        if any(pod.labels.get(key) != value for key, value in service.selector.items()):
            continue
        ports = []
        for one in service.ports:
            named = [p.number for p in pod.ports if (p.name, p.protocol) == (one.target, one.protocol)]
            if number := one.target if isinstance(one.target, int) else (*named, None)[0]:
                ports.append({"port": number, "protocol": one.protocol.value})
        for address in pod.addresses:
            yield {
                "metadata": {
                    "namespace": ref.namespace,
                    "labels": {"kubernetes.io/service-name": service.ref.name},
                },
                "addressType": f"IPv{address.version}",
                "endpoints": [{"addresses": [str(address)]}],
                "ports": ports,
            }


class PacketFilter:
    """Stands for the lab's network, without one: pods have addresses, links and rules."""

    def __init__(self, options: LabOptions) -> None:
        self.nodes = tuple(plan.node(n, options.ip_families) for n in range(1, options.nodes + 1))
        self._deny_with = options.deny_with
        self._versions = plan.versions(options.ip_families)
        self._addresses = plan.Addresses(self.nodes, options.ip_families)
        self._pods: dict[PodRef, tuple[PolicyPod, str | None]] = {}
        self._numbers = itertools.count(10)
        self._compiler: Compiler | None = None
        self._rules: dict[str, _Rules] = {}
        self._state: Any = None

    async def place(self, pod: PolicyPod) -> tuple[Address, ...]:
        node = next(node for node in self.nodes if node.name == pod.node)
        placed = pod.addresses
        if pod.external:
            self._addresses.claim(placed)
        elif pod.host_network:
            placed = node.addresses
        else:
            placed, _ = self._addresses.take(node.name)
        link = None if pod.external or pod.host_network else f"p{next(self._numbers)}"
        self._pods[pod.ref] = (pod, link)
        return placed

    async def start(self, ref: PodRef) -> None:
        assert ref in self._pods

    async def remove(self, ref: PodRef) -> None:
        self._addresses.give_back(self._state.members[ref].addresses)
        del self._pods[ref]

    async def enforce(self, state: NetworkState) -> None:
        self._state = state
        self._compiler = Compiler(state, self._versions, self._deny_with, self._compiler)
        for node in self.nodes:
            links = {ref: link for ref, (pod, link) in self._pods.items() if link and pod.node == node.name}
            self._rules[node.name] = _Rules(self._compiler.node(links, node.name))

    def probe(self, source: PodRef, target: str, port: int, protocol: str, version: int) -> str:
        """What a new flow sees."""
        owners = {str(address): ref for ref, one in self._state.members.items() for address in one.addresses}
        destination = owners[target]
        address = next(a for a in self._state.members[source].addresses if a.version == version)
        packet = Packet(address, ip_address(target), protocol.lower(), port)
        for direction, ref in (("from", source), ("to", destination)):
            pod, link = self._pods[ref]
            if link is None or source == destination:
                continue
            verdict = self._rules[pod.node].verdict(direction, link, packet)
            if verdict != "accept":
                return REFUSED if verdict == "reject" else SILENT
        serves = {(one.number, one.protocol.value) for one in self._pods[destination][0].ports}
        return OPEN if (port, protocol) in serves else REFUSED
