"""Groups as bit positions: what a selector, a network or a named port matches is a set of groups.

`peers` compares one end with one peer; here one peer is compared with everything at once, by indexes of
labels and of addresses.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from functools import cached_property
from typing import assert_never

from netprobe.model.flow import Family, PodRef, Protocol
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    DomainPeer,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NodePeer,
    NotPeer,
    Peer,
    PodPeer,
    Policy,
    ServicePeer,
    UnknownPeer,
)
from netprobe.simulate.bits import pack, unpack
from netprobe.simulate.doubt import PROFILE, Doubt, View
from netprobe.simulate.endpoint import ASSUMED, Directory
from netprobe.simulate.groups import EndGroup
from netprobe.simulate.labelindex import LabelIndex
from netprobe.simulate.match import within
from netprobe.simulate.peers import Peers
from netprobe.simulate.profile import Profile


class Universe:
    """All groups of an evaluation. Every answer is a set of group indexes, and kept."""

    def __init__(self, groups: tuple[EndGroup, ...], directory: Directory, profile: Profile) -> None:
        self._directory, self.profile, self.groups = directory, profile, groups
        self._peers = Peers(directory, profile)
        size = len(groups)
        self.everything = pack(range(size), size)
        self.pods = pack((g.index for g in groups if g.sample.pod is not None), size)
        self.spans: dict[str, tuple[int, int]] = {}
        for each in groups:
            if each.namespace is not None:
                first = self.spans.get(each.namespace, (each.index, each.index))[0]
                self.spans[each.namespace] = (first, each.index + 1)
        inside = [each for each in groups if each.namespace is not None]
        self._labels = LabelIndex(self.everything, ((1 << each.index, each.labels) for each in inside))
        self._namespaces = LabelIndex(
            pack((each.index for each in inside), size),
            ((self.namespace(name), directory.namespace_labels[name].items()) for name in self.spans),
        )
        self._inside_known: dict[tuple[IPBlock | Networks, Family | None], int] = {}
        self._sorted: dict[tuple[Family, bool], tuple[list[int], list[int]]] = {}
        self._stretches: dict[tuple[Family, bool, int, int], int] = {}
        self._hosted: dict[int, frozenset[PodRef]] = {}
        self._members: dict[int, tuple[int, ...]] = {}

    def namespace(self, name: str) -> int:
        first, end = self.spans.get(name, (0, 0))
        return (1 << end) - (1 << first)

    @cached_property
    def _accounts(self) -> LabelIndex:
        samples = ((1 << each.index, each.sample.account_labels) for each in self.groups)
        labelled = [(bits, labels.items()) for bits, labels in samples if labels is not None]
        return LabelIndex(sum(bits for bits, _ in labelled), labelled)

    def subjects(self, policy: Policy) -> int:
        """The groups that a policy selects, those on their node's network included."""
        wanted = policy.subject
        if wanted.namespaces is None:
            first, end = self.spans.get(policy.ref.namespace, (0, 0))
            bits = self._labels.selected(wanted.pods) >> first & (1 << end - first) - 1
            bits <<= first
        else:
            bits = self._labels.selected(wanted.pods) & self._namespaces.selected(wanted.namespaces)
        return bits if wanted.accounts is None else bits & self._accounts.selected(wanted.accounts)

    def members(self, policy: Policy) -> tuple[int, ...]:
        """The same one by one; those of equal sets are found once, for policies that select alike."""
        bits = self.subjects(policy)
        found = self._members.get(bits)
        if found is None:
            found = self._members[bits] = tuple(unpack(bits))
        return found

    def matched(
        self,
        entry: Peer,
        namespace: str,
        family: Family | None,
        port: tuple[int, Protocol] | None = None,
        *,
        by_name: bool = False,
        view: View = PROFILE,
    ) -> int:
        """The groups that a peer matches, in a policy of that namespace; see `Peers.matches`."""
        match entry:
            case AnyPeer() | UnknownPeer():
                bits = self.everything if isinstance(entry, AnyPeer) else 0
            case PodPeer():
                bits = self._of_pods(entry, namespace, family, by_name=by_name, view=view)
            case IPBlock() | Networks():
                bits = self._inside(entry, family)
            case ServicePeer():
                bits = self._behind(entry, port)
            case NodePeer():
                bits = self._on_nodes(entry, view)
            case DomainPeer():
                bits = self._outside if view.settle(Doubt.DOMAIN, by_profile=False) else 0
            case AllPeers(peers):
                bits = self.everything
                for each in peers:
                    bits &= self.matched(each, namespace, family, port, by_name=by_name, view=view)
            case NotPeer(peer):
                bits = ~self.matched(peer, namespace, family, port, view=view.negated()) & self.everything
            case _:
                assert_never(entry)
        return bits

    def _of_pods(
        self, entry: PodPeer, namespace: str, family: Family | None, *, by_name: bool, view: View
    ) -> int:
        where = (
            self.namespace(namespace)
            if entry.namespaces is None
            else self._namespaces.selected(entry.namespaces)
        )
        bits = self._labels.selected(entry.pods) & self.pods & where
        if entry.accounts is not None:
            bits &= self._accounts.selected(entry.accounts)
        if entry.sets is not False and not by_name and self._peers.sees_sets(entry, view):
            bits |= self._inside(self._peers.networks_of(entry, namespace), family)
        return bits

    def _behind(self, entry: ServicePeer, port: tuple[int, Protocol] | None) -> int:
        targets = self._peers.targets(entry.service)
        samples = ((each.index, each.sample.pod) for each in self.groups)
        return pack(
            (
                index
                for index, pod in samples
                if pod is not None
                and (ports := targets.get(pod.ref)) is not None
                and (not entry.on_ports or port in ports)
            ),
            len(self.groups),
        )

    def _on_nodes(self, entry: NodePeer, view: View) -> int:
        return pack(
            (
                index
                for index, names in self._nodes
                if any(self._peers.node_matches(entry, name, view) for name in names)
            ),
            len(self.groups),
        )

    @cached_property
    def _nodes(self) -> list[tuple[int, frozenset[str]]]:
        """The groups that are nodes, with the names of these."""
        named = ((each.index, self._directory.nodes_of(each.sample)) for each in self.groups)
        return [(index, names) for index, names in named if names]

    @cached_property
    def _outside(self) -> int:
        """The groups that are neither pods nor nodes."""
        is_node = self._directory.is_node
        return pack((g.index for g in self.groups if g.external and not is_node(g.sample)), len(self.groups))

    def _inside(self, block: IPBlock | Networks, family: Family | None) -> int:
        """The groups with an address inside; a block may see only some, a network is the same to all."""
        bits = self._inside_known.get((block, family))
        if bits is None:
            by_block = isinstance(block, IPBlock)
            cidrs = (block.cidr,) if isinstance(block, IPBlock) else block.cidrs
            bits = 0
            for cidr in cidrs:
                if cidr.version == family:
                    bits |= self._between(cidr, family, by_block=by_block)
            for excluded in block.excluded if bits else ():
                if excluded.version == family:
                    bits &= ~self._between(excluded, family, by_block=by_block)
            if any(within(block, address) for address in ASSUMED.values()):
                bits |= self._assumed if by_block else self._without_address
            self._inside_known[block, family] = bits
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
        """The groups whose address lies in a network: a stretch of all in the order of their addresses."""
        key = (family, by_block)
        if key not in self._sorted:
            self._sorted[key] = self._by_address(family, by_block=by_block)
        addresses, indexes = self._sorted[key]
        first = int(network.network_address)
        low, high = bisect_left(addresses, first), bisect_right(addresses, first + network.num_addresses - 1)
        stretch = (*key, low, high)
        if stretch not in self._stretches:
            self._stretches[stretch] = pack(indexes[low:high], len(self.groups))
        return self._stretches[stretch]

    def _by_address(self, family: Family, *, by_block: bool) -> tuple[list[int], list[int]]:
        """All addresses of a family in their order, and the groups that have them."""
        seen = sorted(
            (int(address), each.index)
            for each in self.groups
            if (address := each.sample.address(family)) is not None
            and (not by_block or self._peers.blocks_see(each.sample))
        )
        return [address for address, _ in seen], [index for _, index in seen]

    def declaring(self, port: NamedPort, number: int, protocol: Protocol) -> int:
        """The groups whose pods give that number this name."""
        if port.protocol not in {None, protocol}:
            return 0
        return self._named.get((port.name, protocol, number), 0)

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
