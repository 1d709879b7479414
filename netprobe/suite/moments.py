"""A suite, and its moments: the cluster after its policies are applied, then after each of its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, TypeAlias, assert_never

from netprobe.errors import InputError, Problem, UsageError
from netprobe.manifests import Document
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, External, Flow, PodRef
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.matrix import Matrix
from netprobe.model.policy import PolicyRef
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import Record
from netprobe.policies.records import ref_of, with_records, without
from netprobe.policies.records import refs as refs_of
from netprobe.suite.declaration import Declaration, Expectation
from netprobe.suite.topology import Topology

Changes: TypeAlias = Mapping[str, str | None]
"""Labels or annotations to set; None removes one."""


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Change labels or annotations of a namespace, or of the pods that `pod` names (all replicas)."""

    changes: Changes
    namespace: str | None = None
    pod: PodRef | None = None
    annotations: bool = False
    place: str = ""
    path: str = ""

    def pods(self, cluster: Cluster) -> tuple[PodRef, ...]:
        """The pods that `pod` names, by their own name or that of their workload."""
        if self.pod is None:
            return ()
        wanted = self.pod
        return tuple(
            pod.ref
            for pod in cluster.pods.values()
            if pod.ref == wanted
            or (
                pod.ref.namespace == wanted.namespace
                and pod.workload is not None
                and pod.workload.endswith(f"/{wanted.name}")
            )
        )


@dataclass(frozen=True, slots=True)
class ApplyPolicies:
    """Objects of policy kinds to create or replace, and their records; `documents` is what a cluster gets."""

    documents: tuple[Document, ...]
    records: tuple[Record, ...]
    place: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class DeletePolicies:
    policy: PolicyRef
    place: str = ""
    path: str = ""


StepAction: TypeAlias = SetMetadata | ApplyPolicies | DeletePolicies


def apply(cluster: Cluster, action: StepAction) -> Cluster:
    """The cluster after the action. InputError if it names something that does not exist."""
    match action:
        case SetMetadata():
            return _change(cluster, action)
        case ApplyPolicies(documents, records):
            refs = tuple(map(ref_of, records))
            for ref in refs:
                if ref.namespace and ref.namespace not in cluster.namespaces:
                    raise _error(action, f"there is no namespace {ref.namespace} for {ref}")
            sources = {
                (ref.kind, str(ref)): document.source for ref, document in zip(refs, documents, strict=False)
            }
            changed = with_records(cluster, records)
            return replace(changed, sources={**cluster.sources, **sources})
        case DeletePolicies(ref):
            found = without(cluster, ref)
            if found is None:
                known = ", ".join(map(str, refs_of(cluster, ref.kind))) or "none"
                raise _error(action, f"there is no {ref.kind} {ref} at this point (there are: {known})")
            return found
        case _:
            assert_never(action)


def _change(cluster: Cluster, action: SetMetadata) -> Cluster:
    if action.namespace is not None:
        namespace = cluster.namespaces.get(action.namespace)
        if namespace is None:
            raise _error(action, f"there is no namespace {action.namespace}")
        if action.annotations:  # no policy reads them
            return cluster
        labels = {**_changed(namespace.labels, action.changes), NAME_LABEL: namespace.name}
        changed = Namespace(namespace.name, labels)
        return replace(cluster, namespaces={**cluster.namespaces, namespace.name: changed})
    refs = action.pods(cluster)
    if not refs:
        raise _error(action, f"there is no pod {action.pod}")
    if action.annotations:
        return cluster
    pods = {ref: cluster.pods[ref] for ref in refs}
    new = {ref: replace(pod, labels=_changed(pod.labels, action.changes)) for ref, pod in pods.items()}
    return replace(cluster, pods={**cluster.pods, **new})


def _changed(labels: Labels, changes: Changes) -> dict[str, str]:
    result = dict(labels)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


def _error(action: StepAction, message: str) -> InputError:
    return InputError([Problem(action.place, action.path, message)])


FIRST: Final = "policies applied"


@dataclass(frozen=True, slots=True)
class SuiteStep:
    """A change, and what is expected after it."""

    name: str
    actions: tuple[StepAction, ...]
    expectation: Expectation


@dataclass(frozen=True)
class Moment:
    """A suite after one change: the `actions`, the cluster that they led to, and what is declared for it."""

    name: str
    actions: tuple[StepAction, ...]
    cluster: Cluster
    declaration: Declaration

    @cached_property
    def declared(self) -> Matrix[Verdict]:
        """The declared matrix; listed when it is first needed."""
        return self.declaration.matrix()

    def declared_by(self, flow: Flow) -> str | None:
        return self.declaration.declared_by(flow)


@dataclass(frozen=True, slots=True)
class Suite:
    """What to test, and what is expected.

    `topology` is None for a suite that probes what is in the cluster. `policies` are the objects that the
    run applies, of any policy kind, each with its namespace filled in; `parsed` are the same as records.
    `external_ports` maps the hosts outside to the ports that they declare.
    """

    name: str
    file: str
    topology: Topology | None
    external_ports: Mapping[External, tuple[ContainerPort, ...]]
    policies: tuple[Document, ...]
    parsed: tuple[Record, ...]
    expectation: Expectation
    steps: tuple[SuiteStep, ...] = ()

    @property
    def externals(self) -> tuple[External, ...]:
        return tuple(self.external_ports)

    def moments(self, live: Cluster | None = None) -> tuple[Moment, ...]:
        """The moments in their order; the first is the cluster with the suite's policies applied.

        `live` is the cluster without them. By default it is the topology, with made-up addresses. Raises
        InputError with everything that is wrong at any moment: rows that match nothing, policies of missing
        namespaces, and steps that cannot be taken.
        """
        cluster = self._before(live)
        problems: dict[Problem, None] = {}
        found = []
        for name, actions, expectation in self._changes():
            try:
                for action in actions:
                    cluster = apply(cluster, action)
                found.append(Moment(name, actions, cluster, Declaration(expectation, cluster)))
            except InputError as error:
                problems |= dict.fromkeys(error.problems)
        if problems:
            raise InputError(problems)
        return tuple(found)

    def cluster(self, live: Cluster | None = None, steps: int = 0) -> Cluster:
        """The cluster after that many steps, without the declaration.

        UsageError if the suite has fewer; InputError if an action names something that does not exist.
        """
        if steps > len(self.steps):
            raise UsageError(f"--step {steps}: {self.file} has {len(self.steps)}")
        cluster = self._before(live)
        for _, actions, _ in self._changes()[: steps + 1]:
            for action in actions:
                cluster = apply(cluster, action)
        return cluster

    def listeners(self) -> dict[PodRef | External, tuple[ContainerPort, ...]]:
        """For each pod of the topology and external host, every port that must be served.

        These are the declared ones, then those that only a row names at some moment: "any other port: DENY"
        can be probed only if something listens.
        """
        declared: dict[PodRef | External, tuple[ContainerPort, ...]] = {
            **{ref: pod.ports for ref, pod in self._before(None).pods.items()},
            **{host: ports for host, ports in self.external_ports.items()},  # noqa: C416 (a wider key)
        }
        served = {
            end: {(port.number, port.protocol): port for port in ports} for end, ports in declared.items()
        }
        for moment in self.moments():
            for end, port, protocol in moment.declaration.columns:
                if isinstance(end, PodRef | External) and end in served:
                    served[end].setdefault((port, protocol), ContainerPort(port, protocol))
        return {end: tuple(ports.values()) for end, ports in served.items()}

    def _before(self, live: Cluster | None) -> Cluster:
        if live is not None:
            return live
        return self.topology.cluster() if self.topology is not None else Cluster()

    def _changes(self) -> list[tuple[str, tuple[StepAction, ...], Expectation]]:
        first = (ApplyPolicies(self.policies, self.parsed, self.file, "policies"),) if self.policies else ()
        return [
            (FIRST, first, self.expectation),
            *((step.name, step.actions, step.expectation) for step in self.steps),
        ]
