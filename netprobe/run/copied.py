"""A copy of part of a cluster, in namespaces of the run, to try policies before they are applied.

Namespaces and pods get the labels that policies select by; the policies are copied unchanged. One label
cannot be copied: the API server sets `kubernetes.io/metadata.name`. Copies do not have the addresses of the
real pods. So each flow is simulated for both; if the verdicts differ, the copy does not represent the
cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netprobe.explain.cells import keys_of
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.policy import NetworkSet, Policy, PolicyRef
from netprobe.model.verdict import Decision
from netprobe.policies.kinds import Record
from netprobe.policies.records import ref_of, with_records
from netprobe.probe.run_objects import DEFAULT_ACCOUNT, run_namespace
from netprobe.simulate import Profile, Simulator
from netprobe.simulate.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Copied:
    """`names` maps real namespaces to the names of their copies, `pods` real pods to their copies."""

    names: Mapping[str, str]
    namespaces: tuple[Namespace, ...]
    pods: Mapping[PodRef, Pod]
    records: tuple[Record, ...]
    manifests: tuple[Object, ...]
    accounts: tuple[Object, ...] = ()

    def flow(self, flow: Flow) -> Flow:
        """The same flow in the copy; ends that are not pods stay the same."""
        source, destination = flow.source, flow.destination
        return replace(
            flow,
            source=self.pods[source].ref if isinstance(source, PodRef) else source,
            destination=self.pods[destination].ref if isinstance(destination, PodRef) else destination,
        )

    def decided_otherwise(
        self, simulated: Matrix[Decision], live: Cluster, placed: Mapping[PodRef, Pod], profile: Profile
    ) -> dict[Flow, str]:
        """The flows that policies decide differently in the copy and in the cluster, and why.

        `placed` are the pods of the copy as they run, by their own names.
        """
        both = replace(
            live,
            namespaces={**live.namespaces, **{n.name: n for n in self.namespaces}},
            pods={**live.pods, **placed},
        )
        both = with_records(both, self.records)
        simulator = Simulator(both, profile)
        by_name = NAME_LABEL in namespace_keys(both.policies)
        why = (
            f"a policy selects by {NAME_LABEL}, which cannot be copied"
            if by_name
            else "of its pods' addresses"
        )
        return {
            flow: f"the copy would decide it differently, because {why}"
            for flow, decision in simulated.items()
            if simulator.decide(self.flow(flow)).verdict is not decision.verdict
        }


def copied(
    cluster: Cluster,
    flows: Iterable[Flow],
    manifests: Mapping[PolicyRef, Object],
    run: str,
    *,
    all_labels: bool = False,
) -> Copied:
    """Copy the pods at the ends of the flows, with their namespaces and all policies in these.

    `cluster` has the policies to try; `manifests` holds the object of each policy. `all_labels`:
    copies get all labels, because policies of other kinds may select by any of them.
    """
    wanted: dict[PodRef, dict[tuple[int, object], ContainerPort]] = {}
    for flow in flows:
        for end in (flow.source, flow.destination):
            if isinstance(end, PodRef):
                served = wanted.setdefault(end, {(p.number, p.protocol): p for p in cluster.pods[end].ports})
                if end == flow.destination:
                    served.setdefault((flow.port, flow.protocol), ContainerPort(flow.port, flow.protocol))
    names = {
        name: f"{run_namespace(run)}-{name}"[:63].rstrip("-")
        for name in dict.fromkeys(ref.namespace for ref in wanted)
    }
    vocabulary = Vocabulary(cluster)
    looked_at = namespace_keys(cluster.policies)
    pods = {}
    accounts: dict[tuple[str, str], Object] = {}
    for ref, served in wanted.items():
        pod = cluster.pods[ref]
        seen = pod.labels if all_labels else (key for key, _ in vocabulary.labels(ref.namespace, pod.labels))
        labels = {key: pod.labels[key] for key in seen}
        account = pod.service_account if vocabulary.by_account or all_labels else DEFAULT_ACCOUNT
        pods[ref] = Pod(
            PodRef(names[ref.namespace], ref.name),
            labels,
            (),
            tuple(served.values()),
            pod.node,
            service_account=account,
        )
        if account != DEFAULT_ACCOUNT:
            accounts[ref.namespace, account] = _account(names[ref.namespace], account, cluster, ref.namespace)
    everything: list[Record] = [*cluster.policies, *cluster.network_sets]
    records = [one for one in everything if ref_of(one).namespace in names]
    return Copied(
        names,
        tuple(
            Namespace(
                copied,
                {k: v for k, v in cluster.namespaces[name].labels.items() if all_labels or k in looked_at}
                | {NAME_LABEL: copied},
            )
            for name, copied in names.items()
        ),
        pods,
        tuple(_renamed(record, names[ref_of(record).namespace]) for record in records),
        tuple(_moved(manifests[ref], names[ref.namespace]) for ref in map(ref_of, records)),
        tuple(accounts.values()),
    )


def _account(namespace: str, name: str, cluster: Cluster, original: str) -> Object:
    """A ServiceAccount with the labels of the one that it is a copy of."""
    labels = dict(cluster.service_accounts.get((original, name), {}))
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def _renamed(record: Record, namespace: str) -> Record:
    """A policy or a set of a namespace, in another one."""
    if isinstance(record, NetworkSet):
        return replace(record, namespace=namespace)
    if isinstance(record, Policy):
        return replace(record, ref=replace(record.ref, namespace=namespace))
    return record


def _moved(manifest: Object, namespace: str) -> Object:
    kept = {key: manifest["metadata"][key] for key in ("name", "labels") if key in manifest["metadata"]}
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {**kept, "namespace": namespace},
        "spec": manifest.get("spec") or {},
    }


def namespace_keys(policies: Sequence[Policy]) -> set[str]:
    """The labels of namespaces that subjects and peers of the policies select by."""
    selectors = [policy.subject.namespaces for policy in policies]
    selectors += [peer.namespaces for policy in policies for peer in policy.pod_peers()]
    return {key for one in selectors for key in keys_of(one)}
