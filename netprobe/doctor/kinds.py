"""Policies of every kind: which kinds a cluster serves, and what the policies in it do to the pods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from netprobe.doctor import checks
from netprobe.doctor.checks import Check, CheckStatus
from netprobe.doctor.pods import SERVER, PodPath, namespace
from netprobe.errors import ClusterError
from netprobe.manifests import from_objects
from netprobe.model.flow import Family, Flow
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Object, ReadOnlyObject
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


@dataclass(frozen=True, slots=True)
class OwnPolicies:
    """The policies that the cluster has, as far as they may decide paths between the probe pods.

    `objects` are those policies, the namespaces and the probe pods. Kinds that cannot be listed are
    `unreadable`. `closing`: those that close paths before any other policy is applied.
    """

    objects: tuple[ReadOnlyObject, ...] = ()
    unreadable: tuple[str, ...] = ()
    closing: str = ""

    @classmethod
    async def read(cls, cluster: ClusterAPI, run: str, kinds: Iterable[str]) -> OwnPolicies:
        try:
            found = await listed(cluster, ["Namespace", *kinds])
            pods = await cluster.find("Pod", namespace(run))
        except ClusterError:
            return cls(unreadable=tuple(kind for kind in kinds if kind != NETWORK_POLICY.key))
        return cls((*found.objects, *pods), found.unreadable)

    def deciding(
        self, paths: Iterable[PodPath], verdict: Verdict, policy: ReadOnlyObject | None = None
    ) -> dict[PodPath, str]:
        """The paths to which these policies, and `policy` beside them, give a verdict, with what decides."""
        simulator = self._simulator(policy)
        found = {}
        for path in paths:
            decision = simulator.decide(_flow(path)) if _knows(simulator, path) else None
            if decision is not None and decision.verdict is verdict:
                causes = dict.fromkeys(f"{cause.kind} {cause.policy}" for cause in decision.because)
                found[path] = " and ".join(causes) or "no policy"
        return found

    def doubtful(self, paths: Iterable[PodPath], policy: ReadOnlyObject) -> tuple[str, ...]:
        """What is not simulated or cannot be read, and may decide one of the paths."""
        simulator = self._simulator(policy)
        decisions = [simulator.decide(_flow(path)) for path in paths if _knows(simulator, path)]
        named = (f"{one.ref.kind} {one.ref}" for decision in decisions for one in decision.qualified_by)
        return tuple(dict.fromkeys((*named, *(f"{kind} objects, unread" for kind in self.unreadable))))

    def _simulator(self, policy: ReadOnlyObject | None) -> Simulator:
        more = () if policy is None else (policy,)
        return Simulator(from_objects([*self.objects, *more], self.unreadable), CALICO)


def _flow(path: PodPath) -> Flow:
    family: Family = 6 if path.family == 6 else 4
    return Flow(path.source.ref, path.to.ref, path.target.port, path.target.protocol, family)


def _knows(simulator: Simulator, path: PodPath) -> bool:
    return {path.source.ref, path.to.ref} <= simulator.cluster.pods.keys()


def closed_paths(closed: Mapping[PodPath, str], left: int) -> Sequence[Check]:
    """What the cluster's own policies close before the doctor applies any."""
    if not closed:
        return ()
    names = checks.deciding(closed)
    evidence = f"{len(closed)} of the paths between the probe pods are closed by {names}: they are not tried"
    hint = "enforcement is judged by the paths that are left" if left else None
    return (Check("own policies", CheckStatus.NOTE, evidence, hint),)


def judged(check: Check, tried: int, settled: Mapping[PodPath, str], doubtful: Sequence[str]) -> Check:
    """An enforcement check next to the cluster's own policies.

    `settled`: paths that are allowed whatever a deny-all says, so they prove nothing; `tried`: the others.
    A path that stays open is no proof either if something that is not simulated may decide it.
    """
    names = checks.deciding(settled)
    if settled and not tried:
        evidence = f"not tried: {names} allows every path, whatever a deny-all says"
        return replace(check, status=CheckStatus.UNKNOWN, evidence=evidence, hint=None)
    if check.status is CheckStatus.FAILED and doubtful:
        evidence = f"{check.evidence}; {', '.join(doubtful)} may be the reason"
        return replace(check, status=CheckStatus.UNKNOWN, evidence=evidence, hint=None)
    if settled:
        return replace(check, evidence=f"{check.evidence}; {len(settled)} more are allowed by {names}")
    return check
