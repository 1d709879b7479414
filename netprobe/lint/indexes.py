"""Pods by their labels, and pods and Services by their addresses."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from netprobe.model.flow import Address, ContainerPort, Pod
from netprobe.model.labels import EVERYTHING, Operator, Selector
from netprobe.model.policy import IPBlock
from netprobe.simulate.match import within

T = TypeVar("T")


class PodIndex:
    """The pods of a namespace or of a cluster. The result for each selector is kept.

    A selector costs as much as there are pods with the rarest label that it requires; one that requires no
    label is compared with all pods.
    """

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._all = tuple(pods)
        self._by_label: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in self._all:
            for label in pod.labels.items():
                self._by_label[label].append(pod)
        self._found: dict[Selector, tuple[Pod, ...]] = {EVERYTHING: self._all}
        self._declared: dict[Selector, frozenset[ContainerPort]] = {}

    def select(self, selector: Selector) -> tuple[Pod, ...]:
        found = self._found.get(selector)
        if found is None:
            found = tuple(pod for pod in self._candidates(selector) if selector.matches(pod.labels))
            self._found[selector] = found
        return found

    def declared(self, selector: Selector) -> frozenset[ContainerPort]:
        """The container ports of the pods that a selector matches."""
        found = self._declared.get(selector)
        if found is None:
            found = frozenset(port for pod in self.select(selector) for port in pod.ports)
            self._declared[selector] = found
        return found

    def _candidates(self, selector: Selector) -> Sequence[Pod]:
        choices: list[Sequence[Pod]] = [self._by_label.get(label, ()) for label in selector.match_labels]
        if not choices:
            choices = [
                [
                    pod
                    for value in set(requirement.values)
                    for pod in self._by_label.get((requirement.key, value), ())
                ]
                for requirement in selector.requirements
                if requirement.operator is Operator.IN
            ]
        return min(choices, key=len) if choices else self._all


class AddressIndex(Generic[T]):
    """Addresses of both families with their owners, sorted."""

    def __init__(self, owned: Iterable[tuple[Address, T]]) -> None:
        self._entries = sorted(owned, key=lambda entry: (entry[0].version, int(entry[0])))
        self._keys = [(address.version, int(address)) for address, _ in self._entries]

    def inside(self, block: IPBlock) -> list[T]:
        """The owners of the addresses in a block, each once."""
        version = block.cidr.version
        first = bisect_left(self._keys, (version, int(block.cidr.network_address)))
        last = bisect_right(self._keys, (version, int(block.cidr.broadcast_address)))
        found = (owner for address, owner in self._entries[first:last] if within(block, address))
        return list(dict.fromkeys(found))
