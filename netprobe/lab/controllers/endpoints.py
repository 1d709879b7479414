"""EndpointSlices: the addresses of the pods that a Service selects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from ipaddress import ip_address

from netprobe.lab import podstatus
from netprobe.lab.api.operations import lab_itself
from netprobe.lab.api.resources import ENDPOINT_SLICES, PODS, SERVICES
from netprobe.lab.api.store import ObjectKey, StoredChange
from netprobe.lab.controllers.base import Controller, controller_of, reference
from netprobe.lab.podstatus import is_ready
from netprobe.lab.state_pusher import OUTSIDE
from netprobe.model.objects import Object

SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED_BY = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}

Ports = tuple[tuple[str, int, str], ...]  # name, number, protocol


class Endpoints(Controller[ObjectKey]):
    """Pods on which a Service's ports have the same numbers share a slice."""

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is SERVICES:
            return [change.key]
        if change.resource is not PODS or change.key.namespace == OUTSIDE:
            return []
        sides = [change.now.object, *([change.before.object] if change.before else ())]
        labels = [side["metadata"].get("labels") or {} for side in sides]
        return [
            self.store.key(stored.object)
            for stored in self.store.items(SERVICES, change.key.namespace)
            if any(_selects(stored.object, each) for each in labels)
        ]

    async def reconcile(self, key: ObjectKey) -> float | None:
        stored = self.store.get(SERVICES, key)
        if stored is None or not stored.object["spec"].get("selector"):
            return None
        if stored.object["spec"]["type"] != "ExternalName":
            self._update(stored.object)
        return None

    def _groups(self, service: Object) -> dict[Ports, list[Object]]:
        groups: defaultdict[Ports, list[Object]] = defaultdict(list)
        for stored in self.store.items(PODS, service["metadata"]["namespace"]):
            pod = stored.object
            placed = "podIP" in pod["status"] and pod["status"]["phase"] == "Running"
            if placed and _selects(service, pod["metadata"].get("labels") or {}):
                groups[_resolve(service, pod)].append(pod)
        return dict(groups)

    def _update(self, service: Object) -> None:
        groups = self._groups(service)
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        existing = [
            stored.object
            for stored in self.store.items(ENDPOINT_SLICES, namespace)
            if stored.object["metadata"].get("labels", {}).get(SERVICE_NAME) == name
            and controller_of(stored.object) is not None
        ]
        families = service["spec"].get("ipFamilies", ["IPv4"])
        found = [(family, *group) for family in families for group in (groups.items() or [((), [])])]
        for index, (family, ports, pods) in enumerate(found):
            metadata: Object = {
                "labels": {**service["metadata"].get("labels", {}), **_MANAGED_BY, SERVICE_NAME: name},
                "ownerReferences": [reference(SERVICES, service)],
            }
            if index < len(existing):
                metadata["name"] = existing[index]["metadata"]["name"]
            else:
                metadata["generateName"] = f"{name}-"
            wanted: Object = {
                "addressType": family,
                "metadata": metadata,
                "endpoints": [
                    _endpoint(service, pod, addresses) for pod in pods if (addresses := _of(pod, family))
                ],
                "ports": [dict(zip(("name", "port", "protocol"), port, strict=True)) for port in ports],
            }
            self._store(namespace, wanted)
        for surplus in existing[len(found) :]:
            self.operations.remove(ENDPOINT_SLICES, surplus)

    def _store(self, namespace: str, wanted: Object) -> None:
        stored = self.store.get(ENDPOINT_SLICES, ObjectKey(namespace, wanted["metadata"].get("name", "")))
        if stored is None:
            self.operations.create(ENDPOINT_SLICES, namespace, wanted, lab_itself())
            return
        wanted["metadata"] = {**stored.object["metadata"], **wanted["metadata"]}
        self.operations.replace(ENDPOINT_SLICES, stored.object, stored.object | wanted, lab_itself())


def _selects(service: Object, labels: dict[str, str]) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= labels.items()


def _resolve(service: Object, pod: Object) -> Ports:
    """The Service's ports on a pod, without named ports that the pod does not have."""
    named = {(port.name, port.protocol.value): port.number for port in reversed(podstatus.ports(pod))}
    found = []
    for port in service["spec"].get("ports", ()):
        target = port["targetPort"]
        number = named.get((target, port["protocol"])) if isinstance(target, str) else target
        if number is not None:
            found.append((port.get("name", ""), number, port["protocol"]))
    return tuple(found)


def _of(pod: Object, family: str) -> list[str]:
    """A pod's addresses of an IP family."""
    addresses = [each["ip"] for each in pod["status"]["podIPs"]]
    return [address for address in addresses if f"IPv{ip_address(address).version}" == family]


def _endpoint(service: Object, pod: Object, addresses: list[str]) -> Object:
    leaving = "deletionTimestamp" in pod["metadata"]
    published = bool(service["spec"].get("publishNotReadyAddresses"))
    conditions = {
        "ready": published or (is_ready(pod) and not leaving),
        "serving": published or is_ready(pod),
        "terminating": leaving,
    }
    metadata, spec = service["metadata"], pod["spec"]
    # DNS gives the endpoint this name (kubernetes, endpointslice/utils.go, ShouldSetHostname).
    own_name = spec.get("hostname") and spec.get("subdomain") == metadata["name"]
    return {
        "addresses": addresses,
        "conditions": conditions,
        **({"hostname": spec["hostname"]} if own_name else {}),
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": {"kind": "Pod", **{key: pod["metadata"][key] for key in ("name", "namespace", "uid")}},
    }
