"""A pod's status as the kubelet writes it. The functions here read and change nothing but the pod."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from netprobe.lab import agnhost
from netprobe.lab.fabric.state import LabNode
from netprobe.manifests.pod import ports_of
from netprobe.model.flow import Address, ContainerPort, Protocol
from netprobe.model.objects import Object
from netprobe.policies.fields import Decoder

READY = "netprobe.dev/ready"
"""On a pod: "false" makes it not ready."""

_CREATING = {"waiting": {"reason": "ContainerCreating"}}

# What a pod's spec and annotations say


def ports(pod: Mapping[str, Any]) -> tuple[ContainerPort, ...]:
    """The ports that a pod's containers declare, sidecars included, and those that agnhost opens in them."""
    declared = ports_of(Decoder(strict=False), pod["spec"], "spec")
    known = {(port.number, port.protocol) for port in declared}
    opened = [
        ContainerPort(number, Protocol(protocol))
        for container in pod["spec"].get("containers", ())
        for number, protocol in agnhost.served((*container.get("command", ()), *container.get("args", ())))
        if (number, Protocol(protocol)) not in known
    ]
    return (*declared, *opened)


def failing_probes(pod: Mapping[str, Any]) -> dict[str, str]:
    """The containers whose readiness or startup probe cannot succeed, with the reason.

    Such a probe connects to a port on which nothing listens, since the lab only serves declared ports. Probes
    that run a command are taken to succeed, as no image is run.
    """
    declared = {port.number for port in ports(pod) if port.protocol is Protocol.TCP}
    found = {}
    for container in pod["spec"].get("containers", ()):
        for kind in ("readinessProbe", "startupProbe"):
            port = _probed_port(container, container.get(kind) or {})
            if port is not None and port not in declared:
                name = kind.removesuffix("Probe").title()
                found[container["name"]] = f"{name} probe failed: no container declares the TCP port {port}"
    return found


def _probed_port(container: Mapping[str, Any], probe: Mapping[str, Any]) -> int | str | None:
    """The port that a probe connects to: a number, or the name if the container has no such port."""
    for kind in ("httpGet", "tcpSocket", "grpc"):
        if (action := probe.get(kind)) and not action.get("host"):
            named = {port.get("name"): port["containerPort"] for port in container.get("ports", ())}
            port: int | str = action["port"]
            return named.get(port, port) if isinstance(port, str) else port
    return None


# What the status says


def is_ready(pod: Mapping[str, Any]) -> bool:
    return _holds(pod.get("status", {}).get("conditions", ()), "Ready")


def restarted(pod: Mapping[str, Any]) -> bool:
    return any(c["restartCount"] for c in pod["status"].get("containerStatuses", ()))


def _holds(conditions: Sequence[Object], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


# What the kubelet writes


def scheduled(pod: Object, node: str, at: str) -> None:
    """The pod is bound to a node, and nothing is started yet."""
    pod["spec"]["nodeName"] = node
    _set_condition(pod, "PodScheduled", True, at)
    pod["status"]["startTime"] = at
    pod["status"]["containerStatuses"] = _containers(pod, state=_CREATING)


def unschedulable(pod: Object, why: str, at: str) -> None:
    _set_condition(pod, "PodScheduled", False, at, reason="Unschedulable", message=why)


def running(pod: Object, node: LabNode, addresses: Sequence[Address], at: str) -> None:
    """All containers run; `addresses` are the pod's own, in order of preference."""
    status = pod["status"]
    status["phase"] = "Running"
    status["hostIP"] = str(node.addresses[0])
    status["hostIPs"] = [{"ip": str(address)} for address in node.addresses]
    if addresses:
        status["podIP"] = str(addresses[0])
        status["podIPs"] = [{"ip": str(address)} for address in addresses]
    status["containerStatuses"] = _containers(pod, state={"running": {"startedAt": at}}, started=True)
    refresh(pod, at)


def refresh(pod: Object, at: str) -> None:
    """Set the kubelet's own conditions and the containers' readiness; leave other conditions as they are."""
    status, why = pod["status"], {}
    live, unready = status["phase"] == "Running", _unready(pod)
    if not live:
        why = {"reason": "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"}
    elif unready:
        text = f"containers with unready status: [{' '.join(unready)}]"
        why = {"reason": "ContainersNotReady", "message": text}
    containers = live and not unready
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates", ())]
    closed = [kind for kind in gates if not _holds(status.get("conditions", ()), kind)]
    if containers and closed:
        text = f"the status of pod readiness gate {', '.join(closed)} is not True"
        why = {"reason": "ReadinessGatesNotReady", "message": text}
    for container in status.get("containerStatuses", ()):
        container["ready"] = live and container["name"] not in unready
    _set_condition(pod, "PodReadyToStartContainers", live, at)
    _set_condition(pod, "Initialized", True, at)
    _set_condition(pod, "Ready", containers and not closed, at, **why)
    _set_condition(pod, "ContainersReady", containers, at, **({} if containers else why))
    _set_condition(pod, "PodScheduled", True, at)


def _unready(pod: Object) -> Collection[str]:
    """The containers that are not ready, in their order."""
    if (pod["metadata"].get("annotations") or {}).get(READY) == "false":
        return [str(container["name"]) for container in pod["spec"]["containers"]]
    return failing_probes(pod)


def failed(pod: Object, reason: str, message: str, at: str) -> None:
    """Every container has been killed."""
    pod["status"] |= {"reason": reason, "message": message}
    ended(pod, 137, at)


def ended(pod: Object, code: int, at: str) -> None:
    """Every container has ended with this exit code."""
    status = pod["status"]
    status["phase"] = "Failed" if code else "Succeeded"
    for container in status.get("containerStatuses", ()):
        container |= {"ready": False, "started": False, "state": _terminated(container, code, at)}
    refresh(pod, at)


def ephemeral_added(pod: Object, at: str) -> None:
    """The pod's new ephemeral containers run."""
    statuses = pod["status"].setdefault("ephemeralContainerStatuses", [])
    known = {status["name"] for status in statuses}
    statuses += [
        {**_container(container), "state": {"running": {"startedAt": at}}}
        for container in pod["spec"].get("ephemeralContainers", ())
        if container["name"] not in known
    ]


def ephemeral_ended(pod: Object, name: str, code: int, at: str) -> None:
    """An ephemeral container has ended; it is not started again."""
    for container in pod["status"].get("ephemeralContainerStatuses", ()):
        if container["name"] == name:
            container["state"] = _terminated(container, code, at)


def restart(pod: Object) -> None:
    """The containers have ended and are about to run again."""
    status = pod["status"]
    for gone in ("podIP", "podIPs"):
        status.pop(gone, None)
    for container in status.get("containerStatuses", ()):
        container |= {"ready": False, "started": False, "state": _CREATING}
        container["restartCount"] += 1
    status["phase"] = "Pending"
    refresh(pod, status["startTime"])


def _set_condition(pod: Object, kind: str, holds: bool, at: str, **more: str) -> None:
    """Set a condition; it keeps the time of its last change if its status is the same."""
    status, old = "True" if holds else "False", pod["status"].get("conditions", ())
    before = next((c for c in old if c["type"] == kind), None)
    changed = before["lastTransitionTime"] if before and before["status"] == status else at
    new = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": changed, **more}
    pod["status"]["conditions"] = [*(c for c in old if c["type"] != kind), new]


def _containers(pod: Object, *, state: Object, started: bool = False) -> list[Object]:
    """The statuses of the containers, which keep their restart counts."""
    before = {c["name"]: c["restartCount"] for c in pod["status"].get("containerStatuses", ())}
    return [
        {**_container(c), "restartCount": before.get(c["name"], 0), "started": started, "state": state}
        for c in pod["spec"].get("containers", ())
    ]


def _container(container: Object) -> Object:
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "lastState": {},
        "ready": False,
        "restartCount": 0,
    }


def _terminated(container: Object, code: int, at: str) -> Object:
    started = container["state"].get("running", {}).get("startedAt", at)
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": at}}
