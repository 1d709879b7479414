"""What a revision does: the record, most dangerous first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netprobe.impact.bundles import GroupBundle, Scope, bundles
from netprobe.impact.declaration import Breach, DeclarationCheck, check
from netprobe.impact.difference import FlowChange, States, compare_states
from netprobe.impact.names import EndNames, EndSet
from netprobe.impact.revision import Revision
from netprobe.impact.unneeded import Unneeded, unneeded
from netprobe.model.flow import End, Family, Flow, PodRef, Protocol, Via
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, Profile, Simulator
from netprobe.simulate.bits import Weights, unpack
from netprobe.simulate.compared import PortNumber, Ports

_ORDER = (
    (FlowChange.OPENS, Scope.FROM_OUTSIDE),
    (FlowChange.OPENS, Scope.ACROSS),
    (FlowChange.OPENS, Scope.TO_OUTSIDE),
    (FlowChange.OPENS, Scope.WITHIN),
    (FlowChange.CLOSES, Scope.INSIDE),
    (FlowChange.CLOSES, Scope.FROM_OUTSIDE),
    (FlowChange.CLOSES, Scope.TO_OUTSIDE),
    (FlowChange.REASON, Scope.INSIDE),
    (FlowChange.REASON, Scope.FROM_OUTSIDE),
    (FlowChange.REASON, Scope.TO_OUTSIDE),
)
"""Most dangerous first, after what is against the declaration."""


@dataclass(frozen=True, slots=True)
class ChangeBundle:
    """Flows that change alike: from each of `sources` to each of `destinations` except itself.

    `ports` None: every port that is compared. `flows` counts pairs of ends and ports. `sample` is one of
    them; `Impact.decisions` gives its decisions.
    """

    change: FlowChange
    scope: Scope
    sources: EndSet
    destinations: EndSet
    ports: tuple[PortNumber, ...] | None
    family: Family | None
    flows: int
    sample: Flow


@dataclass(frozen=True, slots=True)
class Impact:
    """What differs between the two states of a revision.

    `declared` is None without a declaration. `other` is the port that represents all unnamed ones.
    `pods` counts the pods that are compared, `left_out` are those on their node's network in either state.
    """

    revision: Revision
    bundles: tuple[ChangeBundle, ...]
    declared: DeclarationCheck | None
    unneeded: tuple[Unneeded, ...]
    other: int | None
    pods: int
    left_out: tuple[PodRef, ...]
    before: Simulator = field(repr=False, compare=False)
    after: Simulator = field(repr=False, compare=False)

    def flows(self, change: FlowChange) -> int:
        return sum(bundle.flows for bundle in self.bundles if bundle.change is change)

    def decisions(self, flow: Flow) -> tuple[Decision, Decision]:
        """Before and after."""
        return self.before.decide(flow), self.after.decide(flow)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """What is certainly against the declaration."""
        found = self.declared.breaches if self.declared is not None else ()
        return tuple(breach for breach in found if breach.after.verdict is not Verdict.UNKNOWN)

    @property
    def unclear(self) -> tuple[Breach, ...]:
        """What may be against the declaration."""
        found = self.declared.breaches if self.declared is not None else ()
        return tuple(breach for breach in found if breach.after.verdict is Verdict.UNKNOWN)

    @property
    def exit_status(self) -> int:
        """1 if a declared flow turns, 3 if that is unclear, otherwise 0."""
        return 1 if self.breaches else 3 if self.unclear else 0


def impact(
    revision: Revision,
    *,
    profile: Profile = CALICO,
    ports: Iterable[PortNumber] = (),
    declared: Mapping[Flow, Verdict] | None = None,
) -> Impact:
    """Work out what a revision changes. `declared` is what a suite declares for the state afterwards.

    The cost depends on the groups of pods and on the classes of ports that policies tell apart, not on the
    number of pairs.
    """
    compared = Ports(revision.before, revision.after, ports)
    states = compare_states(revision, compared, profile)
    before, after = Simulator(revision.before, profile), Simulator(revision.after, profile)
    names = EndNames(states)
    by_ports = Weights([group.size * len(states.ports_of_group[group.index]) for group in states.groups])
    counted = [(found, _flows(found, names.weights, by_ports)) for found in bundles(states)]
    made = (_bundle(found, flows, states, names) for found, flows in counted if flows)
    checked = check(declared, before, after) if declared is not None else None
    return Impact(
        revision,
        tuple(sorted(made, key=lambda one: _rank(one, compared.other))),
        checked,
        tuple(unneeded(states)),
        compared.other,
        sum(states.groups[index].size for index in unpack(states.pods)),
        tuple(
            ref
            for ref, pod in revision.after.pods.items()
            if pod.host_network or revision.before.pods[ref].host_network
        ),
        before,
        after,
    )


def _rank(bundle: ChangeBundle, other: int | None) -> tuple[int, bool, int]:
    """Change and scope, then named ports before `other`, then the number of flows."""
    nameless = bundle.ports == ((other, Protocol.TCP),)
    return _ORDER.index((bundle.change, bundle.scope)), nameless, -bundle.flows


def _flows(bundle: GroupBundle, weights: Weights, by_ports: Weights) -> int:
    """The number of flows of a bundle, without those of a pod to itself.

    `weights` are the sizes of groups, `by_ports` these times the ports on which each group is compared.
    """
    ports = bundle.key.ports
    count, each = (1, by_ports) if ports is None else (len(ports), weights)
    itself = each.total(bundle.sources & bundle.destinations)
    return count * (each.total(bundle.destinations) * weights.total(bundle.sources) - itself)


def _bundle(found: GroupBundle, flows: int, states: States, names: EndNames) -> ChangeBundle:
    key = found.key
    return ChangeBundle(
        key.change,
        key.scope,
        names.set(found.sources),
        names.set(found.destinations),
        key.ports,
        key.family,
        flows,
        _sample(found, states),
    )


def _sample(found: GroupBundle, states: States) -> Flow:
    """The first flow of a bundle, if possible on a named port."""
    source, destination, group = next(_pairs(found, states))
    ports = states.ports_of_group[group] if found.key.ports is None else found.key.ports
    other = (states.ports.other, Protocol.TCP)
    number, protocol = min(ports, key=lambda port: (port == other, port[0], port[1].value))
    via = Via.EXTERNAL if states.outside >> group & 1 else Via.POD
    return Flow(source, destination, number, protocol, found.key.family, via)


def _pairs(found: GroupBundle, states: States) -> Iterator[tuple[End, End, int]]:
    """(source, destination, group of the destination), two members of each group."""
    for to in unpack(found.destinations):
        for group in unpack(found.sources):
            for source in states.groups[group].members[:2]:
                for destination in states.groups[to].members[:2]:
                    if source != destination:
                        yield source, destination, to
