"""GET /netprobe/trace: one connection from a pod, and which rules of the kernel counted it on its way.

    ?from=shop/web&to=svc:shop/api&port=80&protocol=TCP[&version=6][&timeout=SECONDS]

The answer has the `outcome` (model/observation.py) and the `steps` (lab/trace.py). `pods` are by address.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from netprobe.errors import LabError
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.resources import NODES, PODS, SERVICES
from netprobe.lab.api.status import ApiError, bad_request
from netprobe.lab.fabric.addresses import SERVICE_NETWORKS
from netprobe.lab.fabric.state import Fabric
from netprobe.lab.state_pusher import OUTSIDE
from netprobe.lab.trace import RuleCounts, TraceStep, UnclearError, parse_target
from netprobe.model.flow import PodRef, ServiceRef
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome

_TRIES = 5
_TIMEOUT_S = 3
_UNREACHABLE = {
    "no route to host": Outcome.HOST_UNREACHABLE,
    "network is unreachable": Outcome.NETWORK_UNREACHABLE,
}


@dataclass(frozen=True, slots=True)
class _End:
    """What to connect to; `service` is the Service's port there, `pod` the pod that was named."""

    host: str
    service: str | None = None
    pod: PodRef | None = None


async def trace(operations: Operations, fabric: Fabric, query: Mapping[str, str]) -> Object:
    """Connect once and report. ApiError 404 if an end does not exist, 409 if the counters are unclear."""
    cluster = _Cluster(operations)
    source, target, number, protocol = (query.get(name, "") for name in ("from", "to", "port", "protocol"))
    ref = PodRef.parse(source)
    end = cluster.end(target, int(number), protocol, int(query.get("version") or 0))
    address = f"[{end.host}]:{number}" if ":" in end.host else f"{end.host}:{number}"
    flags = [f"--timeout={query.get('timeout') or _TIMEOUT_S}s", f"--protocol={protocol.lower()}"]
    for attempt in range(_TRIES):
        before = await fabric.rules()
        outcome = await _connect(fabric, cluster.running(ref), address, *flags)
        try:
            steps = _steps(RuleCounts(before, await fabric.rules()), cluster, ref, end)
            break
        except UnclearError as error:
            if attempt == _TRIES - 1:
                raise ApiError(409, "Conflict", str(error)) from error
    return {
        "from": source,
        "to": target,
        "port": int(number),
        "protocol": protocol,
        "outcome": outcome.value,
        "steps": [dataclasses.asdict(step) for step in steps],
        "pods": {address: str(ref) for address, ref in cluster.by_address.items()},
    }


def _steps(counts: RuleCounts, cluster: _Cluster, source: PodRef, end: _End) -> list[TraceStep]:
    """The steps of a connection, in order, as far as it got. External hosts and nodes have no policies."""
    steps: list[TraceStep] = []
    node = cluster.node_of[source]
    policed = set(cluster.by_address.values())
    destination = end.pod or cluster.by_address.get(end.host)
    if end.service is not None:
        seen = (counts.service(name, end.service) for name in dict.fromkeys((node, *cluster.node_names)))
        step = next(filter(None, seen), None) or TraceStep("service", node, "not seen", end.service)
        steps.append(step)
        if step.effect != "translated":
            return steps
        destination = cluster.by_address.get((step.to or "").rpartition(":")[0].strip("[]"))
    elif source == destination:
        return steps  # never leaves the pod
    if source in policed:
        steps.append(counts.policies("egress", node, source))
    if destination in policed and not any(step.effect == "denied" for step in steps):
        steps.append(counts.policies("ingress", cluster.node_of[destination], destination))
    return steps


async def _connect(fabric: Fabric, ref: PodRef, address: str, *flags: str) -> Outcome:
    """Connect once; `flags` are those of agnhost connect."""
    try:
        process = await fabric.exec(ref, ["/agnhost", "connect", address, *flags])
    except LabError as error:
        raise bad_request(f"nothing can be sent from {ref}: {error}") from error
    assert process.stderr is not None  # noqa: S101 (there is no terminal)
    complaint, _, status = await asyncio.gather(process.stderr.read(), process.stdout.read(), process.wait())
    text = complaint.decode(errors="replace").strip()
    kind, _, detail = text.partition(": ")
    if status == 0:
        return Outcome.CONNECTED
    if kind in {"TIMEOUT", "REFUSED"}:
        return Outcome.TIMED_OUT if kind == "TIMEOUT" else Outcome.REFUSED
    for words, outcome in _UNREACHABLE.items():
        if words in detail:
            return outcome
    raise bad_request(f"nothing can be sent from {ref}: {text}")


class _Cluster:
    """The pods, nodes and Services as they are now."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._pods = {
            PodRef(stored.object["metadata"]["namespace"], stored.object["metadata"]["name"]): stored.object
            for stored in operations.store.items(PODS)
            if stored.object["status"].get("podIPs")
        }
        self.node_of = {ref: str(pod["spec"]["nodeName"]) for ref, pod in self._pods.items()}
        self.by_address = {
            str(address["ip"]): ref
            for ref, pod in self._pods.items()
            if not pod["spec"].get("hostNetwork") and ref.namespace != OUTSIDE
            for address in pod["status"]["podIPs"]
        }
        nodes = [stored.object for stored in operations.store.items(NODES)]
        self.node_names = sorted(str(node["metadata"]["name"]) for node in nodes)
        self._node_addresses = {one["address"] for node in nodes for one in node["status"]["addresses"]}

    def running(self, ref: PodRef) -> PodRef:
        if ref not in self._pods:
            raise ApiError(404, "NotFound", f"the lab has no running pod {ref}")
        return ref

    def end(self, text: str, port: int, protocol: str, version: int) -> _End:
        """Resolve a target; `version` 0 takes its first address."""
        match parse_target(text):
            case ServiceRef() as service:
                spec = self._operations.get(SERVICES, service.namespace, service.name).object["spec"]
                own = [one for one in spec.get("clusterIPs") or () if one != "None"]
                if not own:
                    raise ApiError(404, "NotFound", f"{text} has no address of its own: name one of its pods")
                named = f"{service.namespace}/{service.name} port {port}/{protocol.lower()}"
                return _End(_of_version(text, own, version), named)
            case PodRef() as pod:
                own = [address["ip"] for address in self._pods[self.running(pod)]["status"]["podIPs"]]
                return _End(_of_version(text, own, version), pod=pod)
            case address:
                host = _of_version(text, [str(address)], version)
        known = self._service_at(host, port, protocol)
        if known is None and any(ip_address(host) in ip_network(own) for own in SERVICE_NETWORKS.values()):
            known = f"{host} port {port}/{protocol.lower()}"
        return _End(host, known)

    def _service_at(self, host: str, port: int, protocol: str) -> str | None:
        """The Service's port at an address: its own, or a node port."""
        for stored in self._operations.store.items(SERVICES):
            meta, spec = stored.object["metadata"], stored.object["spec"]
            for one in spec.get("ports") or ():
                own = host in (spec.get("clusterIPs") or ()) and one["port"] == port
                through_node = host in self._node_addresses and one.get("nodePort") == port
                if (own or through_node) and one["protocol"] == protocol:
                    return f"{meta['namespace']}/{meta['name']} port {one['port']}/{protocol.lower()}"
        return None


def _of_version(target: str, addresses: Sequence[str], version: int) -> str:
    """The first address of an IP version."""
    for address in addresses:
        if version in {0, ip_address(address).version}:
            return address
    text = f"{target} has no IPv{version} address, only {', '.join(addresses)}"
    raise ApiError(404, "NotFound", text)
