"""How much of a cluster the input shows: what a rule may conclude from something that is not there.

A folder of manifests is seldom a whole cluster. That no namespace in it carries a label means much where
the input is a dump of a cluster, something where its namespaces are described, and nothing where there
are only policies. Pods may also come from objects that no reader understands (a `Prometheus`, a Knative
`Service`), so a custom resource or its definition makes the absence of a pod mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import ServiceRef

ALWAYS_THERE = "kube-system"  # every cluster has it, an application's manifests do not


@dataclass(frozen=True, slots=True)
class Known:
    """What was given.

    `whole`: every namespace the cluster has, so that what is missing does not exist. `namespaces`: the ones
    whose labels were given. `addressed`: the Services whose addresses were given and not made up.
    `foreign`: the input holds custom resources, from which pods may come.
    """

    whole: bool = False
    namespaces: frozenset[str] = frozenset()
    addressed: frozenset[ServiceRef] = frozenset()
    foreign: bool = False


NOTHING = Known()


def known(objects: Iterable[Mapping[str, Any]], skipped: Iterable[str] = (), *, live: bool = False) -> Known:
    """Weigh the objects that were read: raw manifests, or what a cluster's API lists (`live`).

    `skipped` names the kinds that do not matter to the network, as "Kind" or "Kind.group".
    """
    namespaces: set[str] = set()
    addressed: set[ServiceRef] = set()
    for thing in objects:
        metadata, spec = thing.get("metadata"), thing.get("spec")
        if not isinstance(metadata, Mapping) or not isinstance(name := metadata.get("name"), str):
            continue
        if thing.get("kind") == "Namespace":
            namespaces.add(name)
        elif thing.get("kind") == "Service" and isinstance(spec, Mapping) and spec.get("clusterIP"):
            addressed.add(ServiceRef(str(metadata.get("namespace") or "default"), name))
    foreign = any(_is_custom(kind) for kind in skipped)
    return Known(live or ALWAYS_THERE in namespaces, frozenset(namespaces), frozenset(addressed), foreign)


def _is_custom(kind: str) -> bool:
    """Whether a kind is a custom resource, or defines one, as operators' manifests do.

    The kinds of Kubernetes itself have no group, or one of k8s.io.
    """
    name, _, group = kind.partition(".")
    return name == "CustomResourceDefinition" or (bool(group) and not group.endswith("k8s.io"))
