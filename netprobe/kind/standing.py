"""How far a cluster has come up, read from what kubectl prints. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from netprobe.errors import KindError
from netprobe.model.objects import ReadOnlyObject

PULLING: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True)
class Standing:
    """`missing`: a few words for each thing that is not ready. `unpulled`: images not to be had."""

    missing: tuple[str, ...]
    unpulled: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        return not self.missing

    def __str__(self) -> str:
        return "; ".join(self.missing) or "all is ready"


def read(text: str) -> list[ReadOnlyObject]:
    """The objects of `kubectl get -o json`."""
    try:
        items = json.loads(text)["items"]
    except (ValueError, KeyError, TypeError) as e:
        raise KindError("the kubectl of the kind node prints something that is no list of objects") from e
    return list(items)


def standing(objects: Iterable[ReadOnlyObject]) -> Standing:
    """How far nodes, DaemonSets, Deployments and pods of kube-system are.

    A controller that has not yet looked at its object counts as not ready: its status says 0 of 0.
    """
    kinds: dict[str, list[ReadOnlyObject]] = {}
    for obj in objects:
        kinds.setdefault(str(obj["kind"]), []).append(obj)
    missing = []
    nodes = kinds.get("Node", [])
    ready = sum(_condition(node, "Ready") for node in nodes)
    if ready < len(nodes) or not nodes:
        missing.append(f"{ready} of {len(nodes)} nodes ready")
    for obj in kinds.get("DaemonSet", []):
        status = obj.get("status") or {}
        wanted = max(int(status.get("desiredNumberScheduled", 0)), 0)
        missing += _short(obj, int(status.get("numberReady", 0)), wanted)
    for obj in kinds.get("Deployment", []):
        wanted = int((obj.get("spec") or {}).get("replicas", 1))
        missing += _short(obj, int((obj.get("status") or {}).get("readyReplicas", 0)), wanted)
    pods = kinds.get("Pod", [])
    return Standing(tuple(missing), tuple(dict.fromkeys(image for pod in pods for image in _unpulled(pod))))


def daemon_sets(objects: Iterable[ReadOnlyObject]) -> list[str]:
    """The names of the DaemonSets, network plugins among them."""
    return [str(obj["metadata"]["name"]) for obj in objects if obj["kind"] == "DaemonSet"]


def _short(obj: ReadOnlyObject, have: int, wanted: int) -> list[str]:
    seen = (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)
    return [] if seen and have >= wanted else [f"{obj['metadata']['name']} {have} of {wanted}"]


def _condition(obj: ReadOnlyObject, kind: str) -> bool:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


def _unpulled(pod: ReadOnlyObject) -> list[str]:
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return [
        str(one.get("image"))
        for one in containers
        if ((one.get("state") or {}).get("waiting") or {}).get("reason") in PULLING
    ]
