"""Manifests or live objects to a Cluster: each object and each pod once, namespaces complete."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests.document import Document, read_record
from netprobe.manifests.kinds import WORKLOADS, Relevance, relevance
from netprobe.manifests.pod import is_finished, read_node, read_pod
from netprobe.manifests.reader import Reader
from netprobe.manifests.repeats import Repeats
from netprobe.manifests.service import read_endpoints, read_service
from netprobe.manifests.workload import Owner, Workload, all_pods, owner_of, read_workload, undecided
from netprobe.model.cluster import Cluster, ManualEndpoint, Namespace, Node, Service
from netprobe.model.flow import Pod, PodRef, ServiceRef
from netprobe.model.labels import NAME_LABEL, Labels
from netprobe.model.objects import Source
from netprobe.model.policy import (
    Origin,
    Policy,
    PolicyRef,
    Unsimulated,
)
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder
from netprobe.policies.kinds import BY_KEY, Record, is_mirror, kind_of
from netprobe.policies.metadata import check_labels, read_names
from netprobe.policies.records import TIER, ref_of, with_records

MAY_NOT_LIST = "(may not be listed)"
"""In place of a name: policies of a kind that may exist."""

_FIRST_SERVICE_ADDRESS = IPv4Address("10.96.0.10")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The cluster that was read, and what was skipped.

    `skipped` counts by kind the objects that do not matter to the network, `not_simulated` policies of other
    kinds. `others` are files of folders that are not Kubernetes objects.
    """

    cluster: Cluster
    skipped: Mapping[str, int] = field(default_factory=dict)
    not_simulated: Mapping[str, int] = field(default_factory=dict)
    others: tuple[str, ...] = ()


def load(paths: Iterable[str | os.PathLike[str]]) -> Loaded:
    """Read files, folders and "-" as one cluster. Raises InputError with every problem, in reading order.

    Pods are Pod objects without the finished ones, and one pod, named like the workload, for each workload
    that has no Pod object here: replicas are alike to every policy. A ReplicaSet of a Deployment that is
    present, a Job of a CronJob that is present, and workloads with `replicas: 0` or that are over have none.
    If two workloads of a namespace have the same name, their pods are called NAME-KIND. A Service without an
    address, which was never applied, gets one of 10.96.0.0/16; otherwise it would look headless.
    """
    reader = Reader()
    collector = Collector(problems=reader.problems)  # one list, in reading order
    collector.read(reader, paths)
    return Loaded(collector.cluster(), reader.skipped, reader.not_simulated, tuple(reader.others))


def from_objects(objects: Iterable[Mapping[str, Any]], unreadable: Iterable[str] = ()) -> Cluster:
    """The cluster that live API objects describe, as the API's JSON has them.

    Unknown fields are allowed: a newer server may have more. Kinds that do not matter are skipped. Raises
    InputError if an object cannot be understood.
    `unreadable`: the keys of policy kinds that may not be listed. Policies among them may decide any flow.
    """
    collector = Collector(strict=False)
    for obj in objects:
        kind, metadata = str(obj.get("kind")), obj.get("metadata") or {}
        relevant = relevance(str(obj.get("apiVersion")), kind)[0]
        if relevant in {Relevance.MATTERS, Relevance.NOT_SIMULATED}:
            name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
            collector.add(Document(Origin(f"{kind} {name}", 0), obj))
    return without_kinds(collector.cluster(), tuple(unreadable))


def without_kinds(cluster: Cluster, unreadable: tuple[str, ...]) -> Cluster:
    """The cluster, marked as incomplete if objects of some kinds could not be listed."""
    if not unreadable:
        return cluster
    refs = (PolicyRef("", MAY_NOT_LIST, kind) for kind in unreadable if BY_KEY[kind].decides)
    warning = (
        f"these credentials may not list {', '.join(unreadable)}: if there are some, they are not evaluated"
    )
    return replace(
        cluster,
        tiers_known=cluster.tiers_known and TIER not in unreadable,
        unsimulated=(*cluster.unsimulated, *map(Unsimulated, refs)),
        warnings=(*cluster.warnings, warning),
    )


@dataclass(slots=True)
class Collector:
    """Takes documents and makes the cluster. `strict`: unknown fields of policies are errors, as in files.

    `described`: the namespaces that have an object, so that their labels are known.
    `warnings`: what the enforcer of an object ignores in it.
    """

    strict: bool = True
    default_namespace: str = "default"
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    described: set[str] = field(default_factory=set)
    _repeats: Repeats = field(default_factory=Repeats)
    _namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    _pods: list[tuple[Pod, Owner | None]] = field(default_factory=list)
    _ended: list[Pod] = field(default_factory=list)
    _finished: list[Owner] = field(default_factory=list)
    _endpoints: dict[ServiceRef, list[ManualEndpoint]] = field(default_factory=dict)
    _workloads: dict[Owner, Workload] = field(default_factory=dict)
    _records: list[Record] = field(default_factory=list)
    _accounts: dict[tuple[str, str], Labels] = field(default_factory=dict)
    _nodes: dict[str, Node] = field(default_factory=dict)
    _unsimulated: list[Unsimulated] = field(default_factory=list)
    _services: list[tuple[Service, bool]] = field(default_factory=list)
    _sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    _left_out: tuple[str, ...] = ()
    _generated: int = 0

    def read(self, reader: Reader, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Take everything in files, folders and "-"."""
        for document in reader.documents(paths):
            self.add(document)
        self._unsimulated += [
            unsimulated(document, self.default_namespace) for document in reader.unsimulated
        ]
        self._left_out = reader.warnings

    def add(self, document: Document) -> PolicyRef | None:
        """Take one object. Returns the name of a policy, which may have been generated here."""
        if document.policy_kind is not None:
            return self._record(document)
        if kind_of(document.api_version, document.kind) is not None:
            self._unsimulated.append(unsimulated(document, self.default_namespace))
            return None
        decoder = Decoder(strict=False)
        namespace, name = self._name(decoder, document)
        if decoder.errors or self._is_new(document, namespace, name):
            self._read(decoder, document, namespace, name)
        self.problems += document.problems(decoder.errors)
        return None

    def _read(self, decoder: Decoder, document: Document, namespace: str, name: str) -> None:
        obj, kind = document.object, document.kind
        metadata = decoder.mapping(obj.get("metadata"), "metadata")
        if kind == "Node":
            self._nodes[name] = read_node(decoder, obj, name)
            return
        if kind == "Namespace":
            self._namespaces[name] = check_labels(decoder, metadata, "labels", "metadata")
            self._sources[kind, name] = document.source
            self.described.add(name)
            return
        self._namespaces.setdefault(namespace, {})
        if kind == "Pod":
            self._pod(document, read_pod(decoder, obj, PodRef(namespace, name)))
        elif kind == "ServiceAccount":
            self._accounts[namespace, name] = check_labels(decoder, metadata, "labels", "metadata")
        elif kind in {"EndpointSlice", "Endpoints"}:
            service, endpoints = read_endpoints(decoder, obj)
            self._endpoints.setdefault(ServiceRef(namespace, service), []).extend(endpoints)
        elif kind == "Service":
            self._services.append(read_service(decoder, obj, ServiceRef(namespace, name)))
        elif kind in WORKLOADS:
            key = Owner(namespace, kind, name)
            self._workloads[key] = read_workload(decoder, obj, key)
            self._sources[kind, f"{namespace}/{name}"] = document.source

    def _pod(self, document: Document, pod: Pod) -> None:
        owner = owner_of(document.object, pod.ref.namespace)
        if is_finished(document.object):
            self._ended.append(pod)
            if owner is not None:
                self._finished.append(owner)
            return
        self._pods.append((pod, owner))
        if owner is None:
            self._sources["Pod", str(pod.ref)] = document.source

    def _record(self, document: Document) -> PolicyRef | None:
        """Take an object of a policy kind. Returns the name of a policy."""
        if is_mirror(document.object):
            return None
        record, decoder = read_record(document, namespace=self.default_namespace, strict=self.strict)
        self.problems += document.problems(decoder.errors)
        self.warnings += document.problems(decoder.warnings)
        match record:
            case None:
                return None
            case Unsimulated():
                self._unsimulated.append(record)
                return None
            case Policy():
                record = self._named(document, record)
        ref = ref_of(record)
        if self._is_new(document, ref.namespace, ref.name):
            self._records.append(record)
            if isinstance(record, Policy):
                self._sources[ref.kind, str(ref)] = document.source
                if ref.namespace:
                    self._namespaces.setdefault(ref.namespace, {})
        return ref if isinstance(record, Policy) else None

    def _named(self, document: Document, policy: Policy) -> Policy:
        """The policy with the name that a server would make if it only has a `generateName`."""
        metadata = document.object["metadata"]
        if metadata.get("name"):
            return policy
        return replace(policy, ref=replace(policy.ref, name=self._generate(metadata["generateName"])))

    def _name(self, decoder: Decoder, document: Document) -> tuple[str, str]:
        """Namespace and name; what the server would refuse is collected."""
        rule = names.dns_label if document.kind == "Namespace" else names.dns_subdomain
        metadata = decoder.mapping(document.object.get("metadata"), "metadata")
        name, prefix, namespace = read_names(decoder, metadata, rule)
        if not namespace:
            namespace = self.default_namespace
            for text in names.dns_label(namespace):
                decoder.errors.append(fields.invalid("metadata.namespace", namespace, text))
        return namespace, name or (self._generate(prefix) if prefix else "")

    def _generate(self, prefix: str) -> str:
        """A name as the server would make it from `generateName`, different for each object."""
        self._generated += 1
        return f"{prefix}{self._generated:05d}"

    def _is_new(self, document: Document, namespace: str, name: str) -> bool:
        """Whether no other object of that kind has this name; a different one is a problem."""
        known = kind_of(document.api_version, document.kind)
        if document.kind in {"Namespace", "Node"} or (known is not None and not known.namespaced):
            namespace = ""
        repeat = self._repeats.add(document, namespace, name)
        if repeat is not None and not repeat.identical:
            self.problems.append(repeat.problem)
        return repeat is None

    def cluster(self) -> Cluster:
        """What was collected. Raises InputError if anything was wrong."""
        if self.problems:
            raise InputError(self.problems)
        made = Cluster(
            {
                name: Namespace(name, {**labels, NAME_LABEL: name})
                for name, labels in sorted(self._namespaces.items())
            },
            {pod.ref: pod for pod in all_pods(self._pods, self._finished, self._workloads)},
            (),
            {ref: self._with_endpoints(service) for ref, service in _with_addresses(self._services)},
            tiers_known=not self.strict,
            service_accounts=self._accounts,
            nodes=self._nodes,
            unsimulated=tuple(self._unsimulated),
            finished={pod.ref: pod for pod in self._ended},
            sources=self._sources,
            warnings=(*self._left_out, *_not_simulated(self._unsimulated), *map(str, self.warnings)),
        )
        made = with_records(made, self._records)
        return replace(made, warnings=(*made.warnings, *undecided(made)))

    def _with_endpoints(self, service: Service) -> Service:
        """A Service without a selector with the endpoints that were read; others as they are."""
        found = self._endpoints.get(service.ref)
        if service.selector is not None or service.external_name is not None or found is None:
            return service
        return replace(service, endpoints=tuple(dict.fromkeys(found)))


def unsimulated(document: Document, default_namespace: str = "default") -> Unsimulated:
    """An object of a kind that is not simulated. Nothing in it is checked."""
    kind, metadata = kind_of(document.api_version, document.kind), document.object.get("metadata")
    known: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    namespaced = kind is None or kind.namespaced
    ref = PolicyRef(
        str(known.get("namespace") or default_namespace) if namespaced else "",
        str(known.get("name") or known.get("generateName") or ""),
        f"{document.kind}.{document.api_version.rpartition('/')[0]}" if kind is None else kind.key,
    )
    return Unsimulated(ref, origin=document.origin if document.origin.line else None)


def _not_simulated(objects: Iterable[Unsimulated]) -> Iterator[str]:
    kinds = Counter(each.ref.kind for each in objects)
    if kinds:
        counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        yield f"not simulated, though they may decide flows: {counted}"


def _with_addresses(services: list[tuple[Service, bool]]) -> Iterator[tuple[ServiceRef, Service]]:
    """Services by name; one that still needs an address gets the next free one of 10.96.0.0/16."""
    used = {address for service, _ in services for address in service.addresses}
    candidate = _FIRST_SERVICE_ADDRESS
    for service, needs_address in services:
        if not needs_address:
            yield service.ref, service
            continue
        while candidate in used:
            candidate += 1
        used.add(candidate)
        yield service.ref, replace(service, addresses=(candidate,))
