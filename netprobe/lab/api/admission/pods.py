"""Pods and pod templates: defaults, names and ports, and what may be changed later."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.metadata import each
from netprobe.policies import names
from netprobe.policies.fields import FieldError, duplicate, forbidden, invalid, not_supported, required

PROTOCOLS = ("SCTP", "TCP", "UDP")
_POD_DEFAULTS = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_PROBE_DEFAULTS = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_CHANGEABLE = (
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def default_pod_spec(spec: dict[str, Any]) -> None:
    """The defaults of pkg/apis/core/v1/defaults.go, for a pod and for a template."""
    fill(spec, **_POD_DEFAULTS)
    spec.setdefault("securityContext", {})
    if "serviceAccount" in spec:
        spec.setdefault("serviceAccountName", spec["serviceAccount"])
    elif "serviceAccountName" in spec:
        spec["serviceAccount"] = spec["serviceAccountName"]
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        _default_container(container, host_network=bool(spec.get("hostNetwork")))


def fill(target: dict[str, Any], **values: Any) -> None:
    """Set the values that are not set."""
    for key, value in values.items():
        target.setdefault(key, value)


def _default_container(container: dict[str, Any], *, host_network: bool) -> None:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    pull = "Always" if tag in {"", "latest"} and "@" not in image else "IfNotPresent"
    container.setdefault("imagePullPolicy", pull)
    container.setdefault("resources", {})
    for port in container.get("ports", ()):
        if host_network and "containerPort" in port:
            port.setdefault("hostPort", port["containerPort"])
    for name in _PROBES:
        if (probe := container.get(name)) is not None:
            fill(probe, **_PROBE_DEFAULTS)
            if (http := probe.get("httpGet")) is not None:
                fill(http, path="/", scheme="HTTP")


def default_pod(pod: dict[str, Any]) -> None:
    """A pod's own defaults, and what the admission plugins of a plain cluster add."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    fill(spec, enableServiceLinks=True, priority=0, serviceAccountName="default")
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(t.get("key") in {None, key} for t in tolerations):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            )


def check_pod_spec(spec: Mapping[str, Any], path: str = "spec") -> Iterator[FieldError]:
    """The containers of a pod: their names and ports."""
    if not spec.get("containers"):
        yield required(f"{path}.containers", "")
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            place = f"{path}.{kind}[{index}]"
            name = container.get("name", "")
            if name in seen:
                yield duplicate(f"{place}.name", name)
            seen.add(name)
            yield from _check_container(container, place, host_network=bool(spec.get("hostNetwork")))


def _check_container(container: Mapping[str, Any], path: str, *, host_network: bool) -> Iterator[FieldError]:
    name = container.get("name", "")
    if not name:
        yield required(f"{path}.name", "")
    else:
        yield from each(f"{path}.name", name, names.dns_label(name))
    if not container.get("image"):
        yield required(f"{path}.image", "")
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        place = f"{path}.ports[{index}]"
        yield from _check_port(port, place, host_network=host_network)
        if port_name := port.get("name"):
            if port_name in seen:
                yield duplicate(f"{place}.name", port_name)
            seen.add(port_name)


def _check_port(port: Mapping[str, Any], path: str, *, host_network: bool) -> Iterator[FieldError]:
    if name := port.get("name"):
        yield from each(f"{path}.name", name, names.port_name(name))
    number = port.get("containerPort", 0)
    if not number:
        yield required(f"{path}.containerPort", "")
    else:
        yield from each(f"{path}.containerPort", number, names.port_number(number))
    if host_network and port.get("hostPort") not in {None, number}:
        yield invalid(
            f"{path}.containerPort", number, "must match `hostPort` when `hostNetwork` is set to true"
        )
    if port.get("protocol") not in PROTOCOLS:
        yield not_supported(f"{path}.protocol", port.get("protocol", ""), PROTOCOLS)


def check_pod(pod: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    if old is None:
        yield from check_pod_spec(pod.get("spec") or {})
        return
    if _fixed(pod["spec"], old["spec"]) != _fixed(old["spec"], old["spec"]):
        yield forbidden("spec", f"pod updates may not change fields other than {_CHANGEABLE}")


def _fixed(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spec without the parts that may change; a node is assigned once."""
    fixed = copy.deepcopy({k: v for k, v in spec.items() if k != "activeDeadlineSeconds"})
    for container in (*fixed.get("containers", ()), *fixed.get("initContainers", ())):
        container.pop("image", None)
        container.pop("imagePullPolicy", None)
    before = old.get("tolerations") or []
    fixed["tolerations"] = [t for t in spec.get("tolerations") or [] if t in before]
    if "nodeName" not in old:
        fixed.pop("nodeName", None)
    return fixed
