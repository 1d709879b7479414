"""Rules for openings in as few items as possible, and selectors as a person would write them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from ipaddress import ip_network
from itertools import combinations
from operator import and_, or_

from netprobe.generate.demand import Openings, PodClass, PortNumber, Space
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Labels, Operator, Requirement, Selector
from netprobe.model.policy import IPBlock, Peer, PodPeer, PortRange, Rule
from netprobe.simulate.bits import unpack

PREFERRED = (
    "app",
    "app.kubernetes.io/name",
    "k8s-app",
    "name",
    "app.kubernetes.io/component",
    "component",
    "role",
    "tier",
)
MOST_LABELS = 3  # of a short selector; if these are not enough, all labels are used


class NamespaceClasses:
    """The classes of one namespace, and a selector for each of them that matches no other."""

    def __init__(self, classes: Iterable[PodClass]) -> None:
        self.classes = tuple(classes)
        self._holding: dict[tuple[str, str], int] = defaultdict(int)
        for place, pod_class in enumerate(self.classes):
            for label in pod_class.labels:
                self._holding[label] |= 1 << place
        self._places = {pod_class: place for place, pod_class in enumerate(self.classes)}
        self._made: dict[PodClass, Selector] = {}

    def selector(self, pod_class: PodClass) -> Selector:
        if pod_class not in self._made:
            self._made[pod_class] = self._selector(pod_class)
        return self._made[pod_class]

    def _selector(self, pod_class: PodClass) -> Selector:
        own = dict(pod_class.labels)
        keys = sorted(own, key=_preference)
        alone = 1 << self._places[pod_class]
        if keys:
            for size in range(1, MOST_LABELS + 1):
                for chosen in combinations(keys, size):
                    if self._with({key: own[key] for key in chosen}) == alone:
                        return Selector.of({key: own[key] for key in chosen})
        # Others with all these labels have another label too, which this class lacks.
        alike = [dict(self.classes[place].labels) for place in unpack(self._with(own) & ~alone)]
        lacking: list[Requirement] = []
        while alike:
            foreign = sorted({key for other in alike for key in other.keys() - own.keys()}, key=_preference)
            key = max(foreign, key=lambda one: sum(one in other for other in alike))
            lacking.append(Requirement(key, Operator.DOES_NOT_EXIST))
            alike = [other for other in alike if key not in other]
        return Selector.of(own, *lacking)

    def _with(self, labels: Labels) -> int:
        """The classes that have some labels, by their places here, as bits."""
        return reduce(and_, (self._holding[label] for label in labels.items()), (1 << len(self.classes)) - 1)


def joined(selectors: Sequence[Selector]) -> list[Selector]:
    """The same pods with fewer selectors: values of one label become a list."""
    by_key: dict[str, list[str]] = {}
    others = []
    for one in selectors:
        if len(one.match_labels) == 1 and not one.requirements:
            key, value = one.match_labels[0]
            by_key.setdefault(key, []).append(value)
        else:
            others.append(one)
    short = [
        Selector.of({key: values[0]})
        if len(values) == 1
        else Selector.of({}, Requirement(key, Operator.IN, tuple(sorted(values))))
        for key, values in by_key.items()
    ]
    return [*short, *others]


def _preference(key: str) -> tuple[int, str]:
    return (PREFERRED.index(key) if key in PREFERRED else len(PREFERRED)), key


class RuleMaker:
    """Makes rules for the classes of a space. `spaces` are the selectors of its namespaces."""

    def __init__(self, space: Space, spaces: Mapping[str, Selector]) -> None:
        self._space = space
        self._spaces = spaces
        self._within = {name: NamespaceClasses(classes) for name, classes in space.by_namespace.items()}
        self._home = {pod_class.bit: pod_class.namespace for pod_class in space.classes}

    def selector(self, pod_class: PodClass) -> Selector:
        """What selects the pods of a class, and no others of its namespace."""
        return self._within[pod_class.namespace].selector(pod_class)

    def of(self, openings: Openings, namespace: str, subject: PodClass | None = None) -> tuple[Rule, ...]:
        """Rules for a policy in a namespace; `subject` is its only subject, if it has only one.

        Peers with the same ports share a rule, or ports with the same peers, whichever needs fewer items. A
        namespace replaces its pods only if no row names one of them exactly.
        """
        groupings = [_by_peers(openings), _by_ports(openings)]
        written = [
            [
                Rule(
                    tuple(self._peers(peers, _wide(openings, peers, ports), namespace, subject)),
                    _ports(ports),
                )
                for peers, ports in one
            ]
            for one in (groupings if groupings[0] != groupings[1] else groupings[:1])
        ]
        shortest = min(written, key=lambda rules: sum(1 + len(r.peers) + len(r.ports) for r in rules))
        return tuple(sorted(shortest, key=_order))

    def _peers(self, peers: int, wide: int, namespace: str, subject: PodClass | None) -> Iterator[Peer]:
        # A pod reaches itself whatever a policy says.
        alone = 1 << subject.bit if subject is not None and len(subject.pods) == 1 else 0
        whole: list[str] = []
        some: list[Peer] = []
        for name in sorted(self._spaces_of(peers), key=lambda one: (one != namespace, one)):
            there = self._space.namespaces[name]
            if there & (there - 1) and not there & ~(wide | alone):
                whole.append(name)
                continue
            within = self._within[name]
            own = [within.selector(self._space.class_at[bit]) for bit in unpack(peers & there)]
            where = None if name == namespace else self._spaces[name]
            some += [PodPeer(one, where) for one in joined(own)]
        if namespace in whole:
            yield PodPeer(EVERYTHING)
        elsewhere = [self._spaces[name] for name in whole if name != namespace]
        yield from (PodPeer(EVERYTHING, one) for one in joined(elsewhere))
        yield from some
        hosts = (self._space.hosts[bit] for bit in unpack(peers & self._space.outside))
        blocks = (IPBlock(ip_network(host.address)) for host in hosts)
        yield from sorted(blocks, key=lambda block: (block.cidr.version, int(block.cidr.network_address)))

    def _spaces_of(self, peers: int) -> set[str]:
        if peers.bit_count() < len(self._space.namespaces):
            return {self._home[bit] for bit in unpack(peers) if bit in self._home}
        return {name for name, classes in self._space.namespaces.items() if classes & peers}


def _by_peers(openings: Openings) -> list[tuple[int, tuple[PortNumber, ...]]]:
    """Peers with the same ports together."""
    parts: dict[tuple[PortNumber, ...], int] = {(): reduce(or_, (o.peers for o in openings.values()), 0)}
    for port, opening in sorted(openings.items(), key=_by_number):
        with_it = {(*ports, port): peers & opening.peers for ports, peers in parts.items()}
        without = {ports: peers & ~opening.peers for ports, peers in parts.items()}
        parts = {ports: peers for ports, peers in {**without, **with_it}.items() if peers}
    return [(peers, ports) for ports, peers in parts.items()]


def _by_ports(openings: Openings) -> list[tuple[int, tuple[PortNumber, ...]]]:
    """Ports with the same peers together."""
    found: dict[int, list[PortNumber]] = defaultdict(list)
    for port, opening in sorted(openings.items(), key=_by_number):
        found[opening.peers].append(port)
    return [(peers, tuple(ports)) for peers, ports in found.items()]


def _by_number(item: tuple[PortNumber, object]) -> tuple[int, str]:
    (number, protocol), _ = item
    return number, protocol.value


def namespace_selectors(
    names: Iterable[str], labels: Mapping[str, Mapping[str, str]], key: str | None
) -> dict[str, Selector]:
    """A selector for each namespace: by name, or by its value of the label `key` if no other one has it."""
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


def _wide(openings: Openings, peers: int, ports: Iterable[PortNumber]) -> int:
    return peers & ~reduce(or_, (openings[port].named for port in ports), 0)


def _ports(ports: Iterable[PortNumber]) -> tuple[PortRange, ...]:
    return tuple(PortRange(protocol, number, number) for number, protocol in ports)


def _order(rule: Rule) -> tuple[int, str]:
    port = rule.ports[0]
    return (port.first if isinstance(port, PortRange) else 0), str(rule.peers)
