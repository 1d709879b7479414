"""Policies of every kind: which kinds a cluster serves, and what the policies in it do to the pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from netprobe.doctor.check import Check, CheckStatus
from netprobe.doctor.pod_pairs import SERVER, PodPath, namespace
from netprobe.errors import ClusterError, ForbiddenError, NotServedError
from netprobe.manifests import from_objects
from netprobe.model.flow import Flow, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import NETWORK_POLICY, SIMULATED
from netprobe.probe.api import ClusterAPI
from netprobe.probe.deciding import listed
from netprobe.probe.run_objects import ROLE
from netprobe.simulate import CALICO, Simulator


def _admin(action: str, run: str) -> Object:
    pods = {
        "namespaceSelector": {"matchLabels": {NAME_LABEL: namespace(run)}},
        "podSelector": {"matchLabels": {ROLE: SERVER}},
    }
    rule = {"name": "everything", "action": action, "from": [{"namespaces": {}}]}
    return {"priority": 0, "subject": {"pods": pods}, "ingress": [rule]}


def _global(run: str) -> Object:
    return {
        "order": 0,
        "selector": f"{ROLE} == '{SERVER}'",
        "namespaceSelector": f"{NAME_LABEL} == '{namespace(run)}'",
        "types": ["Ingress"],
        "ingress": [{"action": "Deny"}],
    }


DENYING: Final[Mapping[str, Callable[[str], Object]]] = {
    "ClusterNetworkPolicy": lambda run: {"tier": "Admin"} | _admin("Deny", run),
    "AdminNetworkPolicy": lambda run: _admin("Deny", run),
    "GlobalNetworkPolicy": _global,
}
"""The spec of a policy that denies everything to the servers, by kind."""


async def served(cluster: ClusterAPI) -> dict[str, str]:
    """The simulated policy kinds that the cluster serves, each with its apiVersion. ClusterError."""
    found = {}
    for kind in SIMULATED:
        try:
            found[kind.key] = await cluster.served(kind.key)
        except NotServedError:
            continue
    return found


def deny_all(kind: str, api_version: str, run: str) -> Object:
    """A cluster-scoped policy that denies everything to the servers of the run, and nothing else."""
    metadata = {"name": f"{namespace(run)}-deny"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": DENYING[kind](run)}


def check(versions: Mapping[str, str]) -> Check:
    """Which kinds the cluster serves; those that do not decide flows by themselves are left out."""
    kinds = [kind for kind in SIMULATED if kind.decides]
    there = [f"{kind.kind} ({versions[kind.key]})" for kind in kinds if kind.key in versions]
    missing = [kind.kind for kind in kinds if kind.key not in versions and not kind.qualified]
    evidence = f"serves {', '.join(there)}"
    if missing:
        evidence += f"; does not serve {', '.join(dict.fromkeys(missing))}"
    status = CheckStatus.OK if NETWORK_POLICY.key in versions else CheckStatus.FAILED
    return Check("policy kinds", status, evidence)


async def closing(cluster: ClusterAPI, lost: Iterable[PodPath]) -> dict[PodPath, str]:
    """For paths that do not connect: the policies of the cluster that close them, if the simulator says so.

    {} if the policies may not be read.
    """
    paths = list(lost)
    if not paths:
        return {}
    try:
        found = await listed(cluster)
    except (ForbiddenError, ClusterError):
        return {}
    simulator = Simulator(from_objects(found.objects, found.unreadable), CALICO)
    closed = {}
    for path in paths:
        source, to = (PodRef(station.namespace, station.pod) for station in (path.source, path.to))
        if not {source, to} <= simulator.cluster.pods.keys():
            continue
        flow = Flow(source, to, path.target.port, path.target.protocol, 6 if path.family == 6 else 4)
        decision = simulator.decide(flow)
        if decision.verdict is Verdict.DENY:
            causes = dict.fromkeys(f"{cause.kind} {cause.policy}" for cause in decision.because)
            closed[path] = " and ".join(causes) or "policies of the cluster"
    return closed


def closed_paths(closed: Mapping[PodPath, str]) -> Sequence[Check]:
    """What the cluster's own policies close before the doctor applies any."""
    if not closed:
        return ()
    names = ", ".join(dict.fromkeys(closed.values()))
    return (
        Check(
            "own policies",
            CheckStatus.NOTE,
            f"{len(closed)} of the paths between the probe pods are closed by {names}: they are not tried",
            "netprobe explain names the rule; enforcement is judged by the paths that are left",
        ),
    )
