"""A declared matrix to policies: a default deny for each closed namespace, then one policy a subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

from netprobe.generate.asked import MOST_REFUSED, PortNumber, Refusal
from netprobe.generate.closing import Closed, closed
from netprobe.generate.declared import Declared
from netprobe.generate.demand import Demand, NamedPeers, Opening, Openings, demand
from netprobe.generate.proof import Wrong, flows, wrong
from netprobe.generate.rule import Rules, namespace_selectors
from netprobe.generate.space import Kind
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, Protocol, Via
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import Direction, PodPeer, Policy, PolicyRef, PortRange, Rule, Subject
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Profile, Simulator

DNS_PORT = 53
_DNS_RULE = Rule(
    (PodPeer(Selector.of({"k8s-app": "kube-dns"}), Selector.of({NAME_LABEL: "kube-system"})),),
    (PortRange(Protocol.UDP, DNS_PORT, DNS_PORT), PortRange(Protocol.TCP, DNS_PORT, DNS_PORT)),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A policy, what it is for in one line, and the rows that it serves; None stands for the default."""

    policy: Policy
    purpose: str
    rows: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """Policies in the order of namespaces, proved on so many flows; or why there can be none."""

    policies: tuple[Made, ...] = ()
    refusals: tuple[Refusal, ...] = field(default=())
    flows: int = 0


def generate(
    declared: Declared,
    cluster: Cluster,
    *,
    denies_by_default: bool,
    dns: bool = True,
    namespace_label: str | None = None,
    named: NamedPeers = MappingProxyType({}),
    profile: Profile = CALICO,
) -> Generated:
    """The policies under which exactly the declared flows pass, proved by the simulator.

    `declared` must not put pods together that `apart` keeps apart; `cluster` has the pods, and no policies.
    `denies_by_default`: what the declaration does not name is to be denied, so every namespace is closed.
    `dns` opens the cluster's DNS where egress is closed and no pod of the cluster is known to serve it.
    `namespace_label` selects namespaces by that label where it can. `named` says in which directions a row
    names its peers as themselves: a namespace all of whose pods are peers stands for them only elsewhere.

    Costs the crowds times the rows that they need; the pairs of pods only as bits.
    """
    asked, refusals = demand(declared, cluster)
    if refusals:
        return Generated(refusals=refusals)
    shut = closed(asked, everything=denies_by_default)
    labels = {name: dict(space.labels) for name, space in cluster.namespaces.items()}
    rules = Rules(asked.space, namespace_selectors(asked.space.namespaces, labels, namespace_label))
    opens_dns = dns and not _serves_dns(cluster)
    made = tuple(_Writer(asked, shut, rules, opens_dns, named).policies())
    policies = tuple(one.policy for one in made)
    world = Cluster(cluster.namespaces, cluster.pods, policies, cluster.services)
    if failed := list(islice(wrong(asked, world, profile), MOST_REFUSED)):
        simulator = Simulator(world, profile)
        return Generated(refusals=tuple(_unproved(one, simulator) for one in failed))
    return Generated(made, flows=flows(declared))


def _serves_dns(cluster: Cluster) -> bool:
    ports = ((p.number, p.protocol) for pod in cluster.pods.values() for p in pod.ports)
    return (DNS_PORT, Protocol.UDP) in ports


def _unproved(one: Wrong, simulator: Simulator) -> Refusal:
    via = Via.EXTERNAL if isinstance(one.destination, External) else Via.POD
    via = Via.SERVICE if one.source == one.destination else via
    flow = Flow(one.source, one.destination, *one.port, via=via)
    decision = simulator.decide(flow)
    reason = decision.undefined or decision.reason or "no policy that netprobe writes decides it so"
    past = "allowed" if one.declared is Verdict.ALLOW else "denied"
    return Refusal(f"{flow} cannot be made to be {past}: {reason}", (flow,))


class _Writer:
    def __init__(self, asked: Demand, shut: Closed, rules: Rules, dns: bool, named: NamedPeers) -> None:
        self._demand, self._space = asked, asked.space
        self._closed, self._rules, self._dns = shut, rules, dns
        self._openings = {direction: asked.openings(direction, named) for direction in Direction}
        self._calls = asked.calls()

    def policies(self) -> Iterator[Made]:
        for name in sorted({namespace for namespace, _ in self._closed}):
            yield from self._namespace(name)

    def _namespace(self, name: str) -> Iterator[Made]:
        directions = [direction for direction in Direction if (name, direction) in self._closed]
        kinds = self._space.by_namespace[name]
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
            made = self._subject(kind, common, taken)
            if made is not None:
                yield made

    def _common(self, kinds: list[Kind], direction: Direction) -> Openings:
        """What every pod of a namespace may do: a kind of one pod may be its own peer, which says nothing."""
        if len(kinds) < 2:
            return {}
        own = [self._openings[direction].get(kind.bit, {}) for kind in kinds]
        found: dict[PortNumber, Opening] = {}
        for port in own[0].keys() | own[1].keys():
            shared, once, twice, named = -1, 0, 0, 0
            for kind, openings in zip(kinds, own, strict=True):
                opening = openings.get(port, Opening())
                shared &= opening.peers | (1 << kind.bit if len(kind.pods) == 1 else 0)
                twice |= once & opening.peers
                once |= opening.peers
                named |= opening.named
                if not shared:
                    break
            if shared & twice:
                found[port] = Opening(shared & twice, named)
        return found

    def _shared(
        self, name: str, kinds: list[Kind], common: Mapping[Direction, Openings], taken: set[str]
    ) -> Made:
        ports = {number for openings in common.values() for number, _ in openings}
        title = _free("allow-dns" if ports == {DNS_PORT} else "allow-shared", taken)
        rules = {
            direction: self._rules.of(openings, name) for direction, openings in common.items() if openings
        }
        rows = {
            row
            for kind in kinds
            for direction, openings in common.items()
            for row in self._rows(kind, direction, openings)
        }
        policy = _policy(PolicyRef(name, title), EVERYTHING, rules)
        return Made(policy, f"What every pod of {name} may do.", _sorted(rows))

    def _subject(self, kind: Kind, common: Mapping[Direction, Openings], taken: set[str]) -> Made | None:
        rules: dict[Direction, tuple[Rule, ...]] = {}
        rows: list[int | None] = []
        for direction, shared in common.items():
            own = _without(self._openings[direction].get(kind.bit, {}), shared)
            if own:
                rules[direction] = self._rules.of(own, kind.namespace, kind)
                rows += _sorted(self._rows(kind, direction, own))
        if not rules:
            return None
        policy = _policy(
            PolicyRef(kind.namespace, _free(kind.name, taken)), self._rules.selector(kind), rules
        )
        return Made(policy, f"What {kind} may do.", tuple(dict.fromkeys(rows)))

    def _rows(self, kind: Kind, direction: Direction, openings: Openings) -> set[int | None]:
        """The rows that these openings of a kind serve."""
        if direction is Direction.INGRESS:
            return self._demand.callers(kind.bit, openings)
        return {
            row
            for row, port, targets in self._calls.get(kind.bit, ())
            if port in openings and targets & openings[port].peers
        }


def _without(openings: Openings, shared: Openings) -> dict[PortNumber, Opening]:
    left: dict[PortNumber, Opening] = {}
    for port, opening in openings.items():
        peers = opening.peers & ~shared[port].peers if port in shared else opening.peers
        if peers:
            left[port] = Opening(peers, opening.named)
    return left


def _sorted(rows: Iterable[int | None]) -> tuple[int | None, ...]:
    return tuple(sorted(rows, key=lambda row: (row is None, row or 0)))


def _policy(ref: PolicyRef, subjects: Selector, rules: Mapping[Direction, tuple[Rule, ...]]) -> Policy:
    return Policy(ref, Subject(subjects), rules.get(Direction.INGRESS), rules.get(Direction.EGRESS))


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first NAME-2, NAME-3, … that no policy of the namespace has yet."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
