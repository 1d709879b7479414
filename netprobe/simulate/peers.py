"""Whether a peer of a rule matches an end of a flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from netprobe.model.flow import Address, Family, PodRef, Protocol, ServiceRef
from netprobe.model.labels import EVERYTHING, labels_of_namespace, labels_of_set
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    DomainPeer,
    IPBlock,
    Network,
    Networks,
    NodePeer,
    NotPeer,
    Peer,
    PodPeer,
    ServicePeer,
    UnknownPeer,
)
from netprobe.simulate import service as services
from netprobe.simulate.doubt import PROFILE, Doubt, View
from netprobe.simulate.endpoint import ASSUMED, Directory, Endpoint
from netprobe.simulate.match import within
from netprobe.simulate.profile import Profile

Targets: TypeAlias = Mapping[PodRef, frozenset[tuple[int, Protocol]]]
"""Pods behind a Service, each with the ports that the Service forwards to."""


class Peers:
    """The peers of rules, in one cluster and with one plugin."""

    def __init__(self, directory: Directory, profile: Profile) -> None:
        self.directory = directory
        self.profile = profile
        self._networks: dict[tuple[PodPeer, str], Networks] = {}
        self._targets: dict[ServiceRef, Targets] = {}

    def networks_of(self, peer: PodPeer, namespace: str) -> Networks:
        """The networks of all sets that a peer matches, in a policy of that namespace."""
        found = self._networks.get((peer, namespace))
        if found is None:
            networks: dict[Network, None] = {}
            for each in self.directory.cluster.network_sets:
                if peer.namespaces is None:
                    inside = each.namespace == namespace
                elif peer.sets is None and peer.namespaces == EVERYTHING:
                    inside = bool(each.namespace)  # all namespaces: a global set is in none
                else:
                    inside = peer.namespaces.matches(self._namespace(each.namespace))
                if (
                    inside
                    and peer.pods.matches(labels_of_set(each.namespace, each.labels))
                    and (peer.accounts is None or peer.accounts.matches({}))
                ):
                    networks.update(dict.fromkeys(each.networks))
            found = self._networks[peer, namespace] = Networks(tuple(networks))
        return found

    def _namespace(self, name: str) -> Mapping[str, str]:
        """The labels of a network set's namespace; none for a global one."""
        known = self.directory.namespace_labels
        return known.get(name) or labels_of_namespace(name, {}) if name else {}

    def targets(self, ref: ServiceRef) -> Targets:
        if ref not in self._targets:
            self._targets[ref] = services.targets(self.directory.cluster, ref)
        return self._targets[ref]

    def matches(
        self,
        entry: Peer,
        namespace: str,
        end: Endpoint,
        family: Family | None,
        port: tuple[int, Protocol],
        *,
        by_name: bool = False,
        view: View = PROFILE,
    ) -> bool:
        """Whether a peer in a policy of that namespace matches an end.

        `port`: that of the flow's destination. `by_name`: the end has to be a pod whose port is looked up by
        name, so that a network set around it does not do.
        """
        match entry:
            case AnyPeer() | UnknownPeer():
                found = isinstance(entry, AnyPeer)
            case PodPeer():
                found = self._selected(entry, namespace, end) or (
                    not by_name
                    and self.sees_sets(entry, view)
                    and self._inside(self.networks_of(entry, namespace), end, family)
                )
            case IPBlock() | Networks():
                found = self._inside(entry, end, family)
            case ServicePeer():
                found = self._behind(entry, end, port)
            case NodePeer():
                found = any(self.node_matches(entry, name, view) for name in self.directory.nodes_of(end))
            case DomainPeer():
                outside = end.pod_behind is None and not self.directory.is_node(end)
                found = outside and view.settle(Doubt.DOMAIN, by_profile=False)
            case AllPeers(peers):
                found = all(
                    self.matches(each, namespace, end, family, port, by_name=by_name, view=view)
                    for each in peers
                )
            case NotPeer(peer):
                found = not self.matches(peer, namespace, end, family, port, view=view.negated())
            case _:
                assert_never(entry)
        return found

    def _behind(self, entry: ServicePeer, end: Endpoint, port: tuple[int, Protocol]) -> bool:
        ports = self.targets(entry.service).get(end.pod.ref) if end.pod is not None else None
        return ports is not None and (port in ports or not entry.on_ports)

    def sees_sets(self, entry: PodPeer, view: View) -> bool:
        """Whether a peer also matches network sets, which only Calico has."""
        if not self.profile.calico or entry.sets is not None:
            return self.profile.calico and bool(entry.sets)
        return view.settle(Doubt.SETS, by_profile=self.profile.namespaces_match_sets)

    def node_matches(self, entry: NodePeer, name: str, view: View) -> bool:
        """Whether a peer matches a node; of one that has no object here, only the name is known."""
        node = self.directory.cluster.nodes.get(name)
        if node is None:
            return view.settle(Doubt.NODE, by_profile=entry.nodes.matches({"kubernetes.io/hostname": name}))
        return entry.nodes.matches(node.labels)

    def blocks_see(self, end: Endpoint) -> bool:
        """Whether an ipBlock can match such an end with this plugin."""
        if end.pod is not None:
            return self.profile.blocks_match_pods
        return self.profile.blocks_match_nodes or not self.directory.is_node(end)

    def _inside(self, entry: IPBlock | Networks, end: Endpoint, family: Family | None) -> bool:
        if isinstance(entry, IPBlock) and not self.blocks_see(end):
            return False
        if end.assumed:
            return any(within(entry, address) for address in ASSUMED.values())
        return within(entry, end.address(family))

    @staticmethod
    def _selected(entry: PodPeer, namespace: str, end: Endpoint) -> bool:
        if end.pod is None:  # "never an external address"
            return False
        if entry.namespaces is None:  # "pods of the policy's own namespace"
            if end.pod.ref.namespace != namespace:
                return False
        elif not entry.namespaces.matches(end.namespace_labels or {}):
            return False
        return entry.pods.matches(end.labels or {}) and (
            entry.accounts is None or entry.accounts.matches(end.account_labels or {})
        )


def sees_sets(entry: Peer) -> bool:
    """Whether a peer may match an end by a network set around it, and not itself."""
    match entry:
        case PodPeer(sets=sets):
            return sets is not False
        case AllPeers(peers):
            return any(map(sees_sets, peers))
        case _:  # what does not match is the same, whether the port has a name or a number
            return False


def inside(entry: IPBlock | Networks, addresses: tuple[Address, ...]) -> bool:
    """Whether one of the addresses is in a block."""
    return any(within(entry, address) for address in addresses)
