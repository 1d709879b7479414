"""A cluster by names, and what a change of its objects means for the model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from netprobe.manifests.change import SUITE, Apply, Delete, ObjectChange, Patch, SetLabels, patched, setting
from netprobe.manifests.workload import template_path
from netprobe.model.cluster import Cluster, Namespace, by_namespace
from netprobe.model.flow import Pod, PodRef
from netprobe.model.labels import Labels
from netprobe.model.objects import Source
from netprobe.model.policy import Origin, Policy, PolicyRef
from netprobe.policies.kinds import BY_KEY, kind_of


@dataclass(slots=True)
class Delta:
    """What changes make of the model: policies (None: deleted), and pods and namespaces with new labels."""

    policies: dict[PolicyRef, Policy | None] = field(default_factory=dict)
    pods: dict[PodRef, Pod] = field(default_factory=dict)
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    sources: dict[tuple[str, str], Source] = field(default_factory=dict)

    def cluster(self, before: Cluster) -> Cluster:
        """The cluster after the changes."""
        known = {policy.ref for policy in before.policies}
        kept = (self.policies.get(policy.ref, policy) for policy in before.policies)
        new = (policy for ref, policy in self.policies.items() if ref not in known)
        return replace(
            before,
            policies=tuple(policy for policy in (*kept, *new) if policy is not None),
            pods={**before.pods, **self.pods},
            namespaces={**before.namespaces, **self.namespaces},
            sources={**before.sources, **self.sources},
        )


class World:
    """A cluster with the indexes that finding and checking changes needs."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.policies = {(policy.kind, str(policy.ref)): policy for policy in cluster.policies}

    @cached_property
    def policies_by_namespace(self) -> Mapping[str, list[Policy]]:
        return by_namespace(self.cluster.policies)

    @cached_property
    def some_origin(self) -> Origin | None:
        """The place of the first policy that was read from a file."""
        origins = (policy.origin for policy in self.cluster.policies)
        return next((origin for origin in origins if origin and origin.line), None)

    @cached_property
    def pods_by_workload(self) -> Mapping[tuple[str, str], list[Pod]]:
        """The pods of ("Deployment", "shop/web"); a pod without a workload is alone in ("Pod", "shop/x")."""
        found: dict[tuple[str, str], list[Pod]] = defaultdict(list)
        for pod in self.cluster.pods.values():
            found[workload_of(pod)].append(pod)
        return found

    @cached_property
    def pods_by_namespace(self) -> Mapping[str, list[Pod]]:
        return by_namespace(self.cluster.pods.values())

    def object(self, policy: Policy) -> Mapping[str, Any] | None:
        """The object that a policy was read from, or as its kind writes it; None if that is not known."""
        source = self.cluster.sources.get((policy.kind, str(policy.ref)))
        if source is not None:
            return source.object
        kind = BY_KEY.get(policy.kind)
        return kind.dump(policy) if kind is not None and kind.dump is not None else None

    # Changes to write.

    def label_pods(self, pod: Pod, labels: Labels) -> SetLabels:
        """Labels for a pod: in the template of its workload, for all pods of it."""
        kind, name = workload_of(pod)
        source = self.cluster.sources.get((kind, name))
        if source is not None and source.path:
            return SetLabels(
                "Pod", name, labels, _labelling(SUITE, name, source, (*source.path, "labels"), labels)
            )
        inside = () if kind == "Pod" else tuple(template_path(kind).split("."))
        if source is None:
            obj: dict[str, Any] = {"metadata": {"labels": dict(pod.labels)}}
            for key in reversed(inside):
                obj = {key: obj}
            source = Source(obj)
        return SetLabels(
            kind, name, labels, _labelling(kind, name, source, (*inside, "metadata", "labels"), labels)
        )

    def label_namespace(self, name: str, labels: Labels) -> SetLabels:
        source = self.cluster.sources.get(("Namespace", name))
        if source is None or source.origin is None:
            return SetLabels("Namespace", name, labels)
        path = (*source.path, "labels") if source.path else ("metadata", "labels")
        kind = SUITE if source.path else "Namespace"
        return SetLabels("Namespace", name, labels, _labelling(kind, name, source, path, labels))

    def patch(self, policy: Policy, *operations: Mapping[str, Any]) -> Patch:
        source = self.cluster.sources.get((policy.kind, str(policy.ref)))
        group = str(source.object.get("apiVersion")).rpartition("/")[0] if source is not None else None
        return Patch(policy.kind, str(policy.ref), operations, policy.origin, group)

    # Changes to try.

    def delta(self, changes: Iterable[ObjectChange]) -> Delta:
        """What changes mean, each relative to what the ones before it leave. ValueError if impossible."""
        found = Delta()
        for change in changes:
            self._add(found, change)
        return found

    def _add(self, delta: Delta, change: ObjectChange) -> None:
        match change:
            case Patch(kind, name, operations, _):
                policy = self._policy(delta, kind, name)
                key = (kind, name)
                source = delta.sources.get(key) or self.cluster.sources.get(key)
                before = source.object if source is not None else self.object(policy)
                if before is None:
                    raise ValueError(f"{kind} {name} cannot be changed")
                after = patched(before, operations)
                delta.sources[key] = replace(source, object=after) if source is not None else Source(after)
                delta.policies[policy.ref] = replace(
                    BY_KEY[kind].policy(after), ref=policy.ref, origin=policy.origin
                )
            case Apply(obj):
                kind_ = kind_of(str(obj.get("apiVersion")), str(obj.get("kind")))
                if kind_ is None:
                    raise ValueError(f"{obj.get('kind')} is not a policy")
                made = kind_.policy(obj)
                delta.policies[made.ref] = made
                delta.sources[made.kind, str(made.ref)] = Source(obj)
            case Delete(kind, name, _):
                delta.policies[self._policy(delta, kind, name).ref] = None
            case SetLabels("Namespace", name, labels, _):
                space = delta.namespaces.get(name) or self.cluster.namespaces[name]
                delta.namespaces[name] = replace(space, labels={**space.labels, **labels})
                self._patch_source(delta, ("Namespace", name), change)
            case SetLabels(kind, name, labels, _):
                for pod in self.pods_by_workload.get((kind, name), ()):
                    now = delta.pods.get(pod.ref, pod)
                    delta.pods[pod.ref] = replace(now, labels={**now.labels, **labels})
                self._patch_source(delta, (kind, name), change)

    def _policy(self, delta: Delta, kind: str, name: str) -> Policy:
        known = self.policies.get((kind, name))
        ref = known.ref if known is not None else PolicyRef(*name.rpartition("/")[::2], kind)
        policy = delta.policies.get(ref, known)
        if policy is None:
            raise ValueError(f"there is no {kind} {name}")
        return policy

    def _patch_source(self, delta: Delta, key: tuple[str, str], change: SetLabels) -> None:
        """A second label of the same object is relative to the first."""
        source = delta.sources.get(key) or self.cluster.sources.get(key)
        if source is None or change.patch is None:
            return
        after = patched(source.object, change.patch.operations)
        for other, each in self.cluster.sources.items() if source.path else ():
            if each.path and each.origin == source.origin:  # all of a topology is one object
                delta.sources[other] = replace(delta.sources.get(other, each), object=after)
        delta.sources[key] = replace(source, object=after)


def workload_of(pod: Pod) -> tuple[str, str]:
    """("Deployment", "shop/web"), or ("Pod", "shop/web") for a pod without a workload."""
    kind, slash, name = (pod.workload or "").partition("/")
    return (kind, f"{pod.ref.namespace}/{name}") if slash else ("Pod", str(pod.ref))


def _labelling(kind: str, name: str, source: Source, path: tuple[str | int, ...], labels: Labels) -> Patch:
    """The operations that set labels, relative to the object and to each other."""
    obj, operations = source.object, []
    for key, value in labels.items():
        operation = setting(obj, (*path, key), value)
        obj = patched(obj, (operation,))
        operations.append(operation)
    return Patch(kind, name, tuple(operations), source.origin)
