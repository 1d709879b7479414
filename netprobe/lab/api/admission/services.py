"""Services: defaults, addresses and node ports, validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, ip_address
from typing import Any

from netprobe.lab.api.admission.names import invalid, label_problems, required, unsupported
from netprobe.lab.api.admission.pods import PROTOCOLS
from netprobe.lab.api.resources import SERVICES
from netprobe.lab.api.status import Cause
from netprobe.lab.api.store import Store

SERVICE_NETWORK = IPv4Network("10.96.0.0/16")
NODE_PORTS = range(30000, 32768)
_DYNAMIC_FROM = 256  # the lower band of the range is left to addresses that are asked for by hand
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def default_service(service: dict[str, Any]) -> None:
    """pkg/apis/core/v1/defaults.go, and the single-stack fields that the registry fills in."""
    spec = service.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        if port.get("targetPort") in {None, "", 0} and "port" in port:
            port["targetPort"] = port["port"]
    if spec["type"] == "ExternalName":
        return
    spec.setdefault("internalTrafficPolicy", "Cluster")
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("ipFamilies", ["IPv4"])
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


def default_slice(slice_: dict[str, Any]) -> None:
    """A port of an EndpointSlice has a name, empty if need be; kubectl relies on it."""
    for port in slice_.get("ports", ()):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def allocate(service: dict[str, Any], old: Mapping[str, Any] | None, store: Store) -> Iterator[Cause]:
    """Give it addresses and node ports; those of `old` are kept. Yields what cannot be had."""
    spec = service["spec"]
    before = (old or {}).get("spec", {})
    if spec["type"] == "ExternalName":
        for key in ("clusterIP", "clusterIPs"):
            spec.pop(key, None)
        return
    others = [
        stored.object["spec"]
        for stored in store.items(SERVICES)
        if stored.object["metadata"].get("uid") != service["metadata"].get("uid")
    ]
    yield from _cluster_ip(spec, before, others)
    yield from _node_ports(spec, before, others)


def _cluster_ip(
    spec: dict[str, Any], before: Mapping[str, Any], others: list[dict[str, Any]]
) -> Iterator[Cause]:
    wanted = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0] or before.get("clusterIP", "")
    taken = {address for other in others for address in other.get("clusterIPs", ())}
    if not wanted:
        size = SERVICE_NETWORK.num_addresses
        free = (str(SERVICE_NETWORK[i]) for i in range(_DYNAMIC_FROM, size - 1))
        wanted = next(address for address in free if address not in taken)
    elif wanted != "None":
        try:
            inside = ip_address(wanted) in SERVICE_NETWORK
        except ValueError:
            yield invalid("spec.clusterIPs[0]", wanted, "must be a valid IP address")
            return
        if not inside:
            problem = (
                "failed to allocate IP {0}: the provided IP ({0}) is not in the valid range. "
                "The range of valid IPs is {1}"
            )
            yield invalid("spec.clusterIPs", [wanted], problem.format(wanted, SERVICE_NETWORK))
        elif wanted in taken:
            yield invalid(
                "spec.clusterIPs",
                [wanted],
                f"failed to allocate IP {wanted}: provided IP is already allocated",
            )
    if (was := before.get("clusterIP")) and was != wanted and before.get("type") != "ExternalName":
        yield invalid("spec.clusterIPs[0]", [wanted], "may not change once set")
    spec["clusterIP"] = wanted
    spec["clusterIPs"] = [wanted]


def _node_ports(
    spec: dict[str, Any], before: Mapping[str, Any], others: list[dict[str, Any]]
) -> Iterator[Cause]:
    ports = spec.get("ports", ())
    if spec["type"] not in {"NodePort", "LoadBalancer"}:
        for port in ports:
            port.pop("nodePort", None)
        return
    taken = {
        (p["nodePort"], p["protocol"]) for other in others for p in other.get("ports", ()) if "nodePort" in p
    }
    kept = {(p["port"], p["protocol"]): p["nodePort"] for p in before.get("ports", ()) if p.get("nodePort")}
    numbers = {number for number, _ in taken}
    for index, port in enumerate(ports):
        number = port.get("nodePort") or kept.get((port["port"], port["protocol"]))
        if not number:
            number = next(n for n in NODE_PORTS if n not in numbers)
        elif number not in NODE_PORTS:
            problem = "provided port is not in the valid range. The range of valid ports is 30000-32767"
            yield invalid(f"spec.ports[{index}].nodePort", number, problem)
        elif (number, port["protocol"]) in taken:
            yield invalid(f"spec.ports[{index}].nodePort", number, "provided port is already allocated")
        port["nodePort"] = number
        numbers.add(number)


def check_service(service: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterator[Cause]:
    spec = service["spec"]
    ports = spec.get("ports") or ()
    if spec["type"] not in _TYPES:
        yield unsupported("spec.type", spec["type"], _TYPES)
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    yield from _check_ports(ports)


def _check_ports(ports: Sequence[Mapping[str, Any]]) -> Iterator[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        place = f"spec.ports[{index}]"
        name = port.get("name", "")
        if not name and len(ports) > 1:
            yield required(f"{place}.name")
        elif name in names:
            yield Cause(f"{place}.name", f'Duplicate value: "{name}"', "FieldValueDuplicate")
        elif name:
            yield from (invalid(f"{place}.name", name, problem) for problem in label_problems(name))
        names.add(name)
        number = port.get("port", 0)
        if not 0 < number < 65536:
            yield invalid(f"{place}.port", number, "must be between 1 and 65535, inclusive")
        if port["protocol"] not in PROTOCOLS:
            yield unsupported(f"{place}.protocol", port["protocol"], ("SCTP", "TCP", "UDP"))
        target = port.get("targetPort")
        if isinstance(target, int) and not 0 < target < 65536:
            yield invalid(f"{place}.targetPort", target, "must be between 1 and 65535, inclusive")
