"""Pods and pod templates: defaults, validation, and what may be changed later."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.names import (
    check_labels,
    invalid,
    label_problems,
    qualified_problems,
    required,
    unsupported,
)
from netprobe.lab.api.status import Cause

PROTOCOLS = ("TCP", "UDP", "SCTP")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def default_pod_spec(spec: dict[str, Any]) -> None:
    """What pkg/apis/core/v1/defaults.go fills in, for a pod and for a template."""
    for key, value in (
        ("restartPolicy", "Always"),
        ("terminationGracePeriodSeconds", 30),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
    ):
        spec.setdefault(key, value)
    spec.setdefault("securityContext", {})
    if "serviceAccount" in spec:
        spec.setdefault("serviceAccountName", spec["serviceAccount"])
    elif "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))


def _default_container(container: dict[str, Any], *, host_network: bool) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    pull = "Always" if tag in {"", "latest"} and "@" not in image else "IfNotPresent"
    container.setdefault("imagePullPolicy", pull)
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("resources", {})
    if limits := container["resources"].get("limits"):
        container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    for port in container.get("ports", ()):
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for name in _PROBES:
        if (probe := container.get(name)) is not None:
            defaults = {
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            }
            for key, value in defaults.items():
                probe.setdefault(key, value)
            if (http := probe.get("httpGet")) is not None:
                http.setdefault("path", "/")
                http.setdefault("scheme", "HTTP")


def default_pod(pod: dict[str, Any]) -> None:
    """A pod's own defaults, and what the admission plugins of a plain cluster add."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("priority", 0)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("serviceAccountName", "default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") in {None, key} for t in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )


def check_pod_spec(spec: Mapping[str, Any], path: str = "spec") -> Iterator[Cause]:
    containers = spec.get("containers") or ()
    if not containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            place = f"{path}.{kind}[{index}]"
            name = container.get("name", "")
            if name in seen:
                yield Cause(f"{place}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
            seen.add(name)
            yield from _check_container(container, place, host_network=bool(spec.get("hostNetwork")))
    if spec.get("restartPolicy") not in {"Always", "OnFailure", "Never"}:
        supported = ("Always", "OnFailure", "Never")
        yield unsupported(f"{path}.restartPolicy", spec.get("restartPolicy"), supported)
    if (deadline := spec.get("activeDeadlineSeconds")) is not None and deadline < 1:
        problem = "must be between 1 and 2147483647, inclusive"
        yield invalid(f"{path}.activeDeadlineSeconds", deadline, problem)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        grace = spec["terminationGracePeriodSeconds"]
        yield invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")
    for index, gate in enumerate(spec.get("readinessGates") or ()):
        kind = gate.get("conditionType", "")
        for problem in qualified_problems(kind):
            yield invalid(f"{path}.readinessGates[{index}].conditionType", kind, problem)
    yield from check_labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")


def _check_container(container: Mapping[str, Any], path: str, *, host_network: bool) -> Iterator[Cause]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name")
    else:
        yield from (invalid(f"{path}.name", name, problem) for problem in label_problems(name))
    if not container.get("image"):
        yield required(f"{path}.image")
    names: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        place = f"{path}.ports[{index}]"
        yield from _check_port(port, place, host_network=host_network)
        if port_name := port.get("name"):
            if port_name in names:
                yield Cause(f"{place}.name", f'Duplicate value: "{port_name}"', "FieldValueDuplicate")
            names.add(port_name)


def _check_port(port: Mapping[str, Any], path: str, *, host_network: bool) -> Iterator[Cause]:
    if name := port.get("name"):
        yield from (invalid(f"{path}.name", name, problem) for problem in port_name_problems(name))
    number = port.get("containerPort", 0)
    if not number:
        yield required(f"{path}.containerPort")
    elif not 0 < number < 65536:
        yield invalid(f"{path}.containerPort", number, "must be between 1 and 65535, inclusive")
    if host_network and port.get("hostPort") not in {None, number}:
        yield invalid(
            f"{path}.containerPort", number, "must match `hostPort` when `hostNetwork` is set to true"
        )
    if port.get("protocol") not in PROTOCOLS:
        yield unsupported(f"{path}.protocol", port.get("protocol", ""), ("SCTP", "TCP", "UDP"))


def port_name_problems(name: str) -> Iterator[str]:
    """A port name by RFC 6335, as IsValidPortName words it."""
    if len(name) > 15:
        yield "must be no more than 15 characters"
    if not re.fullmatch("[-a-z0-9]+", name):
        yield "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
    if not re.search("[a-z]", name):
        yield "must contain at least one letter (a-z)"
    if "--" in name:
        yield "must not contain consecutive hyphens"
    if name.startswith("-") or name.endswith("-"):
        yield "must not begin or end with a hyphen"


def check_pod(pod: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    if old is None:
        yield from check_pod_spec(pod.get("spec") or {})
        return
    if _fixed(pod["spec"], old["spec"]) != _fixed(old["spec"], old["spec"]):
        text = f"Forbidden: pod updates may not change fields other than {_CHANGEABLE}"
        yield Cause("spec", text, "FieldValueForbidden")
    new, was = (o["spec"].get("activeDeadlineSeconds") for o in (pod, old))
    if was is not None and (new is None or new > was):
        problem = f"must be less than or equal to previous value {was}"
        yield invalid("spec.activeDeadlineSeconds", new if new is not None else "null", problem)


def _fixed(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spec without the parts that may change; the binding to a node is set once."""
    fixed = copy.deepcopy({k: v for k, v in spec.items() if k != "activeDeadlineSeconds"})
    for container in (*fixed.get("containers", ()), *fixed.get("initContainers", ())):
        container.pop("image", None)
        container.pop("imagePullPolicy", None)
    before = old.get("tolerations") or []
    fixed["tolerations"] = [t for t in spec.get("tolerations") or [] if t in before]
    if "nodeName" not in old:
        fixed.pop("nodeName", None)
    return fixed
