"""Pods and the kinds that make pods: defaults, checks, and what may be changed later."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from netprobe.manifests.workload import added_labels
from netprobe.policies import names
from netprobe.policies.fields import (
    Decoder,
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from netprobe.policies.metadata import check_labels
from netprobe.policies.selector import read_selector

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
_MOST_PODS = 10_000
_MOST_CONTAINERS = 100
PROTOCOLS = ("SCTP", "TCP", "UDP")


def each(path: str, value: Any, messages: Iterable[str]) -> Iterator[FieldError]:
    """One error for each message about a value."""
    yield from (invalid(path, value, message) for message in messages)


def default_pod_spec(spec: dict[str, Any]) -> None:
    """The defaults that the network or a person sees, for a pod and for a template.

    pkg/apis/core/v1/defaults.go has many more.
    """
    fill(spec, restartPolicy="Always", terminationGracePeriodSeconds=30, dnsPolicy="ClusterFirst")
    spec.setdefault("securityContext", {})
    for container in (*spec.get("containers", ()), *spec.get("initContainers", ())):
        container.setdefault("resources", {})
        for port in container.get("ports", ()):
            if spec.get("hostNetwork") and "containerPort" in port:
                port.setdefault("hostPort", port["containerPort"])


def fill(target: dict[str, Any], **values: Any) -> None:
    """Set the values that are not set."""
    for key, value in values.items():
        target.setdefault(key, value)


def default_pod(pod: dict[str, Any]) -> None:
    """A pod's own defaults."""
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    fill(spec, serviceAccountName="default")


def check_pod_spec(spec: Mapping[str, Any], path: str = "spec") -> Iterator[FieldError]:
    """The containers of a pod: their names and ports."""
    if not spec.get("containers"):
        yield required(f"{path}.containers", "")
    seen: set[str] = set()
    for kind in ("initContainers", "containers"):
        if (number := len(spec.get(kind) or ())) > _MOST_CONTAINERS:
            problem = f"must have at most {_MOST_CONTAINERS} items"
            yield FieldError(f"{path}.{kind}", f"Too many: {number}: {problem}", "FieldValueTooMany")
            continue
        for index, container in enumerate(spec.get(kind) or ()):
            place = f"{path}.{kind}[{index}]"
            yield from check_name(place, container.get("name", ""), seen, names.dns_label)
            if not container.get("image"):
                yield required(f"{place}.image", "")
            yield from _check_ports(container, place, host_network=bool(spec.get("hostNetwork")))


def check_name(
    path: str, name: str, seen: set[str], rule: Callable[[str], Iterable[str]]
) -> Iterator[FieldError]:
    """A name that is required, valid and not `seen` before; it is added to these."""
    if not name:
        yield required(f"{path}.name", "")
    elif name in seen:
        yield duplicate(f"{path}.name", name)
    else:
        yield from each(f"{path}.name", name, rule(name))
    seen.add(name)


def _check_ports(container: Mapping[str, Any], path: str, *, host_network: bool) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        place, number = f"{path}.ports[{index}]", port.get("containerPort", 0)
        if port.get("name"):
            yield from check_name(place, port["name"], seen, names.port_name)
        if not number:
            yield required(f"{place}.containerPort", "")
        else:
            yield from each(f"{place}.containerPort", number, names.port_number(number))
        if host_network and port.get("hostPort") not in {None, number}:
            problem = "must match `hostPort` when `hostNetwork` is set to true"
            yield invalid(f"{place}.containerPort", number, problem)
        if port.get("protocol") not in PROTOCOLS:
            yield not_supported(f"{place}.protocol", port.get("protocol", ""), PROTOCOLS)


def check_pod(pod: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    if old is None:
        yield from check_pod_spec(pod.get("spec") or {})
    elif _fixed(pod["spec"], old["spec"]) != _fixed(old["spec"], old["spec"]):
        changeable = "spec.containers[*].image, spec.activeDeadlineSeconds and spec.tolerations"
        yield forbidden("spec", f"pod updates may not change fields other than {changeable}")


def _fixed(spec: Mapping[str, Any], old: Mapping[str, Any]) -> Mapping[str, Any]:
    """A spec without the parts that may change; a node is assigned once."""
    changeable = {"activeDeadlineSeconds", "tolerations", *(() if "nodeName" in old else ("nodeName",))}
    fixed = copy.deepcopy({key: value for key, value in spec.items() if key not in changeable})
    for container in (*fixed.get("containers", ()), *fixed.get("initContainers", ())):
        container.pop("image", None)
    return fixed


_STRATEGIES = {"Deployment": "strategy", "StatefulSet": "updateStrategy", "DaemonSet": "updateStrategy"}


def default_workload(obj: dict[str, Any]) -> None:
    spec, kind = obj["spec"], obj["kind"]
    _default_template(spec)
    if kind != "DaemonSet":
        fill(spec, replicas=1)
    if kind == "StatefulSet":
        fill(spec, podManagementPolicy="OrderedReady")
    if field := _STRATEGIES.get(kind):
        spec.setdefault(field, {}).setdefault("type", "RollingUpdate")


def _default_template(spec: dict[str, Any]) -> None:
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_job(obj: dict[str, Any]) -> None:
    """A Job selects its pods by its own uid, which is set before this."""
    spec = obj["spec"]
    _default_template(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    if "selector" in spec:
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= added_labels("Job", name, uid=uid)
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}


def check_workload(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """The selector must match the template, else the controller would create pods without end."""
    spec = obj["spec"]
    yield from _check_numbers(spec, "replicas")
    selector = spec.get("selector")
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if selector is None:
        yield required("spec.selector", "")
    else:
        decoder = Decoder(strict=False)
        read = read_selector(decoder, selector, "spec.selector")
        yield from decoder.errors
        if not any(selector.values()):
            yield invalid("spec.selector", selector, "empty selector is invalid for deployment")
        elif not decoder.errors and not read.matches(labels):
            problem = "`selector` does not match template `labels`"
            yield invalid("spec.template.metadata.labels", labels, problem)
    if old is not None and selector != old["spec"].get("selector"):
        yield invalid("spec.selector", selector or {}, "field is immutable")
    yield from _check_template(spec["template"])


def _check_numbers(spec: Mapping[str, Any], *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if (number := spec.get(field) or 0) < 0:
            yield invalid(f"spec.{field}", number, "must be greater than or equal to 0")
        elif number > _MOST_PODS:
            yield invalid(f"spec.{field}", number, f"the lab makes at most {_MOST_PODS} pods of a workload")


def _check_template(template: Mapping[str, Any]) -> Iterator[FieldError]:
    decoder = Decoder(strict=False)
    check_labels(decoder, template.get("metadata") or {}, "labels", "spec.template.metadata")
    yield from decoder.errors
    yield from check_pod_spec(template["spec"], "spec.template.spec")


def check_job(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    spec = obj["spec"]
    yield from _check_numbers(spec, "completions", "parallelism")
    yield from _check_template(spec["template"])
    if spec["template"]["spec"].get("restartPolicy") == "Always":
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    for field in ("completions", "selector", "template", "completionMode") if old is not None else ():
        if spec.get(field) != (old or {})["spec"].get(field):
            yield invalid(f"spec.{field}", spec.get(field, ""), "field is immutable")
