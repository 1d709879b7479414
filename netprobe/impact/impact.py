"""What a revision does: the flows that open and close, most dangerous first, and what it breaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from netprobe.impact.difference import FlowChange, GroupBundle, Scope, States, bundles, compare_states
from netprobe.impact.revision import Revision
from netprobe.impact.unneeded import Unneeded, unneeded
from netprobe.model.flow import End, Family, Flow, PodRef, Protocol, Via
from netprobe.model.text import listed
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, EndGroup, Profile, Simulator
from netprobe.simulate.bits import Weights, unpack
from netprobe.simulate.compared import PortNumber, Ports

MOST_NAMED = 3
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
class Breach:
    """Flows from one workload to another that are as declared before the revision and not after it.

    `before` and `after` are the decisions on the first of them. `after` is UNKNOWN if it concerns only
    some of the backends of a Service.
    """

    flows: tuple[Flow, ...]
    declared: Verdict
    before: Decision
    after: Decision


@dataclass(frozen=True, slots=True)
class DeclarationCheck:
    """What a revision does to the declared flows.

    `repaired` counts flows that are as declared only afterwards, `unmet` those that are not in either state.
    """

    breaches: tuple[Breach, ...] = ()
    repaired: int = 0
    unmet: int = 0


class EndSet:
    """Some pods, or some addresses outside. The names are worked out when they are used."""

    def __init__(self, names: EndNames, bits: int) -> None:
        self._names, self._bits = names, bits

    @cached_property
    def size(self) -> int:
        return self._names.weights.total(self._bits)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All of them, as "shop/web", "shop/api (2 of 3)", "shop/*", "10.0.0.0/8"."""
        return tuple(self._names.of(self._bits))

    def __str__(self) -> str:
        """ "shop/web", "shop/* and data/pg (9 pods)", "all 40 pods", "all pods but shop/web (37 pods)"."""
        states = self._names.states
        if self._bits & states.outside:
            return "every address outside" if self._bits == states.outside else listed(self.names)
        others = states.pods & ~self._bits
        if not others and self.size > 1:
            return f"all {self.size:,} pods"
        if self.size == 1:
            return self.names[0]
        if self._names.weights.total(others) < self.size:
            missing = tuple(self._names.of(others))
            if len(missing) <= MOST_NAMED < len(self.names):
                return f"all pods but {listed(missing)} ({self.size:,} pods)"
        return f"{listed(self.names)} ({self.size:,} pods)"


class EndNames:
    def __init__(self, states: States) -> None:
        self.states = states
        self.weights = Weights([group.size for group in states.groups])
        self._made: dict[int, EndSet] = {}
        self._in_group = [self._count(group) for group in states.groups]
        self._whole: dict[str | None, Counter[str]] = self._by_namespace(states.pods)

    def set(self, bits: int) -> EndSet:
        return self._made.setdefault(bits, EndSet(self, bits))

    def of(self, bits: int) -> Iterator[str]:
        """Namespaces that are complete, otherwise workloads, in the order of the cluster."""
        for namespace, workloads in self._by_namespace(bits).items():
            if namespace is None:
                yield from workloads
                continue
            whole = self._whole[namespace]
            if len(workloads) > 1 and workloads == whole:
                yield f"{namespace}/*"
                continue
            for name, pods in workloads.items():
                yield f"{name} ({pods} of {whole[name]})" if pods < whole[name] else name

    def _by_namespace(self, bits: int) -> dict[str | None, Counter[str]]:
        found: dict[str | None, Counter[str]] = defaultdict(Counter)
        for index in unpack(bits):
            found[self.states.groups[index].namespace].update(self._in_group[index])
        return found

    def _count(self, group: EndGroup) -> Counter[str]:
        """The workloads of a group with the number of their pods in it; an address outside by its name."""
        pods = self.states.after.cluster.pods
        found: Counter[str] = Counter()
        for end in group.members:
            workload = pods[end].workload if isinstance(end, PodRef) else None
            found[f"{group.namespace}/{workload.partition('/')[2]}" if workload else str(end)] += 1
        return found


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
        """The decisions on a flow before and after."""
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
        """1 if a declared flow breaks, 3 if that is unclear, otherwise 0."""
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


def check(declared: Mapping[Flow, Verdict], before: Simulator, after: Simulator) -> DeclarationCheck:
    """Decide all declared flows in both states. Flows that the API leaves undefined are not checked."""
    found: dict[tuple[object, ...], list[tuple[Flow, Verdict, Decision, Decision]]] = {}
    repaired = unmet = 0
    for each, verdict in declared.items():
        for flow in _by_family(after, each):
            old, new = before.decide(flow), after.decide(flow)
            if new.undefined or old.undefined or new.verdict is verdict:
                repaired += new.verdict is verdict and old.verdict is not verdict
            elif old.verdict is new.verdict:
                unmet += 1
            else:
                ends = (_workload(after, end) for end in (flow.source, flow.destination))
                key = (*ends, flow.port, flow.protocol, flow.family, flow.via, verdict, new.verdict)
                found.setdefault(key, []).append((flow, verdict, old, new))
    breaches = [Breach(tuple(flow for flow, *_ in cells), *cells[0][1:]) for cells in found.values()]
    breaches.sort(key=lambda one: (one.after.verdict is Verdict.UNKNOWN, one.declared is Verdict.DENY))
    return DeclarationCheck(tuple(breaches), repaired, unmet)


def _by_family(simulator: Simulator, flow: Flow) -> Iterator[Flow]:
    """The flow in each family that its ends have in common: policies may treat them differently."""
    families = simulator.families(flow.source, flow.destination)
    if flow.family is not None or len(families) < 2:
        yield flow
    else:
        yield from (replace(flow, family=family) for family in families)


def _workload(simulator: Simulator, end: End) -> object:
    pod = simulator.cluster.pods[end] if isinstance(end, PodRef) else None
    return (pod.ref.namespace, pod.workload) if pod is not None and pod.workload else end
