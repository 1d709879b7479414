"""The plan of an in-place run: the pods that represent all others, its rows, and the shadow pods."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, Family, Flow, Pod, PodRef, Protocol, ServiceRef, Via
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe.guest_workbench import NEVER_COPIED, GuestPlan, Shadow, shadow_labels
from netprobe.probe.run_objects import DEFAULT_ACCOUNT
from netprobe.probe.surroundings import PodState
from netprobe.run.moment import rows_by_family
from netprobe.simulate import Profile, Simulator, evaluate
from netprobe.simulate.vocabulary import Vocabulary
from netprobe.suite import Expectation

Merit = Callable[[Pod], int]
"""How suitable a pod is as a destination: more is better."""


@dataclass(frozen=True, slots=True)
class PodKind:
    """Pods of one namespace that no policy and no row tells apart, with the same ports.

    `first` represents all. `second`, if there are two or more, is only used for flows between pods of the
    kind.
    """

    members: tuple[PodRef, ...]
    first: PodRef
    second: PodRef | None


@dataclass(frozen=True)
class Cover:
    """The pods that represent all pods of a cluster."""

    kinds: tuple[PodKind, ...]
    sampled: tuple[PodRef, ...]
    seed: int

    @cached_property
    def _kind(self) -> dict[PodRef, PodKind]:
        return {ref: kind for kind in self.kinds for ref in kind.members}

    @cached_property
    def _standing(self) -> frozenset[PodRef]:
        return frozenset((*(kind.first for kind in self.kinds), *self.sampled))

    def reduced(self, cluster: Cluster) -> Cluster:
        """The cluster with no other pods than those that may be an end of a row."""
        seconds = (kind.second for kind in self.kinds if kind.second is not None)
        kept = {*self._standing, *seconds}
        return replace(cluster, pods={ref: pod for ref, pod in cluster.pods.items() if ref in kept})

    def keeps(self, flow: Flow) -> bool:
        """Whether a flow of the reduced cluster is one of those to be probed.

        Those are between pods that represent others or were drawn; within a kind also from the first to the
        second.
        """
        source, destination = flow.source, flow.destination
        if isinstance(source, PodRef) and source not in self._standing:
            return False
        if not isinstance(destination, PodRef) or destination in self._standing:
            return True
        kind = self._kind[destination]
        return kind.first == source and kind.second == destination

    def stands_for(self, ref: PodRef) -> tuple[PodRef, ...]:
        """The pods that a row with this end represents; a pod that was drawn represents itself."""
        kind = self._kind[ref]
        return kind.members if ref in {kind.first, kind.second} else (ref,)

    def represented(self, end: End) -> tuple[End, ...]:
        """The same for any end."""
        return self.stands_for(end) if isinstance(end, PodRef) and end in self._kind else (end,)

    def sentence(self, ends: Iterable[object]) -> str:
        """What rows with these ends cover."""
        probed = {ref for ref in ends if isinstance(ref, PodRef)}
        kinds = [kind for kind in self.kinds if not probed.isdisjoint(kind.members)]
        named = sum(len(kind.members) for kind in kinds)
        text = f"{len(probed)} of the {named} pods that the rows name"
        if len(probed) < named:
            text += "; policies and rows treat the others alike"
        if self.sampled:
            drawn = probed.intersection(self.sampled)
            text += f"; {len(drawn)} of the {len(probed)} were drawn at random (--seed {self.seed})"
        return text


def cover(
    cluster: Cluster,
    expectation: Expectation | None,
    profile: Profile,
    merit: Merit,
    *,
    sample: int = 0,
    seed: int = 0,
) -> Cover:
    """Choose the pods to probe. Linear in the pods; the same cluster and seed give the same choice."""
    rows = expectation.rows if expectation is not None else ()
    patterns = list(dict.fromkeys(pattern for row in rows for pattern in (*row.source, *row.destination)))
    evaluation = evaluate(cluster, profile)
    found: dict[object, list[Pod]] = defaultdict(list)
    for pod in cluster.pods.values():
        marks = tuple(pattern.matches_pod(pod) for pattern in patterns)
        found[evaluation.group_of(pod.ref).index, pod.ports, marks].append(pod)
    kinds = []
    for pods in found.values():
        best = sorted(pods, key=merit, reverse=True)  # stable: the first in the cluster's order among equals
        members = tuple(map(attrgetter("ref"), pods))
        kinds.append(PodKind(members, best[0].ref, best[1].ref if len(best) > 1 else None))
    firsts = {kind.first for kind in kinds}
    others = [ref for ref in cluster.pods if ref not in firsts]
    drawn = random.Random(seed).sample(others, min(sample, len(others)))  # noqa: S311 (no secret)
    return Cover(tuple(kinds), tuple(sorted(drawn)), seed)


@dataclass(frozen=True, slots=True)
class InPlacePlan:
    """The rows with declared and simulated verdicts, the shadow pods, and why some sources have none."""

    cluster: Cluster
    simulator: Simulator
    cover: Cover
    declared: Matrix[Verdict]
    simulated: Matrix[Decision]
    guests: GuestPlan
    sourceless: Mapping[PodRef, str]
    states: Mapping[PodRef, PodState]

    @property
    def ends(self) -> tuple[End, ...]:
        """The ends of all rows."""
        return tuple(dict.fromkeys([*self.simulated.sources(), *self.simulated.destinations()]))

    def backends(self, flow: Flow) -> tuple[tuple[PodRef, int], ...]:
        """The pods that a row ends at, each with its port; none for hosts outside."""
        if isinstance(flow.destination, PodRef):
            return ((flow.destination, flow.port),)
        decision = self.simulated.get(flow)
        ends = decision.backends if decision else ()
        return tuple((f.destination, f.port) for f, _ in ends if isinstance(f.destination, PodRef))

    def listener(self, flow: Flow) -> str | None:
        """ "readiness" if the readiness of every pod that the row ends at proves that it listens.

        The kubelet probes the first address of a pod (`status.podIP`), which proves nothing for the other
        family.
        """
        ends = self.backends(flow)
        proven = flow.protocol is Protocol.TCP and all(
            port in self.states[ref].proven and self._probed_by_kubelet(ref, flow.family)
            for ref, port in ends
            if ref in self.states
        )
        return "readiness" if ends and proven else None

    def other_family(self, flow: Flow) -> str | None:
        """Why readiness proves nothing in the family of a row, as the end of a reason."""
        if all(self._probed_by_kubelet(ref, flow.family) for ref, _ in self.backends(flow)):
            return None
        over = f"IPv{flow.family}" if flow.family else "the address that its name resolves to"
        proof = f"; a flow that may reach it over {over} on that port would prove it"
        return f"{proof}: readiness probes use the first family"

    def _probed_by_kubelet(self, ref: PodRef, family: Family | None) -> bool:
        """Whether the kubelet probes a pod in the family of a row."""
        versions = [address.version for address in self.cluster.pods[ref].addresses]
        return len(set(versions)) <= 1 or versions[0] == family


def plan(
    cluster: Cluster,
    simulator: Simulator,
    cover: Cover,
    declared: Matrix[Verdict],
    states: Mapping[PodRef, PodState],
    *,
    run: str,
    ways: Iterable[Via] = (),
    all_labels: bool = False,
    family: Family | None = None,
) -> InPlacePlan:
    """What to probe. UsageError if no row is left.

    `all_labels`: shadows carry all labels that they may, since other kinds of policies may select by them.
    `family`: of two, probe this one only.
    """
    rows = Matrix(
        (way, verdict)
        for flow, verdict in declared.items()
        if cover.keeps(flow)
        for way in _by(flow, cluster, tuple(ways))
    )
    simulated = simulator.matrix(rows_by_family(rows, simulator, family))
    if not simulated:
        raise UsageError("nothing to probe: no row names a flow, and there is no default")
    guests, sourceless = _guests(cluster, simulated, run, all_labels=all_labels)
    return InPlacePlan(cluster, simulator, cover, rows, simulated, guests, sourceless, states)


def _by(flow: Flow, cluster: Cluster, ways: Iterable[Via]) -> Iterator[Flow]:
    """The row as it is, a pod on its node's network by the node's address; and a Service in further ways."""
    pod = cluster.pods.get(flow.destination) if isinstance(flow.destination, PodRef) else None
    yield replace(flow, via=Via.HOST) if pod is not None and pod.host_network else flow
    if not isinstance(flow.destination, ServiceRef):
        return
    for way in ways:
        if way is not Via.NODE_PORT:
            yield replace(flow, via=way)
            continue
        for node_port in _node_ports(cluster, flow.destination, flow.port, flow.protocol):
            yield replace(flow, via=way, port=node_port)


def unmet_ways(here: InPlacePlan, ways: Iterable[Via]) -> Iterator[str]:
    """Sentences about each `--via` that leads to no row."""
    services = dict.fromkeys(
        (flow.destination, flow.port, flow.protocol)
        for flow in here.declared
        if isinstance(flow.destination, ServiceRef) and flow.via is Via.SERVICE
    )
    for way in dict.fromkeys(ways):
        if not services:
            yield f"--via {way.value} has no effect: no row names a Service"
    if Via.NODE_PORT not in ways:
        return
    for ref, port, protocol in services:
        if not any(_node_ports(here.cluster, ref, port, protocol)):
            yield f"{ref} has no node port for {port}/{protocol.value}: --via node-port has no effect there"


def _node_ports(cluster: Cluster, ref: ServiceRef, port: int, protocol: Protocol) -> Iterator[int]:
    for entry in cluster.services[ref].ports:
        if (entry.port, entry.protocol) == (port, protocol) and entry.node_port:
            yield entry.node_port


def _guests(
    cluster: Cluster, simulated: Matrix[Decision], run: str, *, all_labels: bool
) -> tuple[GuestPlan, dict[PodRef, str]]:
    """One shadow for all sources with the same namespace, labels and node."""
    vocabulary = Vocabulary(cluster)
    places: dict[tuple[str, tuple[tuple[str, str], ...], str, str], list[PodRef]] = {}
    sourceless: dict[PodRef, str] = {}
    for source in simulated.sources():
        if not isinstance(source, PodRef):
            continue
        pod = cluster.pods[source]
        looked_at = [key for key, _ in vocabulary.labels(source.namespace, pod.labels)]
        if pod.host_network:
            sourceless[source] = f"{source} is on its node's network: its shadow pod would need privileges"
        elif pod.node is None or not pod.addresses:
            sourceless[source] = f"{source} has no node and address yet"
        elif never := NEVER_COPIED.intersection(looked_at):
            sourceless[source] = f"a policy selects by {', '.join(never)}, which no shadow pod may have"
        else:
            labels = shadow_labels(pod.labels, pod.labels if all_labels else looked_at)
            account = pod.service_account if vocabulary.by_account or all_labels else DEFAULT_ACCOUNT
            place = source.namespace, tuple(labels.items()), pod.node, account
            places.setdefault(place, []).append(source)
    shadows = tuple(
        Shadow(PodRef(namespace, f"netprobe-{run}-{index}"), dict(labels), node, tuple(sources), account)
        for index, ((namespace, labels, node, account), sources) in enumerate(places.items())
    )
    nodes = dict.fromkeys(shadow.node for shadow in shadows)
    for flow, decision in simulated.items():
        ends = [flow.destination, *(onward.destination for onward, _ in decision.backends)]
        nodes |= dict.fromkeys(
            node for end in ends if isinstance(end, PodRef) and (node := cluster.pods[end].node)
        )
    return GuestPlan(shadows, tuple(nodes) if shadows else ()), sourceless
