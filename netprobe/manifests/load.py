"""Manifests or live objects to a Cluster: each object and each pod once, namespaces complete."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests.document import Document, parse_policy
from netprobe.manifests.kinds import WORKLOADS, Relevance, relevance
from netprobe.manifests.pod import is_finished, read_pod
from netprobe.manifests.reader import Reader
from netprobe.manifests.service import read_service
from netprobe.manifests.workload import Owner, Workload, all_pods, owner_of, read_workload
from netprobe.model.cluster import Cluster, Namespace, Service
from netprobe.model.flow import Pod, PodRef, ServiceRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.objects import Source
from netprobe.model.policy import Origin, Policy, PolicyRef
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import check_labels, read_names

_FIRST_SERVICE_ADDRESS = IPv4Address("10.96.0.10")


@dataclass(frozen=True, slots=True)
class Loaded:
    """The cluster that was read, and how many objects of which kind were skipped.

    `not_simulated` is the part of `skipped` that decides flows too: policies of Calico, Cilium and
    others. `overlays` are folders whose files Kustomize changes.
    """

    cluster: Cluster
    skipped: Mapping[str, int] = field(default_factory=dict)
    not_simulated: Mapping[str, int] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()


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
    for document in reader.documents(paths):
        collector.add(document)
    return Loaded(
        collector.cluster(), dict(reader.skipped), dict(reader.not_simulated), tuple(reader.overlays)
    )


def from_objects(objects: Iterable[Mapping[str, Any]]) -> Cluster:
    """The cluster that live API objects describe, as the API's JSON has them.

    Unknown fields are allowed: a newer server may have more. Kinds that do not matter are skipped. Raises
    InputError if an object cannot be understood.
    """
    collector = Collector(strict=False)
    for obj in objects:
        kind, metadata = str(obj.get("kind")), obj.get("metadata") or {}
        if relevance(str(obj.get("apiVersion")), kind)[0] is Relevance.MATTERS:
            name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
            collector.add(Document(Origin(f"{kind} {name}", 0), obj))
    return collector.cluster()


@dataclass(slots=True)
class Collector:
    """Takes documents and makes the cluster. `strict`: unknown fields of policies are errors, as in files.

    `described`: the namespaces that have an object of their own, so that their labels are known.
    """

    strict: bool = True
    default_namespace: str = "default"
    problems: list[Problem] = field(default_factory=list)
    described: set[str] = field(default_factory=set)
    _seen: dict[tuple[str, str, str], Origin] = field(default_factory=dict)
    _namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    _pods: list[tuple[Pod, Owner | None]] = field(default_factory=list)
    _finished: list[Owner] = field(default_factory=list)
    _workloads: dict[Owner, Workload] = field(default_factory=dict)
    _policies: list[Policy] = field(default_factory=list)
    _services: list[tuple[Service, bool]] = field(default_factory=list)
    _sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    _generated: int = 0

    def add(self, document: Document) -> PolicyRef | None:
        """Take one object. Returns the name of a policy, which may have been generated here."""
        if document.policy_kind is not None:
            return self._policy(document)
        decoder = Decoder(strict=False)
        namespace, name = self._name(decoder, document)
        if decoder.errors or self._is_new(document, namespace, name):
            self._read(decoder, document, namespace, name)
        self.problems += document.problems(decoder.errors)
        return None

    def _read(self, decoder: Decoder, document: Document, namespace: str, name: str) -> None:
        obj, kind = document.object, document.kind
        metadata = decoder.mapping(obj.get("metadata"), "metadata")
        if kind == "Namespace":
            self._namespaces[name] = check_labels(decoder, metadata, "labels", "metadata")
            self._sources[kind, name] = document.source
            self.described.add(name)
            return
        self._namespaces.setdefault(namespace, {})
        if kind == "Pod":
            owner = owner_of(obj, namespace)
            if not is_finished(obj):
                self._pods.append((read_pod(decoder, obj, PodRef(namespace, name)), owner))
                if owner is None:
                    self._sources[kind, f"{namespace}/{name}"] = document.source
            elif owner is not None:
                self._finished.append(owner)
        elif kind == "Service":
            self._services.append(read_service(decoder, obj, ServiceRef(namespace, name)))
        elif kind in WORKLOADS:
            key = Owner(namespace, kind, name)
            self._workloads[key] = read_workload(decoder, obj, key)
            self._sources[kind, f"{namespace}/{name}"] = document.source

    def _policy(self, document: Document) -> PolicyRef | None:
        try:
            policy = parse_policy(document, namespace=self.default_namespace, strict=self.strict)
        except InputError as error:
            self.problems += error.problems
            return None
        metadata = document.object["metadata"]
        if not metadata.get("name"):
            ref = PolicyRef(policy.ref.namespace, self._generate(metadata["generateName"]))
            policy = replace(policy, ref=ref)
        if self._is_new(document, policy.ref.namespace, policy.ref.name):
            self._namespaces.setdefault(policy.ref.namespace, {})
            self._policies.append(policy)
            self._sources[policy.kind, str(policy.ref)] = document.source
        return policy.ref

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
        """Whether no other object of that kind has this name; the second one is a problem."""
        kind = document.kind
        where = name if kind == "Namespace" else f"{namespace}/{name}"
        group = document.api_version.rpartition("/")[0]  # several have a kind NetworkPolicy
        key = (f"{kind}.{group}", "" if kind == "Namespace" else namespace, name)
        first = self._seen.setdefault(key, document.origin)
        if first is document.origin:
            return True
        self.problems.append(document.problem("metadata.name", f"{kind} {where} is already at {first}"))
        return False

    def cluster(self) -> Cluster:
        """What was collected. Raises InputError if anything was wrong."""
        if self.problems:
            raise InputError(self.problems)
        return Cluster(
            {
                name: Namespace(name, {**labels, NAME_LABEL: name})
                for name, labels in sorted(self._namespaces.items())
            },
            {pod.ref: pod for pod in all_pods(self._pods, self._finished, self._workloads)},
            tuple(self._policies),
            dict(_with_addresses(self._services)),
            sources=self._sources,
        )


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
