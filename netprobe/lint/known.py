"""How much of a cluster the input shows: what a rule may conclude from something that is missing.

A folder of manifests is seldom a whole cluster. If no namespace in it has a label, that is certain in a
dump of a cluster, likely if the namespaces are described, and means nothing if there are only policies.
Pods may also come from objects that netprobe does not read (a `Prometheus`, a Knative `Service`), so with a
custom resource or its definition, a missing pod means nothing. Neither does one where templates were skipped,
or where Kustomize still adds labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import ServiceRef

ALWAYS_THERE = "kube-system"  # in every cluster, but not in the manifests of an application


@dataclass(frozen=True, slots=True)
class Known:
    """What the input contains.

    `whole`: all namespaces of the cluster, so what is missing does not exist. `namespaces`: those whose
    labels are given. `addressed`: the Services whose addresses are given and not invented. `foreign`: pods
    or labels may come from something that is not in the input.
    """

    whole: bool = False
    namespaces: frozenset[str] = frozenset()
    addressed: frozenset[ServiceRef] = frozenset()
    foreign: bool = False


NOTHING = Known()


def known(
    objects: Iterable[Mapping[str, Any]],
    skipped: Iterable[str] = (),
    *,
    live: bool = False,
    partial: bool = False,
    unsure: Collection[str] = (),
) -> Known:
    """What the objects show: manifests, or what the API of a cluster lists (`live`).

    `skipped` are the kinds that do not matter to the network, as "Kind" or "Kind.group". `partial`: templates
    or Kustomize may add pods and labels. `unsure` are namespaces whose labels differ between variants.
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
    foreign = partial or any(_is_custom(kind) for kind in skipped)
    whole = live or ALWAYS_THERE in namespaces
    return Known(whole, frozenset(namespaces - set(unsure)), frozenset(addressed), foreign)


def _is_custom(kind: str) -> bool:
    """Whether a kind is a custom resource or defines one. Kubernetes has the groups "" and *.k8s.io."""
    name, _, group = kind.partition(".")
    return name == "CustomResourceDefinition" or (bool(group) and not group.endswith("k8s.io"))
