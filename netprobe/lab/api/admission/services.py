"""Services: defaults, addresses and node ports, validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from netprobe.lab.api.admission.workloads import PROTOCOLS, check_name, each
from netprobe.lab.api.resources import NODES, SERVICES
from netprobe.lab.api.store import Store
from netprobe.policies import names
from netprobe.policies.fields import FieldError, invalid, not_supported, required

SERVICE_NETWORKS: dict[str, IPv4Network | IPv6Network] = {
    "IPv4": IPv4Network("10.96.0.0/16"),
    "IPv6": IPv6Network("fd00:10:96::/112"),
}
NODE_PORTS = range(30000, 32768)
_DYNAMIC_PORTS = (*range(30086, 32768), *range(30000, 30086))  # as KEP-3668 divides them
_DYNAMIC_FROM = 256  # lower addresses are left for Services that name one
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


def default_service(service: dict[str, Any]) -> None:
    """The defaults of pkg/apis/core/v1/defaults.go."""
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
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        spec.setdefault("externalTrafficPolicy", "Cluster")


def default_slice(slice_: dict[str, Any]) -> None:
    """A port of an EndpointSlice always has a name, which may be empty; kubectl relies on it."""
    for port in slice_.get("ports", ()):
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def families(store: Store) -> list[str]:
    """The address families of the cluster, in the order of its nodes' addresses."""
    for stored in store.items(NODES):
        addresses = stored.object["status"]["addresses"]
        inside = [ip_address(a["address"]) for a in addresses if a["type"] == "InternalIP"]
        return [f"IPv{address.version}" for address in inside]
    return ["IPv4"]


def allocate(service: dict[str, Any], old: Mapping[str, Any] | None, store: Store) -> Iterator[FieldError]:
    """Assign addresses and node ports; those of `old` are kept. Yields what cannot be assigned."""
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
    yield from _families(spec, before, families(store))
    yield from _cluster_ips(spec, before, others)
    yield from _node_ports(spec, before, others)


def _families(
    spec: dict[str, Any], before: Mapping[str, Any], cluster: Sequence[str]
) -> Iterator[FieldError]:
    """Decide ipFamilyPolicy and ipFamilies; by default, the first family of the cluster."""
    policy = spec.setdefault("ipFamilyPolicy", before.get("ipFamilyPolicy", "SingleStack"))
    wanted: list[str] = list(spec.get("ipFamilies") or before.get("ipFamilies") or cluster[:1])
    for index, family in enumerate(wanted):
        if family not in cluster:
            yield invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster")
    if policy == "RequireDualStack" and len(cluster) < 2:
        yield invalid("spec.ipFamilyPolicy", policy, "this cluster is not configured for dual-stack services")
    known = [family for family in dict.fromkeys((*wanted, *cluster)) if family in cluster]
    spec["ipFamilies"] = known[:1] if policy == "SingleStack" else known


def _cluster_ips(
    spec: dict[str, Any], before: Mapping[str, Any], others: list[dict[str, Any]]
) -> Iterator[FieldError]:
    kept = before.get("clusterIPs") or []
    given, first = spec.get("clusterIPs") or [], spec.get("clusterIP")
    if first and (not given or given == kept):  # clusterIP was written, not clusterIPs
        given = [first, *given[1:]]
    if kept and before.get("type") != "ExternalName" and given and given[0] != kept[0]:
        yield invalid("spec.clusterIPs[0]", given, "may not change once set")
        return
    addresses = given or kept
    if addresses != ["None"]:
        taken = {address for other in others for address in other.get("clusterIPs", ())}
        networks = [SERVICE_NETWORKS[family] for family in spec["ipFamilies"]]
        addresses = addresses[: len(networks)]
        for address, network in zip(addresses, networks, strict=False):
            if problem := _problem(address, network, taken):
                yield invalid("spec.clusterIPs", [address], f"failed to allocate IP {address}: {problem}")
        addresses = [*addresses, *(_free(network, taken) for network in networks[len(addresses) :])]
    spec["clusterIP"], spec["clusterIPs"] = addresses[0], addresses


def _problem(wanted: str, network: IPv4Network | IPv6Network, taken: set[str]) -> str:
    """Why a Service cannot have an address; "" if it can."""
    try:
        inside = ip_address(wanted) in network
    except ValueError:
        return "must be a valid IP address"
    if not inside:
        return f"the provided IP is not in the valid range {network}"
    return "provided IP is already allocated" if wanted in taken else ""


def _free(network: IPv4Network | IPv6Network, taken: set[str]) -> str:
    numbers = range(_DYNAMIC_FROM, network.num_addresses - 1)
    return next(address for address in (str(network[i]) for i in numbers) if address not in taken)


def _node_ports(
    spec: dict[str, Any], before: Mapping[str, Any], others: list[dict[str, Any]]
) -> Iterator[FieldError]:
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
            number = next(n for n in _DYNAMIC_PORTS if n not in numbers)
        elif number not in NODE_PORTS:
            problem = "provided port is not in the valid range. The range of valid ports is 30000-32767"
            yield invalid(f"spec.ports[{index}].nodePort", number, problem)
        elif (number, port["protocol"]) in taken:
            yield invalid(f"spec.ports[{index}].nodePort", number, "provided port is already allocated")
        port["nodePort"] = number
        numbers.add(number)


def check_service(service: Mapping[str, Any], _old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    spec = service["spec"]
    ports = spec.get("ports") or ()
    if spec["type"] not in _TYPES:
        yield not_supported("spec.type", spec["type"], _TYPES)
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports", "")
    if spec["type"] == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName", "")
    yield from _check_ports(ports)


def _check_ports(ports: Sequence[Mapping[str, Any]]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        place = f"spec.ports[{index}]"
        if port.get("name") or len(ports) > 1:
            yield from check_name(place, port.get("name", ""), seen, names.dns_label)
        number = port.get("port", 0)
        yield from each(f"{place}.port", number, names.port_number(number))
        if port["protocol"] not in PROTOCOLS:
            yield not_supported(f"{place}.protocol", port["protocol"], PROTOCOLS)
        target = port.get("targetPort")
        if isinstance(target, int):
            yield from each(f"{place}.targetPort", target, names.port_number(target))
