"""Documents to a Cluster: each object once, pods of workloads not twice, namespaces complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Any

from netprobe.errors import InputError, Problem
from netprobe.manifests.document import Document, parse_policy
from netprobe.manifests.kinds import TEMPLATED
from netprobe.manifests.pod import is_finished, makes_no_pods, read_pod, read_template
from netprobe.manifests.service import read_service
from netprobe.model.cluster import Cluster, Namespace, Service
from netprobe.model.flow import Pod, PodRef, ServiceRef
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import Policy, PolicyRef
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import NameRule, check_labels

_SERVICES_START = int(IPv4Address("10.96.0.10"))

Owner = tuple[str, str, str]
"""Namespace, kind, name."""


@dataclass(slots=True)
class _Workload:
    pod: Pod
    key: Owner
    owner: Owner | None
    idle: bool


@dataclass(slots=True)
class Collector:
    """Takes documents and gives the cluster. `strict`: unknown fields of policies are errors, as in files.

    `described`: the namespaces of which there was an object, and whose labels are known for that.
    """

    strict: bool = True
    default_namespace: str = "default"
    problems: list[Problem] = field(default_factory=list)
    described: set[str] = field(default_factory=set)
    _seen: dict[tuple[str, str, str], Document] = field(default_factory=dict)
    _namespaces: dict[str, dict[str, str]] = field(default_factory=dict)
    _pods: list[tuple[Pod, Owner | None]] = field(default_factory=list)
    _claims: set[Owner] = field(default_factory=set)
    _workloads: list[_Workload] = field(default_factory=list)
    _policies: list[Policy] = field(default_factory=list)
    _services: list[tuple[Service, bool]] = field(default_factory=list)
    _generated: int = 0

    def add(self, document: Document) -> PolicyRef | None:
        """Take one object. Returns the name of a policy, which may be one that was made for it here."""
        kind = document.kind
        if kind == "NetworkPolicy":
            return self._policy(document)
        decoder = Decoder(strict=False)
        rule: NameRule = names.dns_label if kind == "Namespace" else names.dns_subdomain
        found = self._names(decoder, document, rule)
        if decoder.errors or self._is_new(kind, found, document):
            self._read(decoder, document, kind, *found)
        self.problems += document.problems(decoder.errors)
        return None

    def _read(self, decoder: Decoder, document: Document, kind: str, namespace: str, name: str) -> None:
        obj = document.object
        if kind == "Namespace":
            metadata = decoder.mapping(obj.get("metadata"), "metadata")
            labels = check_labels(decoder, metadata, "labels", "metadata")
            self._namespaces[name] = labels
            self.described.add(name)
            return
        self._namespaces.setdefault(namespace, {})
        owner = _owner(obj, namespace)
        if kind == "Pod":
            if owner is not None:
                self._claims.add(owner)
            if not is_finished(obj):
                workload = f"{owner[1]}/{owner[2]}" if owner else None
                self._pods.append((read_pod(decoder, obj, PodRef(namespace, name), workload), owner))
        elif kind == "Service":
            self._services.append(read_service(decoder, obj, ServiceRef(namespace, name)))
        elif kind in TEMPLATED:
            pod = read_template(decoder, obj, kind, PodRef(namespace, name))
            idle = makes_no_pods(decoder, obj, kind)
            self._workloads.append(_Workload(pod, (namespace, kind, name), owner, idle))

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
        if self._is_new("NetworkPolicy", (policy.ref.namespace, policy.ref.name), document):
            self._namespaces.setdefault(policy.ref.namespace, {})
            self._policies.append(policy)
        return policy.ref

    def _names(self, decoder: Decoder, document: Document, rule: NameRule) -> tuple[str, str]:
        """Namespace and name; what the server would refuse is collected."""
        metadata = decoder.mapping(document.object.get("metadata"), "metadata")
        name = decoder.string(metadata, "name", "metadata")
        if not name and (prefix := decoder.string(metadata, "generateName", "metadata")):
            name = self._generate(prefix)
        if name:
            decoder.errors += [fields.invalid("metadata.name", name, text) for text in rule(name)]
        elif metadata.get("name") in (None, ""):
            decoder.errors.append(fields.required("metadata.name", "name or generateName is required"))
        namespace = decoder.string(metadata, "namespace", "metadata") or self.default_namespace
        for text in names.dns_label(namespace):
            decoder.errors.append(fields.invalid("metadata.namespace", namespace, text))
        return namespace, name or ""

    def _generate(self, prefix: str) -> str:
        """A name such as the server makes of `generateName`: each object has its own."""
        self._generated += 1
        return f"{prefix}{self._generated:05d}"

    def _is_new(self, kind: str, found: tuple[str, str], document: Document) -> bool:
        namespace, name = found if kind != "Namespace" else ("", found[1])
        first = self._seen.setdefault((kind, namespace, name), document)
        if first is document:
            return True
        where = f"{namespace}/{name}" if namespace else name
        self.problems.append(
            document.problem("metadata.name", f"{kind} {where} is already at {first.origin}")
        )
        return False

    def cluster(self) -> Cluster:
        """What was collected. Raises InputError where anything was wrong."""
        if self.problems:
            raise InputError(self.problems)
        return Cluster(
            {
                name: Namespace(name, {**labels, NAME_LABEL: name})
                for name, labels in sorted(self._namespaces.items())
            },
            {pod.ref: pod for pod in (*self._real_pods(), *self._template_pods())},
            tuple(self._policies),
            dict(_addressed(self._services)),
        )

    def _real_pods(self) -> Iterator[Pod]:
        owners = {workload.key: workload.owner for workload in self._workloads}
        for pod, owner in self._pods:
            top = owner
            while top is not None and owners.get(top) is not None:
                top = owners[top]
            if top is None:
                yield pod
                continue
            kind, name = top[1:]
            if kind == "ReplicaSet" and (deployment := _deployment(pod.labels, name)):
                kind, name = "Deployment", deployment
            yield replace(pod, workload=f"{kind}/{name}")

    def _template_pods(self) -> Iterator[Pod]:
        """One pod for each workload that is not the work of another one, and has no Pod of its own here."""
        present = {workload.key for workload in self._workloads}
        owners = {workload.key: workload.owner for workload in self._workloads}
        served: set[Owner] = set()
        for pod, owner in self._pods_and_claims():
            top: Owner | None = owner
            while top is not None:
                served.add(top)
                if top[1] == "ReplicaSet" and (deployment := _deployment(pod, top[2])):
                    served.add((top[0], "Deployment", deployment))
                top = owners.get(top)
        taken = {pod.ref for pod, _ in self._pods}
        kept = [
            workload
            for workload in self._workloads
            if not workload.idle and workload.key not in served and workload.owner not in present
        ]
        refs = [workload.pod.ref for workload in kept]
        for workload in kept:
            ref = workload.pod.ref
            if ref in taken or refs.count(ref) > 1:
                ref = PodRef(ref.namespace, f"{ref.name}-{workload.key[1].lower()}")
            taken.add(ref)
            yield replace(workload.pod, ref=ref)

    def _pods_and_claims(self) -> Iterator[tuple[Mapping[str, str], Owner]]:
        yield from ((pod.labels, owner) for pod, owner in self._pods if owner is not None)
        yield from (({}, owner) for owner in self._claims)


def _owner(obj: Mapping[str, Any], namespace: str) -> Owner | None:
    """The controller of an object, if any. A malformed reference is none: it decides nothing."""
    metadata = obj.get("metadata")
    owners = metadata.get("ownerReferences") if isinstance(metadata, Mapping) else None
    for owner in owners if isinstance(owners, list) else ():
        if isinstance(owner, Mapping) and owner.get("controller", True) and owner.get("name"):
            return namespace, str(owner.get("kind")), str(owner["name"])
    return None


def _deployment(labels: Mapping[str, str], replica_set: str) -> str | None:
    """The Deployment behind a ReplicaSet that is not at hand: the name without the template's hash."""
    digest = labels.get("pod-template-hash")
    if digest and replica_set.endswith(f"-{digest}"):
        return replica_set.removesuffix(f"-{digest}")
    return None


def _addressed(services: list[tuple[Service, bool]]) -> Iterator[tuple[ServiceRef, Service]]:
    """Services with addresses: one that was never applied gets the next free one of 10.96.0.0/16."""
    used = {address for service, _ in services for address in service.addresses}
    candidate = _SERVICES_START
    for service, wants in services:
        if not wants:
            yield service.ref, service
            continue
        while IPv4Address(candidate) in used:
            candidate += 1
        used.add(IPv4Address(candidate))
        yield service.ref, replace(service, addresses=(IPv4Address(candidate),))
