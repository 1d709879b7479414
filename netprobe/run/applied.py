"""A suite's objects of policy kinds as one cluster takes them.

Cluster-scoped objects must not touch anything but the run's own namespaces: their subjects get the run's
label. Peers and names stay as written, because ties depend on names.
A kind that the cluster does not serve is not applied, and the flows that it decides are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from netprobe.errors import NotFoundError, UsageError
from netprobe.manifests import Document
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.model.policy import NetworkSet, PodPeer, PolicyRef, Tier, tier_name
from netprobe.model.verdict import Decision, Verdict
from netprobe.policies.kinds import BY_KEY, NETWORK_POLICY, PolicyKind
from netprobe.policies.records import GLOBAL_NETWORK_SET, NETWORK_SET, TIER, ref_of
from netprobe.probe.api import ClusterAPI
from netprobe.probe.deciding import served
from netprobe.probe.run_objects import RUN
from netprobe.simulate import Profile, Simulator
from netprobe.suite import ApplyPolicies, Suite

_STORED = "crd.projectcalico.org"


def applications(suite: Suite) -> Iterator[ApplyPolicies]:
    """Everything that a suite applies, from its first moment to its last step."""
    yield ApplyPolicies(suite.policies, suite.parsed)
    for step in suite.steps:
        yield from (action for action in step.actions if isinstance(action, ApplyPolicies))


def kinds_of(suite: Suite) -> tuple[PolicyKind, ...]:
    """The policy kinds of everything that a suite applies, other than NetworkPolicy."""
    documents = (document for action in applications(suite) for document in action.documents)
    kinds = dict.fromkeys(document.policy_kind for document in documents)
    return tuple(kind for kind in kinds if kind is not None and kind is not NETWORK_POLICY)


def rank(document: Document) -> int:
    """The place of an object among those of a change: tiers, then sets, then policies."""
    kind = document.policy_kind
    return {TIER: 0, NETWORK_SET: 1, GLOBAL_NETWORK_SET: 1}.get(kind.key if kind else "", 2)


@dataclass(frozen=True, slots=True)
class Served:
    """In which apiVersion a cluster has each of some policy kinds, by key; None: it does not serve it."""

    versions: Mapping[str, str | None] = field(default_factory=dict)

    @classmethod
    async def by(cls, cluster: ClusterAPI, kinds: Iterable[PolicyKind]) -> Served:
        keys = [kind.key for kind in kinds]
        found = await served(cluster, keys)
        return cls({key: found.get(key) for key in keys})

    def group(self, kind: PolicyKind) -> PolicyKind:
        """The kind with the group that the cluster serves first, which permissions are about."""
        version = self.versions.get(kind.key) or kind.api_version
        return replace(kind, api_versions=(version,))

    @property
    def missing(self) -> tuple[str, ...]:
        """The kinds that the cluster does not serve."""
        return tuple(key for key, version in self.versions.items() if version is None)

    def has(self, ref: PolicyRef) -> bool:
        return ref.kind not in self.missing

    def adapted(self, document: Document, run: str) -> Object:
        """The object as this cluster takes it."""
        kind = document.policy_kind
        obj: Object = {**document.object, "spec": dict(document.object.get("spec") or {})}
        obj.pop("status", None)
        if kind is None or kind is NETWORK_POLICY:
            return obj
        if (version := self.versions.get(kind.key)) is not None:
            set_version(obj, version)
        if not kind.namespaced:
            narrow(obj, RUN, run)
        return obj

    def profile(self, given: Profile) -> Profile:
        """What to simulate with: kinds that are not served too, since flows that they decide are skipped."""
        return replace(given, calico=True) if self.missing else given

    def skipped(self, simulated: Matrix[Decision], simulator: Simulator) -> dict[Flow, str]:
        """The flows that objects of missing kinds decide, and why they are not compared."""
        missing = set(self.missing)
        if not missing:
            return {}
        kept = tuple(policy for policy in simulator.cluster.policies if policy.kind not in missing)
        without = Simulator(replace(simulator.cluster, policies=kept), simulator.profile)
        found = {}
        for flow, decision in simulated.items():
            named = sorted({cause.kind for cause in decision.because if cause.kind in missing})
            if named or without.decide(flow).verdict is not decision.verdict:
                kinds = ", ".join(named or sorted(missing))
                found[flow] = f"this cluster does not serve {kinds}"
        return found


def with_skipped(seen: Matrix[Observation], skipped: Mapping[Flow, str]) -> Matrix[Observation]:
    """The observations without those of skipped flows, each with its reason instead."""
    if not skipped:
        return seen
    return Matrix(
        (flow, not_tried(skipped[flow]) if flow in skipped else cell) for flow, cell in seen.items()
    )


def not_tried(why: str) -> Observation:
    return Observation(Outcome.SKIPPED, Verdict.UNKNOWN, reason=f"skipped: {why}", attempts=0)


def narrow(obj: Object, key: str, value: str) -> None:
    """Limit the subject of a cluster-scoped policy to namespaces with a label, in place.

    Sets and tiers have no subject.
    """
    spec = obj["spec"]
    if "subject" in spec:
        subject = dict(spec["subject"])
        if "pods" in subject:
            pods = dict(subject["pods"])
            pods["namespaceSelector"] = _labelled(pods.get("namespaceSelector"), key, value)
            subject["pods"] = pods
        else:
            subject["namespaces"] = _labelled(subject.get("namespaces"), key, value)
        spec["subject"] = subject
    elif obj["kind"].endswith("GlobalNetworkPolicy"):
        own = f"{key} == '{value}'"
        written = str(spec.get("namespaceSelector") or "").strip()
        spec["namespaceSelector"] = f"({written}) && {own}" if written else own


def _labelled(selector: Mapping[str, Any] | None, key: str, value: str) -> Object:
    given = selector or {}
    return {**given, "matchLabels": {**(given.get("matchLabels") or {}), key: value}}


def set_version(obj: Object, version: str) -> None:
    """Write an object in another version of its kind, in place: the one that a cluster serves."""
    if version.startswith(_STORED) and not str(obj["apiVersion"]).startswith(_STORED):
        _complete(obj)
    obj["apiVersion"] = version


def _complete(obj: Object) -> None:
    """Fill in what Calico's API server would before it stores a policy: an object stored without `types`
    applies in both directions.
    """
    spec = obj["spec"]
    if (
        obj["kind"].endswith("NetworkPolicy")
        and "StagedKubernetes" not in obj["kind"]
        and not spec.get("types")
    ):
        found = [name for name in ("Ingress", "Egress") if spec.get(name.lower())]
        spec["types"] = found or ["Ingress"]


async def refuse_existing(cluster: ClusterAPI, suite: Suite, served: Served, present: Cluster) -> None:
    """UsageError if an object of the whole cluster would be replaced, or a set would change others' policies.

    A tier may exist if it is the same.
    """
    problems: list[str] = []
    tiers = {tier_name(tier.name): tier for tier in present.tiers}
    users = [(policy.ref, peer) for policy in present.policies for peer in policy.pod_peers() if peer.sets]
    for action in applications(suite):
        for record in action.records:
            ref = ref_of(record)
            kind = BY_KEY[ref.kind]
            if kind.namespaced or not served.has(ref):
                continue
            if isinstance(record, Tier):
                other = tiers.get(tier_name(record.name))
                if other is not None and (other.order, other.default) != (record.order, record.default):
                    problems.append(
                        f"the tier {record.name} exists with order {other.order:g} and the default action "
                        f"{other.default.value}"
                    )
                continue
            if isinstance(record, NetworkSet):
                problems += [
                    f"{policy.kind} {policy} selects the labels of the GlobalNetworkSet {record.name}, "
                    "which would change flows of others"
                    for policy, peer in users
                    if _selects(peer, record)
                ]
            try:
                await cluster.get(ref.kind, ref.name)
            except NotFoundError:
                continue
            problems.append(f"{ref.kind} {ref.name} already exists in this cluster")
    if problems:
        raise UsageError(
            f"{suite.file} applies objects of the whole cluster, and nothing was created: "
            + "; ".join(dict.fromkeys(problems))
            + "; rename them in the suite"
        )


def _selects(peer: PodPeer, one: NetworkSet) -> bool:
    everywhere = peer.namespaces is not None and peer.namespaces.matches({})
    accounts = peer.accounts is None or peer.accounts.matches({})
    return everywhere and accounts and peer.pods.matches(one.labels)
