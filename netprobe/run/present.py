"""Policies of the whole cluster that are in force besides a run, and their effect on the run's controls.

They apply to the run's own pods too: they may deny a flow before the run begins, so that no baseline proves
its path, and they may close or open the connections of the canaries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Flow, Pod
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision, Verdict
from netprobe.policies.kinds import BY_KEY, KINDS
from netprobe.probe import Observed
from netprobe.probe import canary as canaries
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import CONTROL_PORT, Canaries, Canary
from netprobe.probe.deciding import SELECTABLE, key_of, listed
from netprobe.probe.guest_workbench import GuestWorkbench
from netprobe.probe.plan import Station
from netprobe.probe.prober import UNSEEN_S
from netprobe.probe.run_objects import CHANGE, ROLE, RUN, run_namespace
from netprobe.simulate import Profile, Simulator

_GLOBAL = tuple(kind.key for kind in KINDS if kind.read is not None and not kind.namespaced)


@dataclass(frozen=True, slots=True)
class Present:
    """The policies, tiers and sets of the whole cluster; `unreadable`: kinds that cannot be listed."""

    cluster: Cluster = field(default_factory=Cluster)
    unreadable: tuple[str, ...] = ()

    @classmethod
    async def of(cls, api: ClusterAPI) -> Present:
        found = await listed(api, (*_GLOBAL, *SELECTABLE))
        return cls(from_objects(found.objects), found.unreadable)

    def beside(self, own: Cluster) -> Cluster:
        """The run's own pods and namespaces, with what is in force besides them."""
        return replace(
            own,
            policies=(*self.cluster.policies, *own.policies),
            tiers=self.cluster.tiers,
            network_sets=(*self.cluster.network_sets, *own.network_sets),
            nodes=self.cluster.nodes,
        )

    def notes(self) -> Iterator[str]:
        if self.unreadable:
            yield (
                f"these credentials may not list {', '.join(self.unreadable)}: if there are some, they are "
                "in force and are not simulated"
            )


@dataclass(frozen=True, slots=True)
class DeniedBefore:
    """The flows that policies deny before a run changes anything, with their decisions."""

    decisions: Mapping[Flow, Decision] = field(default_factory=dict)

    @classmethod
    def of(cls, simulator: Simulator, flows: Iterable[Flow]) -> DeniedBefore:
        if not simulator.cluster.policies:
            return cls()
        decided = ((flow, simulator.decide(flow)) for flow in flows)
        return cls({flow: decision for flow, decision in decided if decision.verdict is not Verdict.ALLOW})

    def explained(self, seen: Observed) -> Observed:
        """What was observed; where a path is not proven, the reason names the policy that prevents it."""

        def named(flow: Flow, cell: Observation) -> Observation:
            decision = self.decisions.get(flow)
            unproven = cell.verdict is Verdict.UNKNOWN and cell.reason and cell.reason.startswith("path:")
            if decision is None or not unproven:
                return cell
            return replace(
                cell,
                reason=f"path: {deniers(decision)} denied it before the run began, and no "
                "other flow between the same nodes connected",
            )

        return replace(seen, matrix=seen.matrix.map(named)) if self.decisions else seen


def closed_pair(bench: GuestWorkbench, simulator: Simulator) -> str | None:
    """The policies that deny the connections of pods that no namespaced policy selects, if any do."""
    ends = [(one, {ROLE: canaries.CLIENT}) for one in bench.clients.values()]
    ends += [(one, {}) for one in bench.servers.values()]
    cluster = _with_own(simulator.cluster, run_namespace(bench.run), bench.run, ends)
    changed = Simulator(cluster, simulator.profile)
    for client in bench.clients.values():
        for server in bench.servers.values():
            decision = changed.decide(Flow(client.ref, server.ref, CONTROL_PORT))
            if decision.verdict is not Verdict.ALLOW:
                return deniers(decision)
    return None


def unable(found: Canaries | None) -> tuple[str, ...]:
    """A sentence if other policies keep the canaries from showing anything."""
    if found is None or found.unable is None:
        return ()
    return (f"{found.unable}; so nothing shows when a change is in force, and each was given {UNSEEN_S:g} s",)


def deniers(decision: Decision) -> str:
    """The policies that deny, as "GlobalNetworkPolicy deny-all"."""
    names = dict.fromkeys(f"{cause.policy.kind} {cause.policy}" for cause in decision.because)
    return ", ".join(names) or "a policy"


def judged_canaries(
    found: Canaries | None, cluster: Cluster, profile: Profile, kinds: Sequence[str] = ()
) -> Canaries | None:
    """The canaries, with the reason if other policies keep them from showing anything.

    `cluster`: everything that is in force, without them. `kinds`: those that changes of the run are about.
    """
    if found is None or not cluster.policies:
        return found
    for pair in found.pairs:
        for change in (0, 1):
            if why := _prevented(found, pair, Simulator(cluster, profile), change, kinds):
                return replace(found, unable=f"on {pair.node} the canaries show nothing: {why}")
    return found


def _prevented(
    found: Canaries, pair: Canary, simulator: Simulator, change: int, kinds: Sequence[str]
) -> str | None:
    """Why a canary does not do after a change what it would do without other policies."""
    changed = {CHANGE: str(change)} if change else {}
    own = [canaries.policy(found.namespace, found.run, change, pod_labels=found.pod_labels)]
    opened = {kind: canaries.ports_of(kind)[0] for kind in kinds}
    if change:
        own += [
            canaries.opening_policy(kind, found.namespace, found.run, port) for kind, port in opened.items()
        ]
    ends = [(pair.client, {ROLE: canaries.CLIENT, **changed}), (pair.target, {ROLE: canaries.TARGET})]
    cluster = _with_own(simulator.cluster, found.namespace, found.run, ends, changed)
    policies = (*cluster.policies, *(BY_KEY[key_of(obj)].policy(obj) for obj in own))
    changed_simulator = Simulator(replace(cluster, policies=policies), simulator.profile)
    wanted = {CONTROL_PORT: Verdict.ALLOW, canaries.port_of(change + 1): Verdict.DENY}
    if change:
        wanted[canaries.port_of(change)] = Verdict.ALLOW
    wanted |= dict.fromkeys(opened.values(), Verdict.ALLOW if change else Verdict.DENY)
    for port, verdict in wanted.items():
        decision = changed_simulator.decide(Flow(pair.client.ref, pair.target.ref, port))
        if decision.verdict is not verdict:
            does = "closes" if verdict is Verdict.ALLOW else "opens"
            return f"{deniers(decision)} {does} port {port} of every pod of the run"
    return None


def _with_own(
    cluster: Cluster,
    namespace: str,
    run: str,
    ends: Iterable[tuple[Station, Labels]],
    namespace_labels: Labels | None = None,
) -> Cluster:
    """The cluster with a namespace of the run and pods in it."""
    home = Namespace(namespace, {RUN: run, NAME_LABEL: namespace, **(namespace_labels or {})})
    pods = {
        one.ref: Pod(one.ref, {**labels, RUN: run}, one.addresses, one.ports, one.node)
        for one, labels in ends
    }
    namespaces = {**cluster.namespaces, namespace: home}
    return replace(cluster, namespaces=namespaces, pods={**cluster.pods, **pods})
