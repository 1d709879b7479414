"""What a change does: the record, most dangerous first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from netprobe.impact.bundle import Kind, Raw, Scope, bundles
from netprobe.impact.crowd import Crowd, Crowds
from netprobe.impact.edit import Edit
from netprobe.impact.needed import Breach, Held, held
from netprobe.impact.outside import outside
from netprobe.impact.port import Asked, Ports
from netprobe.impact.redundant import UNDECLARED, Idle, idle
from netprobe.impact.states import States, families_of, states
from netprobe.model.flow import End, Family, Flow, PodRef, Protocol, Via
from netprobe.model.policy import Direction
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, Profile, Simulator
from netprobe.simulate.bits import Weights, unpack

_ORDER = (
    (Kind.OPENS, Scope.FROM_OUTSIDE),
    (Kind.OPENS, Scope.ACROSS),
    (Kind.OPENS, Scope.TO_OUTSIDE),
    (Kind.OPENS, Scope.WITHIN),
    (Kind.CLOSES, Scope.INSIDE),
    (Kind.CLOSES, Scope.FROM_OUTSIDE),
    (Kind.CLOSES, Scope.TO_OUTSIDE),
    (Kind.REASON, Scope.INSIDE),
    (Kind.REASON, Scope.FROM_OUTSIDE),
    (Kind.REASON, Scope.TO_OUTSIDE),
)
"""Most dangerous first, after what is against the declaration."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Flows that change alike: each of `sources` to each of `destinations` but itself.

    `ports` None: every port that is compared. `flows` counts ends and ports; `sample` is one of them, whose
    decisions `Impact.decisions` gives.
    """

    kind: Kind
    scope: Scope
    sources: Crowd
    destinations: Crowd
    ports: tuple[Asked, ...] | None
    family: Family | None
    flows: int
    sample: Flow


@dataclass(frozen=True, slots=True)
class Impact:
    """What differs between the two states of an edit. `other` is the port that stands for all the others.

    `left_out` are the pods on their node's network, before or after.
    """

    edit: Edit
    bundles: tuple[Bundle, ...]
    held: Held | None
    idle: tuple[Idle, ...]
    other: int | None
    pods: int
    left_out: tuple[PodRef, ...]
    before: Simulator = field(repr=False, compare=False)
    after: Simulator = field(repr=False, compare=False)

    def flows(self, kind: Kind) -> int:
        return sum(bundle.flows for bundle in self.bundles if bundle.kind is kind)

    def decisions(self, flow: Flow) -> tuple[Decision, Decision]:
        """Before and after."""
        return self.before.decide(flow), self.after.decide(flow)

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """Against the declaration for certain."""
        found = self.held.breaches if self.held is not None else ()
        return tuple(breach for breach in found if breach.after.verdict is not Verdict.UNKNOWN)

    @property
    def unclear(self) -> tuple[Breach, ...]:
        found = self.held.breaches if self.held is not None else ()
        return tuple(breach for breach in found if breach.after.verdict is Verdict.UNKNOWN)

    @property
    def exit_status(self) -> int:
        """1 where a declared flow turns, 3 where that cannot be told, else 0."""
        return 1 if self.breaches else 3 if self.unclear else 0


def impact(
    edit: Edit,
    *,
    profile: Profile = CALICO,
    ports: Iterable[Asked] = (),
    declared: Mapping[Flow, Verdict] | None = None,
) -> Impact:
    """Work out what an edit changes. `declared` is the matrix that a suite declares for the new state.

    Costs the groups of pods times the policies' classes of ports, whatever the number of pairs.
    """
    asked = Ports(edit.old, edit.new, ports)
    ends = outside((edit.old, edit.new), families_of(edit.new))
    both = states(edit.old, edit.new, asked, ends, profile)
    before, after = Simulator(edit.old, profile), Simulator(edit.new, profile)
    crowds = Crowds(both)
    by_ports = Weights([group.size * len(both.asked[group.index]) for group in both.groups])
    raws = [(raw, _flows(raw, crowds.weights, by_ports)) for raw in bundles(both, asked)]
    found = (_bundle(raw, flows, both, crowds, asked) for raw, flows in raws if flows)
    told = held(declared, before, after, both) if declared is not None else None
    return Impact(
        edit,
        tuple(sorted(found, key=lambda one: _rank(one, asked.other))),
        told,
        tuple(_idle(edit, both, told)),
        asked.other,
        sum(g.size for g in both.groups if both.ordinary >> g.index & 1),
        tuple(
            ref for ref, pod in edit.new.pods.items() if pod.host_network or edit.old.pods[ref].host_network
        ),
        before,
        after,
    )


def _rank(bundle: Bundle, other: int | None) -> tuple[int, bool, int]:
    """The kind and scope first; then what is about ports that somebody names; then how many flows."""
    nameless = bundle.ports == ((other, Protocol.TCP),)
    return _ORDER.index((bundle.kind, bundle.scope)), nameless, -bundle.flows


def _idle(edit: Edit, both: States, told: Held | None) -> Iterator[Idle]:
    found = idle(both, edit.policies)
    yield from found
    if told is None:
        return
    known = {(one.policy, one.direction, one.rule) for one in found} | {
        (one.policy, direction, None) for one in found if one.rule is None for direction in Direction
    }
    for policy in edit.new.policies:
        if policy.ref not in edit.policies:
            continue
        for direction in Direction:
            for index in range(len(policy.rules(direction) or ())):
                name = (policy.ref, direction, index)
                if name not in told.used and not {name, (policy.ref, direction, None)} & known:
                    yield Idle(policy.ref, UNDECLARED, direction, index)


def _flows(raw: Raw, weights: Weights, by_ports: Weights) -> int:
    """How many flows a bundle holds, without those of a pod to itself.

    `weights` are the sizes of groups, `by_ports` these times the ports that each is asked on.
    """
    ports, each = (1, by_ports) if raw.key.ports is None else (len(raw.key.ports), weights)
    itself = each.total(raw.sources & raw.destinations)
    return ports * (each.total(raw.destinations) * weights.total(raw.sources) - itself)


def _bundle(raw: Raw, flows: int, both: States, crowds: Crowds, asked: Ports) -> Bundle:
    return Bundle(
        raw.key.kind,
        raw.key.scope,
        crowds.crowd(raw.sources),
        crowds.crowd(raw.destinations),
        raw.key.ports,
        raw.key.family,
        flows,
        _sample(raw, both, asked),
    )


def _sample(raw: Raw, both: States, asked: Ports) -> Flow:
    """The first flow of a bundle, on a port that somebody declares where there is one."""
    source, destination, index = next(_pairs(raw, both))
    ports = sorted(both.asked[index] if raw.key.ports is None else raw.key.ports, key=_by_number)
    usual = [port for port in ports if port != (asked.other, Protocol.TCP)] or ports
    via = Via.EXTERNAL if both.outside >> index & 1 else Via.POD
    return Flow(source, destination, *usual[0], raw.key.family, via)


def _by_number(port: Asked) -> tuple[int, str]:
    return port[0], port[1].value


def _pairs(raw: Raw, both: States) -> Iterator[tuple[End, End, int]]:
    for to in unpack(raw.destinations):
        for one in unpack(raw.sources):
            for source in both.groups[one].members[:2]:
                for destination in both.groups[to].members[:2]:
                    if source != destination:
                        yield source, destination, to
