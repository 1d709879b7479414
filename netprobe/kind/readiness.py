"""How far a cluster is from ready, read from what kubectl prints."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from netprobe.errors import KindError
from netprobe.model.objects import ReadOnlyObject

PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True)
class ClusterReadiness:
    """`missing`: a few words for each thing that is not ready. `unpulled`: images that cannot be pulled."""

    missing: tuple[str, ...]
    unpulled: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join(self.missing) or "everything is ready"


def read(text: str) -> list[ReadOnlyObject]:
    """The objects of `kubectl get -o json`."""
    try:
        return list(json.loads(text)["items"])
    except (ValueError, KeyError, TypeError) as e:
        raise KindError("the kubectl of the kind node did not print a list of objects") from e


def readiness(objects: Iterable[ReadOnlyObject]) -> ClusterReadiness:
    """What is not ready of the nodes, and of the DaemonSets, Deployments and pods of kube-system.

    An object that its controller has not looked at yet counts as not ready: its status says 0 of 0.
    """
    nodes: list[bool] = []
    missing: list[str] = []
    unpulled: list[str] = []
    for obj in objects:
        status = obj.get("status") or {}
        match obj["kind"]:
            case "Node":
                nodes.append(_is_ready(status))
            case "DaemonSet":
                wanted = int(status.get("desiredNumberScheduled", 0))
                missing += _short(obj, int(status.get("numberReady", 0)), wanted)
            case "Deployment":
                wanted = int((obj.get("spec") or {}).get("replicas", 1))
                missing += _short(obj, int(status.get("readyReplicas", 0)), wanted)
            case "Pod":
                unpulled += _unpulled(status)
    if not all(nodes) or not nodes:
        missing.insert(0, f"{sum(nodes)} of {len(nodes)} nodes ready")
    return ClusterReadiness(tuple(missing), tuple(dict.fromkeys(unpulled)))


def daemon_sets(objects: Iterable[ReadOnlyObject]) -> list[str]:
    """The names of the DaemonSets, network plugins among them."""
    return [str(obj["metadata"]["name"]) for obj in objects if obj["kind"] == "DaemonSet"]


def _short(obj: ReadOnlyObject, have: int, wanted: int) -> list[str]:
    seen = (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)
    return [] if seen and have >= wanted else [f"{obj['metadata']['name']} {have} of {wanted}"]


def _is_ready(status: ReadOnlyObject) -> bool:
    conditions = status.get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _unpulled(status: ReadOnlyObject) -> list[str]:
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [
        str(one.get("image"))
        for one in containers
        if ((one.get("state") or {}).get("waiting") or {}).get("reason") in PULLING
    ]
