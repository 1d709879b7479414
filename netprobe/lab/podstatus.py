"""A pod's status as a kubelet writes it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netprobe.lab.api.admission.notes import COMPLETES
from netprobe.lab.fabric.state import Placement
from netprobe.model.flow import Address, ContainerPort, Protocol
from netprobe.model.objects import Object

_OWN_CONDITIONS = {
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
}


def ports(pod: Mapping[str, Any]) -> tuple[ContainerPort, ...]:
    """The ports that a pod's containers declare."""
    return tuple(
        ContainerPort(port["containerPort"], Protocol(port.get("protocol", "TCP")), port.get("name"))
        for container in pod["spec"].get("containers", ())
        for port in container.get("ports", ())
    )


def condition(kind: str, holds: bool, at: str, old: Sequence[Object], **more: str) -> Object:
    """A condition; the time of its last turn is kept where it has not turned."""
    status = "True" if holds else "False"
    before = next((c for c in old if c["type"] == kind), None)
    turned = before["lastTransitionTime"] if before and before["status"] == status else at
    return {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": turned, **more}


def scheduled(pod: Object, node: str, at: str) -> None:
    """Bound to a node, nothing started yet."""
    pod["spec"]["nodeName"] = node
    status = pod["status"]
    conditions = status.setdefault("conditions", [])
    status["conditions"] = [
        *(c for c in conditions if c["type"] != "PodScheduled"),
        condition("PodScheduled", True, at, ()),
    ]
    status["startTime"] = at
    before = {c["name"]: c["restartCount"] for c in status.get("containerStatuses", ())}
    status["containerStatuses"] = [
        {
            **_container(c),
            "restartCount": before.get(c["name"], 0),
            "state": {"waiting": {"reason": "ContainerCreating"}},
            "started": False,
        }
        for c in pod["spec"].get("containers", ())
    ]


def unschedulable(pod: Object, why: str, at: str) -> None:
    status = pod["status"]
    old = status.get("conditions", [])
    verdict = condition("PodScheduled", False, at, old, reason="Unschedulable", message=why)
    status["conditions"] = [*(c for c in old if c["type"] != "PodScheduled"), verdict]


def running(pod: Object, placement: Placement, addresses: Sequence[Address], at: str) -> None:
    """All containers run; `addresses` are the pod's own, in order of preference."""
    status = pod["status"]
    node = placement.node.addresses
    status["phase"] = "Running"
    status["hostIP"] = str(node[0])
    status["hostIPs"] = [{"ip": str(address)} for address in node]
    if addresses:
        status["podIP"] = str(addresses[0])
        status["podIPs"] = [{"ip": str(address)} for address in addresses]
    uid = pod["metadata"]["uid"]
    before = {c["name"]: c["restartCount"] for c in status.get("containerStatuses", ())}
    status["containerStatuses"] = [
        {
            **_container(c),
            "containerID": f"netprobe-lab://{uid}-{c['name']}",
            "restartCount": before.get(c["name"], 0),
            "ready": True,
            "started": True,
            "state": {"running": {"startedAt": at}},
        }
        for c in pod["spec"].get("containers", ())
    ]
    status["initContainerStatuses"] = [
        {
            **_container(c),
            "ready": True,
            "started": False,
            "state": {
                "terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}
            },
        }
        for c in pod["spec"].get("initContainers", ())
    ]
    if not status["initContainerStatuses"]:
        del status["initContainerStatuses"]
    conditions(pod, at)


def conditions(pod: Object, at: str) -> None:
    """The kubelet's own conditions; those that others set (readiness gates) stay as they are."""
    status = pod["status"]
    old = status.get("conditions", [])
    live = status["phase"] == "Running"
    dead = {} if live else {"reason": "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"}
    shut = [
        g["conditionType"]
        for g in pod["spec"].get("readinessGates", ())
        if not _true(old, g["conditionType"])
    ]
    ready = live and not shut
    why = dict(dead)
    if live and shut:
        described = ", ".join(
            f'"{kind}" {"is set to" if _known(old, kind) else "does not exist"}' for kind in shut
        )
        text = f"the status of pod readiness gate {described}"
        why = {"reason": "ReadinessGatesNotReady", "message": text}
    status["conditions"] = [
        *(c for c in old if c["type"] not in _OWN_CONDITIONS),
        condition("PodReadyToStartContainers", live, at, old),
        condition("Initialized", True, at, old),
        condition("Ready", ready, at, old, **why),
        condition("ContainersReady", live, at, old, **dead),
        condition("PodScheduled", True, at, old),
    ]


def failed(pod: Object, reason: str, message: str, at: str) -> None:
    """Ended before its time: every container killed."""
    pod["status"] |= {"reason": reason, "message": message}
    ended(pod, 137, at)


def ended(pod: Object, code: int, at: str) -> None:
    """Every container has ended, with this status."""
    status = pod["status"]
    status["phase"] = "Failed" if code else "Succeeded"
    for container in status.get("containerStatuses", ()):
        container |= {"ready": False, "started": False, "state": {"terminated": _end(container, code, at)}}
    conditions(pod, at)


def _end(container: Object, code: int, at: str) -> Object:
    started = container["state"].get("running", {}).get("startedAt", at)
    reason = "Error" if code else "Completed"
    return {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": at}


def added(pod: Object, at: str) -> None:
    """The containers that were added to it since (kubectl debug) run."""
    told = pod["status"].setdefault("ephemeralContainerStatuses", [])
    known = {status["name"] for status in told}
    told += [
        {**_container(container), "state": {"running": {"startedAt": at}}}
        for container in pod["spec"].get("ephemeralContainers", ())
        if container["name"] not in known
    ]


def added_ended(pod: Object, name: str, code: int, at: str) -> None:
    """An added container has ended; it is not started again."""
    for container in pod["status"].get("ephemeralContainerStatuses", ()):
        if container["name"] == name:
            container["state"] = {"terminated": _end(container, code, at)}


def restart(pod: Object) -> None:
    """Its containers have ended and are about to run again."""
    status = pod["status"]
    for gone in ("podIP", "podIPs"):
        status.pop(gone, None)
    for container in status.get("containerStatuses", ()):
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        container |= {"ready": False, "started": False, "state": waiting}
        container["restartCount"] += 1
    status["phase"] = "Pending"
    conditions(pod, status["startTime"])


def restarted(pod: Mapping[str, Any]) -> bool:
    return any(c["restartCount"] for c in pod["status"].get("containerStatuses", ()))


def completes_after(pod: Mapping[str, Any]) -> float:
    """Seconds; 0 for never."""
    if pod["spec"].get("restartPolicy", "Always") == "Always":
        return 0.0
    try:
        return max(0.0, float((pod["metadata"].get("annotations") or {}).get(COMPLETES, "0")))
    except ValueError:
        return 0.0


def is_ready(pod: Mapping[str, Any]) -> bool:
    return _true(pod.get("status", {}).get("conditions", ()), "Ready")


def _true(conditions_: Sequence[Object], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in conditions_)


def _known(conditions_: Sequence[Object], kind: str) -> bool:
    return any(c["type"] == kind for c in conditions_)


def _container(container: Object) -> Object:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "lastState": {},
        "ready": False,
        "restartCount": 0,
    }
