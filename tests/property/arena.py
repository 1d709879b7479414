"""Drawn clusters brought up on a real one: what its packets do, held against what the simulator says.

A world is a few namespaces and pods, drawn from a seed, on a Workbench of its own. It goes through rounds:
new policies, or other labels on its pods and namespaces. After each round every pair of ends is probed on
every port in every family, and each cell is compared. Policies go over the wire as people spell them:
defaults left out or written, lists absent or empty, sections that policyTypes leaves out.

A difference is shrunk as far as that is cheap: policies that it does not need are taken away, one by one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from netprobe.model.cluster import Cluster
from netprobe.model.flow import ContainerPort, External, Flow, Pod, Protocol
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object
from netprobe.model.observation import Observation
from netprobe.model.policy import Policy
from netprobe.model.verdict import Decision, Verdict
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.policies.networkpolicy import dump_policy
from netprobe.probe import Fixture, OutsideHost, Pace, Prober, Workbench
from netprobe.probe.api import ClusterAPI
from netprobe.simulate import CALICO, Profile, Simulator
from tests.property.strategies import (
    LAB,
    NAMESPACE_LABELS,
    OUTSIDE,
    POD_LABELS,
    PORTS,
    Shape,
    all_flows,
    random_labels,
    random_pods,
    random_policies,
    seeded,
)

LISTENING = tuple(ContainerPort(port, protocol) for protocol in LAB.protocols for port in PORTS)
SPARE = 12  # changes of a world that are kept for shrinking: one try each
POLICY_PROTOCOLS = tuple(Protocol)  # a policy that speaks of SCTP alone isolates all the same


@dataclass(frozen=True, slots=True)
class Terms:
    """How a world is drawn, and probed on `ports`. `lab`: the cluster is one and can make hosts outside."""

    shape: Shape = LAB
    rounds: int = 4
    ports: tuple[int, ...] = PORTS
    lab: bool = True
    profile: Profile = CALICO

    @property
    def outside(self) -> tuple[External, ...]:
        families = self.shape.families if self.lab else ()
        return tuple(External(address) for address in OUTSIDE if address.version in families)


@dataclass(slots=True)
class Tally:
    """What was compared: cells by what was seen. `unknown` holds some reasons."""

    worlds: int = 0
    rounds: int = 0
    cells: Counter[Verdict] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        words = ", ".join(f"{number} {verdict.value}" for verdict, number in self.cells.items())
        return f"{self.worlds} worlds, {self.rounds} rounds, cells: {words or 'none'}"


class DifferenceError(AssertionError):
    """Packets and simulator disagree; the text is what is needed to see it again."""


async def play(cluster: ClusterAPI, seed: int, terms: Terms, tally: Tally) -> None:
    """Draw the world of a seed, bring it up, compare it round by round; DifferenceError."""
    world = World(seeded(seed), terms)
    bench = Workbench(cluster, world.fixture, changes=terms.rounds + SPARE, lab=terms.lab)
    pace = Pace().on_lab() if terms.lab else Pace()
    async with bench:
        world.settle(bench)
        flows = world.flows()
        async with Prober(cluster, bench.stations, flows, canaries=bench.canaries, pace=pace) as prober:
            enforcement = await prober.baseline()
            assert enforcement.enforcing, enforcement.evidence
            for number in range(terms.rounds):
                found = await world.round(bench, prober, number, tally)
                if found:
                    tried = await world.shrink(bench, prober, found)
                    raise DifferenceError(world.told(seed, number, found, tried))
                tally.rounds += 1
    tally.worlds += 1


Found = Mapping[Flow, tuple[Decision, Observation]]


class World:
    """The cluster of one seed as it stands: `policies` are API objects by namespace and name."""

    def __init__(self, rng: Random, terms: Terms) -> None:
        self.terms = terms
        self._rng = rng
        self.cluster = _listening(random_pods(rng, terms.shape))
        self.policies: dict[tuple[str, str], Object] = {}

    @property
    def fixture(self) -> Fixture:
        hosts = tuple(OutsideHost(external, LISTENING) for external in self.terms.outside)
        pods = tuple(replace(pod, node=None) for pod in self.cluster.pods.values())
        return Fixture(tuple(self.cluster.namespaces.values()), pods, hosts)

    def settle(self, bench: Workbench) -> None:
        """Take over the addresses and nodes that the pods were given."""
        pods = {}
        for ref, pod in self.cluster.pods.items():
            station = bench.stations[ref]
            pods[ref] = replace(pod, addresses=station.addresses, node=station.node, node_addresses=())
        self.cluster = replace(self.cluster, pods=pods)

    def flows(self) -> tuple[Flow, ...]:
        known = {*self.cluster.pods, *self.terms.outside}
        asked = all_flows(self.cluster, self.terms.ports, self.terms.shape.protocols)
        return tuple(flow for flow in asked if flow.source in known and flow.destination in known)

    async def round(self, bench: Workbench, prober: Prober, number: int, tally: Tally) -> Found:
        """One change, probed and compared; the cells that differ."""
        relabel = number > 0 and self._rng.random() < 0.3

        async def change() -> None:
            await (self._relabel(bench) if relabel else self._legislate(bench))

        observed = await prober.observe(change)
        for cell in observed.matrix.values():
            tally.cells[cell.verdict] += 1
            if cell.verdict is Verdict.UNKNOWN:
                tally.unknown[cell.reason or ""] += 1
        return self._differing(observed.matrix)

    async def shrink(self, bench: Workbench, prober: Prober, found: Found) -> int:
        """Take away policies without which a cell still differs; how many tries that took."""
        tried = 0
        for key in list(self.policies)[:SPARE]:
            without = self.policies[key]

            async def change(key: tuple[str, str] = key) -> None:
                await bench.delete("NetworkPolicy", key[1], key[0])

            del self.policies[key]
            observed = await prober.observe(change)
            tried += 1
            still = self._differing(observed.matrix)
            if not found.keys() & still.keys():
                self.policies[key] = without
                await bench.apply(without)
        return tried

    def told(self, seed: int, number: int, found: Found, tried: int) -> str:
        """The seed, the cells and the cluster, as manifests that the other tools read."""
        cells = [
            f"{flow} (IPv{flow.family}): simulated {decision.verdict.value}, seen {seen.verdict.value} "
            f"({seen.outcome.value}, {seen.attempts} tries)"
            for flow, (decision, seen) in list(found.items())[:12]
        ]
        pods = [
            f"{pod.ref} on {pod.node} {dict(pod.labels)} {', '.join(map(str, pod.addresses))} "
            f"{[f'{p.name}={p.number}/{p.protocol.value}' for p in pod.ports if p.name]}"
            for pod in self.cluster.pods.values()
        ]
        namespaces = [f"{each.name} {dict(each.labels)}" for each in self.cluster.namespaces.values()]
        policies = [json.dumps(each) for each in self.policies.values()]
        return "\n".join([
            f"seed {seed}, round {number}: {len(found)} cells differ (NETPROBE_FUZZ_SEED={seed} replays it)",
            *cells,
            *namespaces,
            *pods,
            f"policies, {tried} tries to take some away:",
            *policies,
        ])  # fmt: skip

    def _differing(self, matrix: Mapping[Flow, Observation]) -> Found:
        parsed = tuple(NETWORK_POLICY.policy(obj) for obj in self.policies.values())
        simulator = Simulator(replace(self.cluster, policies=parsed), self.terms.profile)
        decided = {flow: simulator.decide(flow) for flow in matrix}
        return {
            flow: (decided[flow], cell)
            for flow, cell in matrix.items()
            if cell.verdict is not Verdict.UNKNOWN
            and decided[flow].undefined is None
            and decided[flow].verdict is not cell.verdict
        }

    async def _legislate(self, bench: Workbench) -> None:
        """Other policies in the place of those there are; the same name may come back with another text."""
        shape = replace(self.terms.shape, protocols=POLICY_PROTOCOLS)
        drawn = random_policies(self._rng, self.cluster, shape)
        wanted = {(p.ref.namespace, p.ref.name): spelled(self._rng, p) for p in drawn}
        for namespace, name in self.policies.keys() - wanted.keys():
            await bench.delete("NetworkPolicy", name, namespace)
        for obj in wanted.values():
            await bench.apply(obj)
        self.policies = wanted

    async def _relabel(self, bench: Workbench) -> None:
        """Other labels on a pod and on a namespace."""
        ref = self._rng.choice(list(self.cluster.pods))
        pod = self.cluster.pods[ref]
        pod_labels = random_labels(self._rng, POD_LABELS)
        await bench.label(ref, _patch(pod.labels, pod_labels))
        name = self._rng.choice(list(self.cluster.namespaces))
        namespace = self.cluster.namespaces[name]
        labels = {**random_labels(self._rng, NAMESPACE_LABELS), NAME_LABEL: name}
        await bench.label(name, _patch(namespace.labels, labels))
        self.cluster = replace(
            self.cluster,
            pods={**self.cluster.pods, ref: replace(pod, labels=pod_labels)},
            namespaces={**self.cluster.namespaces, name: replace(namespace, labels=labels)},
        )


def _listening(cluster: Cluster) -> Cluster:
    """Every pod serves every port that is probed; those that it had names for keep them."""

    def all_ports(pod: Pod) -> tuple[ContainerPort, ...]:
        named = {(port.number, port.protocol) for port in pod.ports}
        return (*pod.ports, *(one for one in LISTENING if (one.number, one.protocol) not in named))

    pods = {ref: replace(pod, ports=all_ports(pod), ready=True) for ref, pod in cluster.pods.items()}
    return replace(cluster, pods=pods)


def _patch(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    return {**dict.fromkeys(old.keys() - new.keys()), **new}


def spelled(rng: Random, policy: Policy) -> Object:
    """The policy as somebody may write it, often with the same meaning, sometimes with another.

    Its readers fill in the defaults: `NETWORK_POLICY.policy` for the simulator, the server for the cluster.
    """
    obj = dump_policy(policy)
    spec: dict[str, Any] = obj["spec"]
    if rng.random() < 0.3:
        del spec["policyTypes"]
    elif rng.random() < 0.2:  # a section that policyTypes leaves out has no effect
        spec["policyTypes"] = rng.choice((["Ingress"], ["Egress"], ["Ingress", "Ingress"], []))
    if not spec["podSelector"] and rng.random() < 0.3:
        del spec["podSelector"]
    for section in ("ingress", "egress"):
        if spec.get(section) == [] and rng.random() < 0.5:
            del spec[section]
    for section, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(section) or ():
            _spell(rng, rule, peers)
    return obj


def _spell(rng: Random, rule: dict[str, Any], peers: str) -> None:
    for key in (peers, "ports"):
        if key not in rule and rng.random() < 0.3:
            rule[key] = []
    for port in rule.get("ports") or ():
        if port["protocol"] == "TCP" and rng.random() < 0.5:
            del port["protocol"]
