"""Groups as bit positions: what a selector, a block or a named port matches is a set of groups.

`match` and `model.labels` compare one thing with one selector; here one selector is compared with everything
at once, by an index of labels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import cached_property
from itertools import accumulate
from typing import assert_never

from netprobe.model.flow import Family, PodRef, Protocol
from netprobe.model.labels import Operator, Selector
from netprobe.model.policy import (
    AnyPeer,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    Peer,
    PodPeer,
    Policy,
    Rule,
    UnknownPeer,
)
from netprobe.simulate.bits import pack
from netprobe.simulate.endpoint import ASSUMED, Directory
from netprobe.simulate.groups import EndGroup
from netprobe.simulate.match import within
from netprobe.simulate.profile import Profile


class Universe:
    """All groups of an evaluation. Every answer is a set of group indexes, and kept."""

    def __init__(self, groups: tuple[EndGroup, ...], directory: Directory, profile: Profile) -> None:
        self._directory, self.profile, self.groups = directory, profile, groups
        size = len(groups)
        self.everything = (1 << size) - 1  # mutant: equivalent, -1 has all these bits too
        self.pods = pack((g.index for g in groups if g.sample.pod is not None), size)
        self.spans: dict[str, tuple[int, int]] = {}
        values: dict[tuple[str, str], list[int]] = defaultdict(list)
        keys: dict[str, list[int]] = defaultdict(list)
        for each in groups:
            if each.namespace is not None:
                first, _ = self.spans.get(each.namespace, (each.index, 0))
                self.spans[each.namespace] = (first, each.index + 1)
                for key, value in each.labels:
                    keys[key].append(each.index)
                    if value is not None:
                        values[key, value].append(each.index)
        self._values = {label: pack(indexes, size) for label, indexes in values.items()}
        self._keys = {key: pack(indexes, size) for key, indexes in keys.items()}
        self._selected: dict[Selector, int] = {}
        self._namespaces: dict[Selector, int] = {}
        self._blocks: dict[tuple[IPBlock, Family], int] = {}
        self._sorted: dict[tuple[Family, bool], tuple[list[int], list[int]]] = {}
        self._hosted: dict[int, frozenset[PodRef]] = {}

    def selected(self, selector: Selector) -> int:
        """The groups whose labels match, pods on their node's network included."""
        bits = self._selected.get(selector)
        if bits is None:
            bits = self.everything
            for label in selector.match_labels:
                bits &= self._values.get(label, 0)
            for requirement in selector.requirements:
                key = requirement.key
                match requirement.operator:
                    case Operator.IN:
                        bits &= self._any_value(key, requirement.values)
                    case Operator.NOT_IN:
                        bits &= ~self._any_value(key, requirement.values)
                    case Operator.EXISTS:
                        bits &= self._keys.get(key, 0)
                    case Operator.DOES_NOT_EXIST:
                        bits &= ~self._keys.get(key, 0)
                    case _:
                        assert_never(requirement.operator)
            self._selected[selector] = bits
        return bits

    def _any_value(self, key: str, values: tuple[str, ...]) -> int:
        bits = 0
        for value in values:
            bits |= self._values.get((key, value), 0)
        return bits

    def namespace(self, name: str) -> int:
        first, end = self.spans.get(name, (0, 0))
        return (1 << end) - (1 << first)

    def in_namespaces(self, selector: Selector) -> int:
        """The groups in the namespaces that a selector matches."""
        bits = self._namespaces.get(selector)
        if bits is None:
            bits = 0
            for name in self.spans:
                if selector.matches(self._directory.namespace_labels[name]):
                    bits |= self.namespace(name)
            self._namespaces[selector] = bits
        return bits

    def subjects(self, policy: Policy) -> int:
        """The groups that a policy selects, those on their node's network included."""
        pods, namespaces = policy.subject.pods, policy.subject.namespaces
        if namespaces is not None:
            return self.selected(pods) & self.in_namespaces(namespaces)
        first, end = self.spans.get(policy.ref.namespace, (0, 0))
        return (self.selected(pods) >> first & (1 << end - first) - 1) << first

    def peers(self, rule: Rule, namespace: str, family: Family | None) -> int:
        """The groups that any peer of a rule matches."""
        bits = 0
        for peer in rule.peers:
            bits |= self.admitted(peer, namespace, family)
        return bits

    def admitted(self, peer: Peer, namespace: str, family: Family | None) -> int:
        """The groups that one item of `from` or `to` matches, in a policy of that namespace."""
        match peer:
            case AnyPeer():
                return self.everything
            case PodPeer(pods, namespaces):
                where = self.namespace(namespace) if namespaces is None else self.in_namespaces(namespaces)
                return self.selected(pods) & self.pods & where
            case IPBlock():
                return self._inside(peer, family)
            case Networks(cidrs):
                return self._in_any(cidrs, family)
            case UnknownPeer():
                return 0
            case _:
                raise NotImplementedError(peer)

    def _inside(self, block: IPBlock, family: Family | None) -> int:
        assumed = self._assumed if within(block, ASSUMED[block.cidr.version]) else 0
        if family is None or block.cidr.version != family:
            return assumed
        bits = self._blocks.get((block, family))
        if bits is None:
            bits = self._between(block.cidr, family, by_block=True)
            for excluded in block.excluded:
                bits &= ~self._between(excluded, family, by_block=True)
            self._blocks[block, family] = bits
        return bits | assumed

    def _in_any(self, networks: tuple[Network, ...], family: Family | None) -> int:
        """The groups with an address in any network: unlike blocks, the same for every plugin."""
        bits = 0
        for network in networks:
            if ASSUMED[network.version] in network:
                bits |= self._without_address
            if network.version == family:
                bits |= self._between(network, family, by_block=False)
        return bits

    @cached_property
    def _without_address(self) -> int:
        """The groups of pods that have no address yet."""
        return pack((each.index for each in self.groups if each.sample.assumed), len(self.groups))

    @property
    def _assumed(self) -> int:
        """The same as far as blocks match pods."""
        return self._without_address if self.profile.blocks_match_pods else 0

    def _between(self, network: Network, family: Family, *, by_block: bool) -> int:
        """The groups whose address lies in a network: the difference of two running unions."""
        key = (family, by_block)
        if key not in self._sorted:
            self._sorted[key] = self._by_address(family, by_block=by_block)
        addresses, unions = self._sorted[key]
        first = int(network.network_address)
        low, high = bisect_left(addresses, first), bisect_right(addresses, first + network.num_addresses - 1)
        return unions[high] ^ unions[low]

    def _by_address(self, family: Family, *, by_block: bool) -> tuple[list[int], list[int]]:
        seen = sorted(
            (int(address), each.index)
            for each in self.groups
            if (address := each.sample.address(family)) is not None
            and (not by_block or self._block_sees(each))
        )
        unions = accumulate((1 << index for _, index in seen), lambda one, other: one | other, initial=0)
        return [address for address, _ in seen], list(unions)

    def _block_sees(self, each: EndGroup) -> bool:
        if each.sample.pod is not None:
            return self.profile.blocks_match_pods
        return self.profile.blocks_match_nodes or not self._directory.is_node(each.sample)

    def declaring(self, port: NamedPort, number: int) -> int:
        """The groups whose pods give that number this name."""
        protocols = Protocol if port.protocol is None else (port.protocol,)
        bits = 0
        for protocol in protocols:
            bits |= self._named.get((port.name, protocol, number), 0)
        return bits

    @cached_property
    def _named(self) -> dict[tuple[str, Protocol, int], int]:
        found: dict[tuple[str, Protocol, int], list[int]] = defaultdict(list)
        for each in self.groups:
            if each.sample.pod is not None:
                for port in each.sample.pod.ports:
                    if port.name is not None:
                        found[port.name, port.protocol, port.number].append(each.index)
        return {key: pack(indexes, len(self.groups)) for key, indexes in found.items()}

    def pods_on(self, group: int) -> frozenset[PodRef]:
        """The pods that run on the node that a group's members are; none for other groups."""
        if group not in self._hosted:
            self._hosted[group] = self._directory.pods_on(self.groups[group].sample)
        return self._hosted[group]
