"""Which nodes a pod may run on: selector, affinity, taints, hostPorts; reasons in the scheduler's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from netprobe.errors import LabError
from netprobe.model.labels import Operator, Requirement
from netprobe.model.objects import ReadOnlyObject

UNSCHEDULABLE = "node(s) were unschedulable"
_PORTS = "node(s) didn't have free ports for the requested pod ports"
_SELECTED = "node(s) didn't match Pod's node affinity/selector"


HostPorts: TypeAlias = frozenset[tuple[int, str]]
"""Ports of a node, each with its protocol, that a pod has or wants."""


def host_ports(spec: ReadOnlyObject) -> HostPorts:
    """The ports of its node that a pod takes."""
    return frozenset(
        (port["hostPort"], port.get("protocol", "TCP"))
        for container in spec.get("containers", ())
        for port in container.get("ports", ())
        if port.get("hostPort")
    )


def fitting(
    spec: ReadOnlyObject, nodes: Iterable[ReadOnlyObject], taken: Collection[tuple[str, int, str]]
) -> list[str]:
    """The names of the nodes that fit a pod's spec; LabError with counted reasons if none does.

    `taken`: node, port and protocol of each port of a node that a pod has.
    """
    wanted = host_ports(spec)
    names, reasons, total = [], Counter[str](), 0
    for node in nodes:
        total += 1
        name = str(node["metadata"]["name"])
        if why := hindrance(spec, node):
            reasons[why] += 1
        elif any((name, *port) in taken for port in wanted):
            reasons[_PORTS] += 1
        else:
            names.append(name)
    if not names:
        why = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        raise LabError(f"0/{total} nodes are available: {why}.")
    return names


def hindrance(spec: ReadOnlyObject, node: ReadOnlyObject) -> str:
    """Why a pod may not run on a node; "" if it may."""
    if not _selected(spec, node):
        return _SELECTED
    for taint in node["spec"].get("taints") or ():
        if taint["effect"] in {"NoSchedule", "NoExecute"} and not any(
            _tolerates(one, taint) for one in spec.get("tolerations") or ()
        ):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"
    return UNSCHEDULABLE if node["spec"].get("unschedulable") else ""


def _selected(spec: ReadOnlyObject, node: ReadOnlyObject) -> bool:
    """Whether a node matches the pod's nodeSelector and required node affinity."""
    labels = node["metadata"].get("labels") or {}
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_matches_term(term, node) for term in required.get("nodeSelectorTerms") or ())


def _matches_term(term: ReadOnlyObject, node: ReadOnlyObject) -> bool:
    labels, fields = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    asked = [
        *((one, labels) for one in term.get("matchExpressions") or ()),
        *((one, fields) for one in term.get("matchFields") or ()),
    ]
    return bool(asked) and all(_holds(one, values) for one, values in asked)


def _holds(one: ReadOnlyObject, values: Mapping[str, str]) -> bool:
    try:
        operator = Operator(one["operator"])
    except ValueError:  # Gt and Lt
        return False
    return Requirement(one["key"], operator, tuple(one.get("values", ()))).matches(values)


def _tolerates(one: ReadOnlyObject, taint: ReadOnlyObject) -> bool:
    if one.get("effect") not in {None, "", taint["effect"]}:
        return False
    if one.get("operator", "Equal") == "Exists":
        return one.get("key") in {None, "", taint["key"]}
    return bool(one.get("key") == taint["key"] and one.get("value", "") == taint.get("value", ""))
