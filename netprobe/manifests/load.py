"""Manifests or live objects to a Cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from netprobe.manifests.collect import Collector
from netprobe.manifests.document import Document
from netprobe.manifests.kinds import Relevance, relevance
from netprobe.manifests.reader import Progress, Reader
from netprobe.model.cluster import Cluster
from netprobe.model.policy import Origin


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the cluster, and how many objects of which kind were passed over.

    `not_simulated` is the part of `passed_over` that decides flows too: policies of Calico, Cilium and
    others. `overlays` are folders from whose files Kustomize makes other objects than they hold.
    """

    cluster: Cluster
    passed_over: Mapping[str, int] = field(default_factory=dict)
    not_simulated: Mapping[str, int] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()


def load(paths: Iterable[str | os.PathLike[str]], *, progress: Progress | None = None) -> Loaded:
    """Read files, folders and "-" as one cluster. Raises InputError with every problem, in order of
    reading.

    Pods are Pod objects, finished ones left out, and one pod, under the workload's name, for each workload
    that has no Pod object here: replicas are alike to every policy. A ReplicaSet of a Deployment that is
    present, a Job of a CronJob that is present, and what has `replicas: 0` or is over make none. Where two
    workloads of a namespace have one name, their pods are called NAME-KIND. A Service that was never
    applied gets an address of 10.96.0.0/16, since one without an address would be headless.
    """
    reader = Reader(progress)
    collector = Collector(problems=reader.problems)  # one list, in the order of reading
    for document in reader.documents(paths):
        collector.add(document)
    return Loaded(
        collector.cluster(), dict(reader.passed_over), dict(reader.not_simulated), tuple(reader.overlays)
    )


def from_objects(objects: Iterable[Mapping[str, Any]]) -> Cluster:
    """The cluster that live API objects describe, with the spelling and types of the API's JSON.

    Unknown fields are let pass: a newer server may have more. Kinds that do not matter are left out. Raises
    InputError where an object cannot be understood.
    """
    collector = Collector(strict=False)
    for obj in objects:
        kind, metadata = str(obj.get("kind")), obj.get("metadata") or {}
        if relevance(str(obj.get("apiVersion")), kind)[0] is not Relevance.MATTERS:
            continue
        name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
        collector.add(Document(Origin(f"{kind} {name}", 0), obj))
    return collector.cluster()
