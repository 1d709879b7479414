"""The pods of a diagnosis: a shadow of the source, and policy-free pods on the nodes involved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from netprobe.debug.facts import Facts
from netprobe.debug.records import Leg, Source
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.probe import surroundings
from netprobe.probe.conflicts import side_effects
from netprobe.probe.guest_workbench import NEVER_COPIED, GuestPlan, GuestWorkbench, Shadow, shadow_labels
from netprobe.probe.plan import Station
from netprobe.probe.run_objects import ROLE, RUN, run_namespace
from netprobe.simulate.vocabulary import Vocabulary

MOST_NODES = 4


@dataclass(frozen=True, slots=True)
class Guests:
    """The plan. `refused`: why there is no shadow of the source, "" if there is one, or if it needs none."""

    plan: GuestPlan
    refused: str = ""


def plan_guests(
    facts: Facts, source: Source, legs: Iterable[Leg], run: str, *, shadow: bool, disturb: bool
) -> Guests:
    """A shadow of the source, if it does no harm, and policy-free pods on its node and on the legs' nodes."""
    pod = source.pod
    nodes = [pod.node if pod and pod.runs else None, *(leg.node for leg in legs)]
    where = tuple(dict.fromkeys(node for node in nodes if node))[:MOST_NODES]
    without = GuestPlan((), where)
    if not shadow or pod is None:
        return Guests(without)
    model = facts.cluster.pods.get(pod.ref)
    if not pod.runs or model is None or model.node is None:
        return Guests(without, f"{pod} does not run")
    mentioned = [key for key, _ in Vocabulary(facts.cluster).labels(pod.ref.namespace, model.labels)]
    labels = shadow_labels(model.labels, model.labels if facts.others else mentioned)
    made = Shadow(PodRef(pod.ref.namespace, f"netprobe-{run}-0"), labels, model.node, (pod.ref,))
    if refused := _refusal(facts, made, mentioned, host_network=pod.host_network, disturb=disturb):
        return Guests(without, refused)
    return Guests(GuestPlan((made,), where))


def _refusal(
    facts: Facts, shadow: Shadow, mentioned: Iterable[str], *, host_network: bool, disturb: bool
) -> str:
    """Why there can be no such shadow; "" if there can."""
    real = shadow.stands_for[0]
    if host_network:
        return f"{real} is on its node's network, and a shadow pod there would need privileges"
    if never := NEVER_COPIED.intersection(mentioned):
        return f"a policy selects by {', '.join(never)}, which no shadow pod may have"
    blind = [facts.unread[kind] for kind in surroundings.KINDS if kind in facts.unread]
    if blind:
        return f"what would see a shadow pod is not known: {blind[0]}"
    harmed = [str(one) for one in side_effects([shadow], facts.around) if one.harmful]
    if harmed and not disturb:
        return f"a shadow pod would disturb other workloads: {harmed[0]} (--disturb creates it anyway)"
    return ""


def with_guests(cluster: Cluster, bench: GuestWorkbench, plan: GuestPlan) -> Cluster:
    """The cluster with the pods of the run, to simulate what the policies say about them."""
    home = run_namespace(bench.run)
    space = Namespace(home, {NAME_LABEL: home, RUN: bench.run})
    pods = dict(cluster.pods)
    labels = {shadow.ref: shadow.labels for shadow in plan.shadows}
    for station, own in (
        *((one, labels[guest_ref(one)]) for one in bench.stations.values()),
        *((one, {ROLE: "canary-client"}) for one in bench.clients.values()),
        *((one, {}) for one in bench.servers.values()),
    ):
        ref = guest_ref(station)
        pods[ref] = Pod(ref, {**own, RUN: bench.run}, station.addresses, node=station.node)
    return replace(cluster, pods=pods, namespaces={**cluster.namespaces, home: space})


def guest_ref(station: Station) -> PodRef:
    """The pod of the run that a station is in."""
    return PodRef(station.namespace, station.pod)
