"""One selector, one block, one port entry against one thing: the smallest rules, each with its source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from netprobe.model.flow import Address, ContainerPort, Protocol
from netprobe.model.labels import Labels, Operator, Requirement, Selector
from netprobe.model.policy import AnyPort, IPBlock, NamedPort, Port, PortRange


def holds(requirement: Requirement, labels: Labels) -> bool:
    """One matchExpressions entry (apimachinery, labels/selector.go, Requirement.Matches)."""
    match requirement.operator:
        case Operator.IN:  # "the key must be present"
            return requirement.key in labels and labels[requirement.key] in requirement.values
        case Operator.NOT_IN:  # "matches also where the key is absent"
            return requirement.key not in labels or labels[requirement.key] not in requirement.values
        case Operator.EXISTS:
            return requirement.key in labels
        case Operator.DOES_NOT_EXIST:
            return requirement.key not in labels
        case _:
            assert_never(requirement.operator)


def selects(selector: Selector, labels: Labels) -> bool:
    """All of it must hold; a selector that asks nothing selects everything (types.go, LabelSelector).

    An empty value matches only a present, empty value: an absent key equals nothing.
    """
    return all(key in labels and labels[key] == value for key, value in selector.match_labels) and all(
        holds(requirement, labels) for requirement in selector.requirements
    )


def within(block: IPBlock, address: Address) -> bool:
    """In the cidr and in none of the exceptions; an address of the other family is in no block."""
    return address in block.cidr and not any(address in excluded for excluded in block.excluded)


def opens(port: Port, number: int, protocol: Protocol, destination: Iterable[ContainerPort]) -> bool:
    """Whether an entry of `ports` covers a port; names are looked up on the destination's containers.

    `destination` is empty for an address without a pod, which no named port matches.
    """
    match port:
        case AnyPort():
            return True
        case PortRange(own, first, last):
            return own is protocol and first <= number <= last
        case NamedPort(name, own):
            return own is protocol and any(
                declared.name == name and declared.protocol is protocol and declared.number == number
                for declared in destination
            )
        case _:
            assert_never(port)
