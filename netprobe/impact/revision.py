"""Two states of a cluster: as it is, and as it would be after a revision is applied.

What a revision contains is added or replaces the object of that name, as with `kubectl apply`. What it does
not mention stays, unless the revision is the complete set of policies. A pod or a namespace that only the
revision has is treated as if it had been there before, so that all differences come from policies and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from netprobe.errors import InputError, Problem, UsageError
from netprobe.manifests import Reader
from netprobe.manifests.load import Collector
from netprobe.manifests.workload import CONTROLLER_LABELS, undecided
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.policy import STANDARD_TIERS, Policy, PolicyRef
from netprobe.policies.kinds import Record
from netprobe.policies.records import as_enforced, ref_of, with_records
from netprobe.simulate.tiers import unplaced


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects that were read. `described` are the namespaces for which an object was given.

    Other namespaces of the cluster are only mentioned, and their labels are unknown.
    """

    cluster: Cluster
    described: frozenset[str] = frozenset()

    @classmethod
    def complete(cls, cluster: Cluster) -> Snapshot:
        """A cluster whose namespaces are all described: a live one, or that of a suite."""
        return cls(cluster, frozenset(cluster.namespaces))


def read_snapshots(sides: Iterable[Sequence[str]], namespace: str) -> list[Snapshot]:
    """The objects in files, folders and "-", one snapshot for each list of paths; empty for no paths.

    `namespace` is that of manifests that name none. InputError with the problems of all.
    """
    problems: list[Problem] = []
    found: list[Snapshot] = []
    for paths in sides:
        reader = Reader()
        collector = Collector(default_namespace=namespace, problems=reader.problems)
        try:
            collector.read(reader, paths)
            found.append(Snapshot(collector.cluster(), frozenset(collector.described)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found


@dataclass(frozen=True, slots=True)
class Revision:
    """The two states, which have the same pods and namespaces, and the policies that differ.

    `relabelled` counts pods and namespaces whose labels, ports or addresses are changed. `staged` are
    staged policies that are taken as if they were enforced.
    """

    before: Cluster
    after: Cluster
    added: tuple[PolicyRef, ...] = ()
    changed: tuple[PolicyRef, ...] = ()
    deleted: tuple[PolicyRef, ...] = ()
    relabelled: int = 0
    new_pods: int = 0
    staged: tuple[PolicyRef, ...] = ()

    @property
    def policies(self) -> frozenset[PolicyRef]:
        return frozenset((*self.added, *self.changed, *self.deleted))


def revise(
    old: Snapshot,
    new: Snapshot,
    *,
    prunes: Callable[[PolicyRef], bool] = lambda _: False,
    delete: Iterable[PolicyRef] = (),
    staged: bool = False,
) -> Revision:
    """Apply `new` to `old`. Policies that `new` does not contain are deleted if `prunes` says so.

    Staged policies of `new` are taken as if they were enforced; with `staged` those of `old` too.

    UsageError if a policy in `delete` does not exist, or is contained in `new`.
    """
    policies = {policy.ref: policy for policy in old.cluster.policies}
    given = {policy.ref: policy for policy in new.cluster.policies}
    removed = _deleted(policies, given, prunes, frozenset(delete))
    kept = {ref: policy for ref, policy in policies.items() if ref not in removed}
    proposed = (*(old.cluster.staged if staged else ()), *new.cluster.staged)
    after = {policy.ref: policy for policy in as_enforced({**kept, **given}.values(), proposed)}
    old_pods, new_pods, fresh = _pods(old.cluster.pods, new.cluster.pods)
    old_namespaces, new_namespaces = _namespaces(old, new)
    services = {**old.cluster.services, **new.cluster.services}
    relabelled = sum(old_pods[ref] != pod for ref, pod in new_pods.items())
    relabelled += sum(old_namespaces[name] != space for name, space in new_namespaces.items())
    found = Revision(
        replace(
            old.cluster,
            namespaces=old_namespaces,
            pods=old_pods,
            services=services,
            service_accounts={**new.cluster.service_accounts, **old.cluster.service_accounts},
            nodes={**new.cluster.nodes, **old.cluster.nodes},
        ),
        replace(
            with_records(old.cluster, _others(new.cluster)),
            namespaces=new_namespaces,
            pods=new_pods,
            policies=tuple(after.values()),
            services=services,
            service_accounts={**old.cluster.service_accounts, **new.cluster.service_accounts},
            nodes={**old.cluster.nodes, **new.cluster.nodes},
            warnings=(*old.cluster.warnings, *new.cluster.warnings),
            sources={**old.cluster.sources, **new.cluster.sources},
        ),
        tuple(sorted(after.keys() - policies.keys())),
        tuple(sorted(ref for ref in after.keys() & policies.keys() if after[ref] != policies[ref])),
        tuple(sorted(policies.keys() - after.keys())),
        relabelled,
        fresh,
        tuple(ref_of(one) for one in proposed),
    )
    unknown = sorted(unplaced(found.before) | unplaced(found.after))
    warnings = dict.fromkeys(
        (
            *found.after.warnings,
            *undecided(found.after),
            *(f"tier {name} is not among the objects; it is evaluated last: use --tier" for name in unknown),
        )
    )
    return replace(found, after=replace(found.after, warnings=tuple(warnings)))


def _others(cluster: Cluster) -> list[Record]:
    """The records that are not policies: tiers, sets, and objects that are not simulated."""
    tiers = (tier for tier in cluster.tiers if tier not in STANDARD_TIERS)
    return [*tiers, *cluster.network_sets, *cluster.unsimulated]


def _deleted(
    policies: Mapping[PolicyRef, Policy],
    given: Mapping[PolicyRef, Policy],
    prunes: Callable[[PolicyRef], bool],
    delete: frozenset[PolicyRef],
) -> frozenset[PolicyRef]:
    if missing := sorted(delete - policies.keys()):
        near = ", ".join(sorted(str(ref) for ref in policies if ref.namespace == missing[0].namespace))
        raise UsageError(f"cannot delete policy {missing[0]}: not found (in its namespace: {near or 'none'})")
    if both := sorted(delete & given.keys()):
        raise UsageError(f"cannot delete policy {both[0]}: -f contains it")
    return delete | {ref for ref in policies if ref not in given and prunes(ref)}


def _pods(
    old: Mapping[PodRef, Pod], new: Mapping[PodRef, Pod]
) -> tuple[dict[PodRef, Pod], dict[PodRef, Pod], int]:
    """The pods before and after, and how many are new, those on their node's network not counted.

    A workload in the revision changes all of its pods: they get the labels and ports of its template.
    """
    templates: dict[tuple[str, str | None], Pod] = {
        (pod.ref.namespace, pod.workload): pod for pod in new.values() if pod.workload
    }
    after: dict[PodRef, Pod] = {}
    used: set[PodRef] = set()
    for ref, pod in old.items():
        found = new.get(ref) or templates.get((ref.namespace, pod.workload))
        if found is None:
            after[ref] = pod
            continue
        used.add(found.ref)
        after[ref] = replace(
            pod,
            labels=_labels(pod, found),
            ports=found.ports,
            addresses=found.addresses or pod.addresses,
            host_network=found.host_network,
        )
    fresh = {ref: pod for ref, pod in new.items() if ref not in used and ref not in after}
    return {**old, **fresh}, {**after, **fresh}, sum(not pod.host_network for pod in fresh.values())


def _labels(pod: Pod, template: Pod) -> dict[str, str]:
    """The labels of the template; a running pod of a workload keeps those that its controller sets."""
    if not pod.workload:
        return dict(template.labels)
    return {k: v for k, v in pod.labels.items() if k in CONTROLLER_LABELS} | dict(template.labels)


def _namespaces(old: Snapshot, new: Snapshot) -> tuple[dict[str, Namespace], dict[str, Namespace]]:
    """The namespaces before and after. One that is only mentioned keeps its labels."""
    before, after = dict(old.cluster.namespaces), dict(old.cluster.namespaces)
    for name, space in new.cluster.namespaces.items():
        if name not in new.described:
            before.setdefault(name, space)
            after.setdefault(name, space)
            continue
        after[name] = space
        has_labels = name in before and len(before[name].labels) > 1  # more than its name
        if name not in old.described and not has_labels:
            before[name] = space
    return before, after
