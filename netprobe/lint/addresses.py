"""Which pods and Services of the input have an address in a block."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Generic, TypeVar

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, PodRef, ServiceRef
from netprobe.model.policy import IPBlock
from netprobe.simulate.match import within

T = TypeVar("T")


class _Sorted(Generic[T]):
    """Addresses of both families, sorted, with their owners."""

    def __init__(self, owned: Iterable[tuple[Address, T]]) -> None:
        entries = sorted(owned, key=lambda entry: (entry[0].version, int(entry[0])))
        self.keys = [(address.version, int(address)) for address, _ in entries]
        self.entries = entries

    def inside(self, block: IPBlock) -> list[T]:
        version = block.cidr.version
        first = bisect_left(self.keys, (version, int(block.cidr.network_address)))
        last = bisect_right(self.keys, (version, int(block.cidr.broadcast_address)))
        found = [owner for address, owner in self.entries[first:last] if within(block, address)]
        return list(dict.fromkeys(found))


class AddressBook:
    """Without hostNetwork pods, which have the address of their node."""

    def __init__(self, cluster: Cluster) -> None:
        self._pods = _Sorted(
            (address, pod.ref)
            for pod in cluster.pods.values()
            if not pod.host_network
            for address in pod.addresses
        )
        self._services = _Sorted(
            (address, service.ref) for service in cluster.services.values() for address in service.addresses
        )

    def pods(self, block: IPBlock) -> list[PodRef]:
        return self._pods.inside(block)

    def services(self, block: IPBlock) -> list[ServiceRef]:
        return self._services.inside(block)
