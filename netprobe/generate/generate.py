"""From a suite to policies: read the demand, choose what to close, write policies, prove them.

The policies become the text of files, each with a comment that names the rows that it serves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from netprobe.errors import InputError, NetprobeError, Problem
from netprobe.generate.declared import Declared, declared_crowds
from netprobe.generate.demand import (
    Closed,
    Demand,
    NamedPeers,
    PortNumber,
    Refusal,
    TargetDemand,
)
from netprobe.generate.policies import DNS_PORT, GeneratedPolicy, PolicyWriter
from netprobe.generate.proof import Failure, failures, flows
from netprobe.generate.reader import DemandReader, conflicts
from netprobe.generate.rules import RuleMaker, namespace_selectors
from netprobe.generate.text import file_name, manifest
from netprobe.manifests import Reader, parse_policy
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Protocol, Via, via
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Profile, Simulator
from netprobe.suite import ExpectationRow, Suite
from netprobe.suite.ends import Everybody, PodPattern

MOST_REFUSED = 20
"""Of each kind of reason; more are not useful."""

NamespaceSide: TypeAlias = tuple[str, Direction]
"""A namespace and a direction in which it can be closed."""


@dataclass(frozen=True, slots=True)
class Generated:
    """Policies in the order of namespaces, and the number of flows they are proved on; or why not."""

    policies: tuple[GeneratedPolicy, ...] = ()
    refusals: tuple[Refusal, ...] = ()
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

    `cluster` has the pods and no policies.
    `denies_by_default`: what the declaration does not name is denied, so every namespace is closed.
    `dns` allows the cluster's DNS if egress is closed, unless a pod of the cluster serves DNS.
    `namespace_label` selects namespaces by that label if it tells them apart. `named`: see NamedPeers.

    The cost depends on the crowds and the rows that they need, not on the pairs of pods.
    """
    demand, refusals = read_demand(declared, cluster)
    if refusals:
        return Generated(refusals=refusals)
    closed = choose_closed(demand, everything=denies_by_default)
    labels = {name: dict(space.labels) for name, space in cluster.namespaces.items()}
    rules = RuleMaker(demand.space, namespace_selectors(demand.space.namespaces, labels, namespace_label))
    opens_dns = dns and not _serves_dns(cluster)
    made = tuple(PolicyWriter(demand, closed, rules, opens_dns, named).policies())
    policies = tuple(one.policy for one in made)
    world = Cluster(cluster.namespaces, cluster.pods, policies, cluster.services)
    if failed := list(islice(failures(demand, world, profile), MOST_REFUSED)):
        simulator = Simulator(world, profile)
        return Generated(refusals=tuple(_unproved(one, simulator) for one in failed))
    return Generated(made, flows=flows(declared))


def _serves_dns(cluster: Cluster) -> bool:
    ports = ((p.number, p.protocol) for pod in cluster.pods.values() for p in pod.ports)
    return (DNS_PORT, Protocol.UDP) in ports


def _unproved(one: Failure, simulator: Simulator) -> Refusal:
    number, protocol = one.port
    way = Via.SERVICE if one.source == one.destination else via(one.destination)
    flow = Flow(one.source, one.destination, number, protocol, via=way)
    decision = simulator.decide(flow)
    reason = (
        decision.undefined or decision.reason or "none of the policies that netprobe writes has that effect"
    )
    past = "allowed" if one.declared is Verdict.ALLOW else "denied"
    return Refusal(f"{flow} cannot be {past}: {reason}", (flow,))


def read_demand(declared: Declared, cluster: Cluster) -> tuple[Demand, tuple[Refusal, ...]]:
    """The demand of a declared matrix, and the first reasons why no policies can meet it."""
    reader = DemandReader(declared, cluster)
    by_class: dict[PortNumber, dict[int, TargetDemand]] = {}
    for port, targets in reader.demands.items():
        of_port = by_class[port] = {}
        for target, demanded in targets.items():
            known = of_port.setdefault(reader.space.bit(target), TargetDemand())
            for part in demanded.rows:
                sources = reader.space.known(part.sources)
                known.add(replace(part, sources=sources))
    refusals = (*reader.refusals[:MOST_REFUSED], *islice(conflicts(by_class, reader), MOST_REFUSED))
    return Demand(reader.space, reader.demands, by_class), refusals


def choose_closed(demand: Demand, *, everything: bool) -> Closed:
    """Which namespaces get a default deny, and in which direction.

    If everything that is not declared is denied, all of them in both directions: each allowed flow is then
    opened at both ends. Otherwise as few as possible: a denied flow has to be stopped at one end.
    """
    if everything:
        return frozenset((name, direction) for name in demand.space.namespaces for direction in Direction)
    left = demand.between(Verdict.DENY)
    opened = _by_side(demand.between(Verdict.ALLOW))
    chosen: set[NamespaceSide] = set()
    while found := _by_side(left):
        side = min(found, key=lambda one: (-found[one], opened[one], one[1] is Direction.EGRESS, one[0]))
        chosen.add(side)
        left = Counter({ends: number for ends, number in left.items() if side not in _sides(*ends)})
    return frozenset(chosen)


def _by_side(pairs: Counter[tuple[str | None, str | None]]) -> Counter[NamespaceSide]:
    found: Counter[NamespaceSide] = Counter()
    for ends, number in pairs.items():
        for side in _sides(*ends):
            found[side] += number
    return found


def _sides(source: str | None, destination: str | None) -> list[NamespaceSide]:
    """Where a flow between two namespaces can be stopped."""
    ends = ((destination, Direction.INGRESS), (source, Direction.EGRESS))
    return [(name, direction) for name, direction in ends if name is not None]


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Manifests by the names of their files, and the number of declared flows on which they are proved."""

    texts: Mapping[str, str]
    flows: int


def generate_for(
    suite: Suite, cluster: Cluster, profile: Profile, *, dns: bool, namespace_label: str | None
) -> PolicyFiles:
    """The policies under which exactly the declared flows of a suite pass.

    `cluster` has the pods and no policies. InputError, at the rows, if no policies can do that.
    """
    expected = suite.expectation
    found = generate(
        declared_crowds(expected, cluster),
        cluster,
        denies_by_default=expected.default is Verdict.DENY,
        dns=dns,
        namespace_label=namespace_label,
        named={number: _named(row) for number, row in enumerate(expected.rows)},
        profile=profile,
    )
    if found.refusals:
        raise InputError(dict.fromkeys(_problem(one, suite) for one in found.refusals))
    rows = [_text(row) for row in expected.rows]
    texts = {file_name(made): manifest(made, rows, Path(suite.file).name) for made in found.policies}
    _check(texts, found)
    return PolicyFiles(texts, found.flows)


def _named(row: ExpectationRow) -> frozenset[Direction]:
    """The directions in which a row names its peers one by one, and not as "ns/*" or "*"."""
    ends = ((Direction.INGRESS, row.source), (Direction.EGRESS, row.destination))
    return frozenset(
        direction
        for direction, peers in ends
        if not any(isinstance(p, Everybody) or (isinstance(p, PodPattern) and p.name == "*") for p in peers)
    )


def _text(row: ExpectationRow) -> str:
    source, destination = (", ".join(map(str, end)) for end in (row.source, row.destination))
    ports = ", ".join(map(str, row.ports)) if row.ports is not None else "every declared port"
    return f"{source} -> {destination}: {ports}"


def _problem(refusal: Refusal, suite: Suite) -> Problem:
    """The refusal as a problem of the row of its first flow; the other rows are named in the text."""
    rows = [suite.expectation.rows[number] if number is not None else None for number in refusal.rows]
    sentences = [refusal.reason]
    for flow, row in zip(refusal.flows[1:], rows[1:], strict=False):
        where = f"declared at {row.place}" if row else "declared by the default"
        sentences.append(f"{flow} is {where}")
    first = rows[0] if rows else None
    if first is None:
        return Problem(suite.file, "expect.default", "; ".join(sentences))
    return Problem(first.place, first.path, "; ".join(sentences))


def _check(texts: Mapping[str, str], found: Generated) -> None:
    """Read the texts again: they must say what was proved."""
    reader = Reader()
    read = [parse_policy(document) for name, text in texts.items() for document in reader.text(name, text)]
    if reader.problems or read != [made.policy for made in found.policies]:
        raise NetprobeError("a bug in netprobe: the manifests differ from the policies that were proved")
