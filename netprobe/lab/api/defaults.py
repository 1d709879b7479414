"""Pods, the kinds that make pods, and Services: defaults, checks, and what may be changed later.

For Services also the choice of addresses and node ports.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from netprobe.lab.api.resources import NODES, SERVICES
from netprobe.lab.api.store import Store
from netprobe.lab.fabric.addresses import SERVICE_NETWORKS as NETWORKS
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
from netprobe.policies.metadata import check_labels, read_selector

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


SERVICE_NETWORKS: dict[str, IPv4Network | IPv6Network] = {
    f"IPv{version}": ip_network(block) for version, block in NETWORKS.items()
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
    yield from _check_service_ports(ports)


def _check_service_ports(ports: Sequence[Mapping[str, Any]]) -> Iterator[FieldError]:
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
