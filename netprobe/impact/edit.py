"""Two states of a cluster: as it is, and as it would be once a change is applied.

The change stands for objects that are added or replaced, as with `kubectl apply`. What it does not mention
stays, unless it is said to be the complete set of policies. A pod or a namespace that only the change has
is taken to have been there before, so that every difference comes from policies and labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.policy import Policy, PolicyRef


@dataclass(frozen=True, slots=True)
class Given:
    """Objects that were read. `described`: the namespaces of which an object was given.

    The other namespaces of the cluster were only mentioned, and their labels are not known here.
    """

    cluster: Cluster
    described: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Edit:
    """The two states, which have the same pods and namespaces, and what differs between them."""

    old: Cluster
    new: Cluster
    added: tuple[PolicyRef, ...] = ()
    changed: tuple[PolicyRef, ...] = ()
    deleted: tuple[PolicyRef, ...] = ()
    relabelled: int = 0  # pods and namespaces whose labels, ports or addresses the change sets anew
    new_pods: int = 0

    @property
    def policies(self) -> frozenset[PolicyRef]:
        return frozenset((*self.added, *self.changed, *self.deleted))


def _never(_: PolicyRef) -> bool:
    return False


def edited(
    old: Given,
    new: Given,
    *,
    prunes: Callable[[PolicyRef], bool] = _never,
    delete: Iterable[PolicyRef] = (),
) -> Edit:
    """Put the change `new` on `old`.

    `prunes` says of a policy that the change does not hold whether it is deleted. UsageError where a policy
    to delete is not there, or is in the change.
    """
    policies = {policy.ref: policy for policy in old.cluster.policies}
    given = {policy.ref: policy for policy in new.cluster.policies}
    doomed = _doomed(policies, given, prunes, frozenset(delete))
    kept = {ref: policy for ref, policy in policies.items() if ref not in doomed}
    before_pods, after_pods, new_pods = _pods(old.cluster.pods, new.cluster.pods)
    before_spaces, after_spaces = _namespaces(old, new)
    before = replace(old.cluster, pods=before_pods, namespaces=before_spaces)
    after = Cluster(
        after_spaces,
        after_pods,
        tuple({**kept, **given}.values()),
        {**old.cluster.services, **new.cluster.services},
    )
    relabelled = sum(before_pods[ref] != pod for ref, pod in after_pods.items())
    relabelled += sum(before_spaces[name] != space for name, space in after_spaces.items())
    return Edit(
        replace(before, services=after.services),
        after,
        tuple(sorted(given.keys() - policies.keys())),
        tuple(sorted(ref for ref in given.keys() & policies.keys() if given[ref] != policies[ref])),
        tuple(sorted(doomed)),
        relabelled,
        new_pods,
    )


def _doomed(
    policies: Mapping[PolicyRef, Policy],
    given: Mapping[PolicyRef, Policy],
    prunes: Callable[[PolicyRef], bool],
    delete: frozenset[PolicyRef],
) -> frozenset[PolicyRef]:
    if missing := sorted(delete - policies.keys()):
        near = ", ".join(sorted(str(ref) for ref in policies if ref.namespace == missing[0].namespace))
        raise UsageError(f"there is no policy {missing[0]} to delete (in its namespace: {near or 'none'})")
    if both := sorted(delete & given.keys()):
        raise UsageError(f"{both[0]} is to be deleted, and is in the change")
    return delete | {ref for ref in policies if ref not in given and prunes(ref)}


def _pods(
    old: Mapping[PodRef, Pod], new: Mapping[PodRef, Pod]
) -> tuple[dict[PodRef, Pod], dict[PodRef, Pod], int]:
    """The pods before and after, and how many only the change has, those on their node's network not counted.

    A workload in the change stands for all of its pods: they get the labels and ports of its template.
    """
    templates: dict[tuple[str, str | None], Pod] = {
        (pod.ref.namespace, pod.workload): pod for pod in new.values() if pod.workload
    }
    after: dict[PodRef, Pod] = {}
    served: set[PodRef] = set()
    for ref, pod in old.items():
        found = new.get(ref) or templates.get((ref.namespace, pod.workload))
        if found is None:
            after[ref] = pod
            continue
        served.add(found.ref)
        after[ref] = replace(
            pod,
            labels=_template_labels(pod, found),
            ports=found.ports,
            addresses=found.addresses or pod.addresses,
            host_network=found.host_network,
        )
    fresh = {ref: pod for ref, pod in new.items() if ref not in served and ref not in after}
    return {**old, **fresh}, {**after, **fresh}, sum(not pod.host_network for pod in fresh.values())


_OF_A_CONTROLLER = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")


def _template_labels(pod: Pod, found: Pod) -> dict[str, str]:
    """The labels of the change; those that a controller sets itself stay where it runs the pod."""
    own = {key: pod.labels[key] for key in _OF_A_CONTROLLER if key in pod.labels and pod.workload}
    return {**own, **found.labels}


def _namespaces(old: Given, new: Given) -> tuple[dict[str, Namespace], dict[str, Namespace]]:
    """The namespaces before and after; one that is only mentioned says nothing about its labels."""
    before, after = dict(old.cluster.namespaces), dict(old.cluster.namespaces)
    for name, space in new.cluster.namespaces.items():
        if name in new.described:
            after[name] = space
            if name not in old.described and not _is_labelled(before.get(name)):
                before[name] = space
        else:
            before.setdefault(name, space)
            after.setdefault(name, space)
    return before, after


def _is_labelled(space: Namespace | None) -> bool:
    """Whether somebody has said more of a namespace than its name."""
    return space is not None and len(space.labels) > 1
