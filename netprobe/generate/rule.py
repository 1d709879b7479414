"""Openings to rules: who and on which ports, in as few items as say it exactly."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network

from netprobe.generate.demand import Demand, Kind, Party, PortNumber
from netprobe.generate.label import joined, selector
from netprobe.model.flow import External
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import IPBlock, Peer, PodPeer, PortRange, Rule

NAME_LABEL = "kubernetes.io/metadata.name"

Opening = tuple[Party, PortNumber]
"""A peer, and the port on which a subject may talk with it."""


class Rules:
    """Writes rules for the pods of a demand. `spaces` are the selectors of its namespaces."""

    def __init__(self, demand: Demand, spaces: dict[str, Selector]) -> None:
        self._demand = demand
        self._spaces = spaces

    def of(
        self, openings: Mapping[Opening, bool], namespace: str, subject: Kind | None = None
    ) -> tuple[Rule, ...]:
        """Rules for a policy of a namespace, whose only subject is `subject` where there is one.

        Peers with the same ports share a rule, or ports with the same peers, whichever takes fewer items.
        `openings` says of each whether the peer's whole namespace may stand for it and its neighbours.
        """
        by_peer: dict[Party, set[PortNumber]] = defaultdict(set)
        by_port: dict[PortNumber, set[Party]] = defaultdict(set)
        for party, port in openings:
            by_peer[party].add(port)
            by_port[port].add(party)
        first: dict[frozenset[PortNumber], set[Party]] = defaultdict(set)
        for party, ports in by_peer.items():
            first[frozenset(ports)].add(party)
        second: dict[frozenset[Party], set[PortNumber]] = defaultdict(set)
        for port, parties in by_port.items():
            second[frozenset(parties)].add(port)
        told = [
            [(parties, set(ports)) for ports, parties in first.items()],
            [(set(parties), ports) for parties, ports in second.items()],
        ]
        written = [
            [
                Rule(
                    tuple(self._peers(parties, _wide(openings, parties, ports), namespace, subject)),
                    _ports(ports),
                )
                for parties, ports in one
            ]
            for one in told
        ]
        shortest = min(written, key=lambda rules: sum(1 + len(r.peers) + len(r.ports) for r in rules))
        return tuple(sorted(shortest, key=_order))

    def _peers(
        self, parties: set[Party], wide: set[Party], namespace: str, subject: Kind | None
    ) -> Iterator[Peer]:
        kinds = [kind for kind in self._demand.kinds if kind in parties]
        whole: list[str] = []
        some: list[Peer] = []
        for name in sorted({kind.namespace for kind in kinds}, key=lambda one: (one != namespace, one)):
            there = self._demand.in_namespace(name)
            # A pod reaches itself whatever a policy says.
            alone = subject if subject is not None and len(subject.pods) == 1 else None
            if len(there) > 1 and all(kind in wide or kind == alone for kind in there):
                whole.append(name)
                continue
            own = [selector(kind, there) for kind in kinds if kind.namespace == name]
            where = None if name == namespace else self._spaces[name]
            some += [PodPeer(one, where) for one in joined(own)]
        if namespace in whole:
            yield PodPeer(EVERYTHING)
        elsewhere = [self._spaces[name] for name in whole if name != namespace]
        yield from (PodPeer(EVERYTHING, one) for one in joined(elsewhere))
        yield from some
        blocks = (IPBlock(ip_network(party.address)) for party in parties if isinstance(party, External))
        yield from sorted(blocks, key=lambda block: (block.cidr.version, int(block.cidr.network_address)))


def namespace_selectors(
    names: Iterable[str], labels: dict[str, dict[str, str]], key: str | None
) -> dict[str, Selector]:
    """A selector for each namespace: its name, or its value of the label `key` where no other one has it."""
    values = defaultdict(list)
    for name, own in labels.items():
        if key is not None and key in own:
            values[own[key]].append(name)
    return {
        name: Selector.of({key: labels[name][key]})
        if key is not None and values.get(labels[name].get(key, "")) == [name]
        else Selector.of({NAME_LABEL: name})
        for name in names
    }


def _wide(openings: Mapping[Opening, bool], parties: set[Party], ports: set[PortNumber]) -> set[Party]:
    return {party for party in parties if all(openings[party, port] for port in ports)}


def _ports(ports: set[PortNumber]) -> tuple[PortRange, ...]:
    ordered = sorted(ports, key=lambda port: (port[0], port[1].value))
    return tuple(PortRange(protocol, number, number) for number, protocol in ordered)


def _order(rule: Rule) -> tuple[int, str]:
    port = rule.ports[0]
    return (port.first if isinstance(port, PortRange) else 0), str(rule.peers)
