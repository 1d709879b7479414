"""A declared matrix to policies: a default deny for each closed namespace, then one policy a subject."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from netprobe.generate.closing import Closed, closed
from netprobe.generate.demand import Cell, Demand, Kind, Refusal, demand
from netprobe.generate.label import selector
from netprobe.generate.rule import NAME_LABEL, Opening, Rules, namespace_selectors
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, Protocol, ServiceRef
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import Direction, PodPeer, Policy, PolicyRef, PortRange, Rule
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, Evaluation, Profile, Simulator

DNS_PORT = 53
_DNS_RULE = Rule(
    (PodPeer(Selector.of({"k8s-app": "kube-dns"}), Selector.of({NAME_LABEL: "kube-system"})),),
    (PortRange(Protocol.UDP, DNS_PORT, DNS_PORT), PortRange(Protocol.TCP, DNS_PORT, DNS_PORT)),
)


OneByOne: TypeAlias = Callable[[Flow, Direction], bool]


def _never(_: Flow, __: Direction) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Made:
    """A policy, what it is for in one line, and the declared flows that it lets pass."""

    policy: Policy
    purpose: str
    flows: tuple[Flow, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """Policies in the order of namespaces; or the reasons why there can be none."""

    policies: tuple[Made, ...] = ()
    refusals: tuple[Refusal, ...] = field(default=())


def generate(
    declared: Mapping[Flow, Verdict],
    cluster: Cluster,
    *,
    denies_by_default: bool,
    dns: bool = True,
    namespace_label: str | None = None,
    one_by_one: OneByOne = _never,
    profile: Profile = CALICO,
) -> Generated:
    """The policies under which exactly the declared flows pass, proved by the simulator.

    `cluster` has the pods, and no policies. `denies_by_default`: what the matrix does not name is to be
    denied, so every namespace is closed. `dns` opens the cluster's DNS where egress is closed and no pod of
    the cluster is known to serve it. `namespace_label` selects namespaces by that label where it can.
    `one_by_one` says of a flow whether the declaration names its peer, the source for ingress, as itself: a
    namespace all of whose pods are peers stands for them only where it does not.
    """
    asked, refusals = demand(declared, cluster)
    if refusals:
        return Generated(refusals=refusals)
    shut = closed(asked, everything=denies_by_default)
    labels = {name: dict(space.labels) for name, space in cluster.namespaces.items()}
    rules = Rules(asked, namespace_selectors(labels, labels, namespace_label))
    opens_dns = dns and not _serves_dns(cluster)
    made = tuple(_Writer(asked, shut, rules, opens_dns, one_by_one).policies())
    wrong = prove(declared, cluster, (one.policy for one in made), profile)
    if wrong:
        return Generated(refusals=tuple(_unproved(flow, declared[flow], d) for flow, d in wrong))
    return Generated(made)


def prove(
    declared: Mapping[Flow, Verdict], cluster: Cluster, policies: Iterable[Policy], profile: Profile = CALICO
) -> list[tuple[Flow, Decision]]:
    """The declared flows that these policies do not decide as declared."""
    world = Cluster(cluster.namespaces, cluster.pods, tuple(policies), cluster.services)
    hosts = dict.fromkeys(
        end for flow in declared for end in (flow.source, flow.destination) if isinstance(end, External)
    )
    evaluation = Evaluation(world, profile, hosts)
    doubtful = [flow for flow, verdict in declared.items() if _looked_up(evaluation, flow) is not verdict]
    simulator = Simulator(world, profile)
    decided = ((flow, simulator.decide(flow)) for flow in doubtful)
    return [(flow, decision) for flow, decision in decided if decision.verdict is not declared[flow]]


def _looked_up(evaluation: Evaluation, flow: Flow) -> Verdict | None:
    """What the tables of all pairs say; None for what only a decision of its own can tell."""
    source, destination = flow.source, flow.destination
    if isinstance(source, ServiceRef) or isinstance(destination, ServiceRef):
        return None
    if isinstance(source, External) and isinstance(destination, External):
        return None
    return evaluation.verdict(source, destination, flow.port, flow.protocol, flow.family)


def _serves_dns(cluster: Cluster) -> bool:
    ports = ((p.number, p.protocol) for pod in cluster.pods.values() for p in pod.ports)
    return (DNS_PORT, Protocol.UDP) in ports


def _unproved(flow: Flow, verdict: Verdict, decision: Decision) -> Refusal:
    reason = decision.undefined or decision.reason or "no policy that netprobe writes decides it so"
    return Refusal(f"{flow} cannot be made to be {_past(verdict)}: {reason}", (flow,))


def _past(verdict: Verdict) -> str:
    return "allowed" if verdict is Verdict.ALLOW else "denied"


class _Writer:
    def __init__(self, asked: Demand, shut: Closed, rules: Rules, dns: bool, one_by_one: OneByOne) -> None:
        self._demand, self._closed, self._rules, self._dns = asked, shut, rules, dns
        self._one_by_one = one_by_one
        self._openings: dict[tuple[Kind, Direction], dict[Opening, Cell]] = {}
        for cell, verdict in asked.cells.items():
            if verdict is Verdict.ALLOW:
                self._open(cell)

    def _open(self, cell: Cell) -> None:
        for subject, peer, direction in (
            (cell.destination, cell.source, Direction.INGRESS),
            (cell.source, cell.destination, Direction.EGRESS),
        ):
            if isinstance(subject, Kind) and (subject.namespace, direction) in self._closed:
                self._openings.setdefault((subject, direction), {})[peer, cell.port] = cell

    def policies(self) -> Iterator[Made]:
        for name in sorted({namespace for namespace, _ in self._closed}):
            yield from self._namespace(name)

    def _namespace(self, name: str) -> Iterator[Made]:
        directions = [direction for direction in Direction if (name, direction) in self._closed]
        kinds = self._demand.in_namespace(name)
        words = " and ".join(direction.value for direction in directions)
        deny = _policy(PolicyRef(name, "default-deny"), EVERYTHING, dict.fromkeys(directions, ()))
        yield Made(deny, f"Closes {name} for {words}; the other policies open what is declared.")
        taken = {"default-deny"}
        if self._dns and Direction.EGRESS in directions:
            taken.add("allow-dns")
            dns = _policy(PolicyRef(name, "allow-dns"), EVERYTHING, {Direction.EGRESS: (_DNS_RULE,)})
            yield Made(dns, f"Every pod of {name} may look up names in the cluster's DNS.")
        common = {direction: self._common(kinds, direction) for direction in directions}
        if any(common.values()):
            yield self._shared(name, kinds, common, taken)
        for kind in sorted(kinds, key=lambda one: one.name):
            made = self._subject(kind, kinds, common, taken)
            if made is not None:
                yield made

    def _common(self, kinds: list[Kind], direction: Direction) -> frozenset[Opening]:
        """What every pod of a namespace may do: a kind of one pod may be its own peer, which says nothing."""
        if len(kinds) < 2:
            return frozenset()
        own = [self._openings.get((kind, direction), {}) for kind in kinds]
        everything = Counter(opening for found in own for opening in found)
        return frozenset(
            opening
            for opening, number in everything.items()
            if number > 1
            and all(
                opening in found or (opening[0] == kind and len(kind.pods) == 1)
                for kind, found in zip(kinds, own, strict=True)
            )
        )

    def _shared(
        self, name: str, kinds: list[Kind], common: Mapping[Direction, frozenset[Opening]], taken: set[str]
    ) -> Made:
        ports = {port for openings in common.values() for _, (port, _) in openings}
        title = _free("allow-dns" if ports == {DNS_PORT} else "allow-shared", taken)
        flows = [
            flow
            for kind in kinds
            for direction, openings in common.items()
            for flow in self._flows(kind, direction, openings)
        ]
        rules = {
            direction: self._rules.of(self._wide(kinds, direction, openings), name)
            for direction, openings in common.items()
            if openings
        }
        policy = _policy(PolicyRef(name, title), EVERYTHING, rules)
        return Made(policy, f"What every pod of {name} may do.", tuple(dict.fromkeys(flows)))

    def _subject(
        self, kind: Kind, kinds: list[Kind], common: Mapping[Direction, frozenset[Opening]], taken: set[str]
    ) -> Made | None:
        rules: dict[Direction, tuple[Rule, ...]] = {}
        flows: list[Flow] = []
        for direction, shared in common.items():
            own = {o for o in self._openings.get((kind, direction), {}) if o not in shared}
            if own:
                rules[direction] = self._rules.of(self._wide([kind], direction, own), kind.namespace, kind)
                flows += self._flows(kind, direction, own)
        if not rules:
            return None
        ref = PolicyRef(kind.namespace, _free(kind.name, taken))
        return Made(_policy(ref, selector(kind, kinds), rules), f"What {kind} may do.", tuple(flows))

    def _wide(
        self, kinds: Iterable[Kind], direction: Direction, openings: Iterable[Opening]
    ) -> dict[Opening, bool]:
        """For each opening whether no flow of it is declared peer by peer."""
        wide = dict.fromkeys(openings, True)
        for kind in kinds:
            for opening, cell in self._openings.get((kind, direction), {}).items():
                if opening in wide and any(self._one_by_one(f, direction) for f in self._demand.flows[cell]):
                    wide[opening] = False
        return wide

    def _flows(self, kind: Kind, direction: Direction, openings: Iterable[Opening]) -> Iterator[Flow]:
        found = self._openings.get((kind, direction), {})
        for opening, cell in found.items():
            if opening in openings:
                yield from self._demand.flows[cell]


def _policy(ref: PolicyRef, subjects: Selector, rules: Mapping[Direction, tuple[Rule, ...]]) -> Policy:
    return Policy(ref, subjects, rules.get(Direction.INGRESS), rules.get(Direction.EGRESS))


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first NAME-2, NAME-3, … that no policy of the namespace has yet."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
