"""`netprobe lab trace`: one connection, and what the rules of the lab counted of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any, Literal

import click

from netprobe.cli.options import PodType, PortArgument, PortType, examples
from netprobe.errors import LabError, UsageError
from netprobe.model.flow import PodRef, Protocol, ServiceRef

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster
    from netprobe.lab.trace import Step
    from netprobe.probe.netcat import Answer
    from netprobe.probe.plan import Station

_TRIES = 5
_OUTSIDE = "netprobe-outside"
Output = Literal["table", "json"]


@click.command("trace")
@click.argument("source", metavar="FROM", type=PodType())
@click.argument("target", metavar="TO")
@click.option("--port", type=PortType(), required=True, metavar="PORT[/PROTOCOL]", help="As 80 or 53/udp.")
@click.option(
    "--ip-family",
    "family",
    type=click.Choice(["ipv4", "ipv6"]),
    help="Which address of TO; its first one otherwise.",
)
@click.option("--name", default="default", show_default=True, help="Which lab.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@examples("""
netprobe lab trace shop/web shop/api --port 8080
netprobe lab trace shop/web svc:shop/api --port 80 -o json
netprobe lab trace netprobe-outside/partner 10.244.1.3 --port 53/udp
""")
def command(
    source: PodRef, target: str, port: PortArgument, family: str | None, name: str, output: Output
) -> int:
    """Try one connection on a lab, and show which policy and rule let it pass or dropped it.

    TO is a pod, a Service as svc:NAMESPACE/NAME, or an address. What is shown is read from the counters of
    the kernel's rules, not reasoned out: `netprobe explain` does that.
    """
    from netprobe.cli.loop import run_async
    from netprobe.run.cluster import kubeconfig_of

    if port.protocol is Protocol.SCTP:
        raise UsageError("SCTP cannot be traced: nc cannot speak it")
    version = {"ipv4": 4, "ipv6": 6}.get(family or "")
    traced = run_async(_trace(kubeconfig_of(name), source, target, port, version))
    if output == "json":
        print(json.dumps(traced.as_json(), indent=2))
    else:
        print("\n".join(traced.lines()))
    return 0


@dataclass(frozen=True, slots=True)
class _End:
    """What a target means: the host to connect to, and the Service's port or the pod behind it."""

    host: str
    service: str | None = None
    pod: PodRef | None = None


@dataclass(frozen=True, slots=True)
class _Traced:
    source: PodRef
    target: str
    port: PortArgument
    answer: Answer
    steps: list[Step]
    pods: dict[str, PodRef]

    def as_json(self) -> dict[str, Any]:
        return {
            "from": str(self.source),
            "to": self.target,
            "port": self.port.number,
            "protocol": self.port.protocol.value,
            "outcome": self.answer.outcome.value,
            "steps": [asdict(step) for step in self.steps],
        }

    def lines(self) -> list[str]:
        from netprobe.report.grid import grid

        flow = f"{self.source} -> {self.target} {self.port.number}/{self.port.protocol.value}"
        lines = [f"{flow}: {self.answer.outcome.value}"]
        if not self.steps:
            return [*lines, "it never left the pod"]
        rows = [[step.stage, step.node, self._what(step), step.packets or ""] for step in self.steps]
        return [*lines, grid(["Stage", "Node", "What the rules counted", "Packets"], rows)]

    def _what(self, step: Step) -> str:
        match step.effect:
            case "translated":
                pod = self.pods.get((step.to or "").rpartition(":")[0].strip("[]"))
                return f"Service {step.by} -> {step.to}" + (f" ({pod})" if pod else "")
            case "refused" | "dropped":
                return f"Service {step.by}: {step.effect}, no endpoint for it"
            case "allowed":
                places = {"rule": step.rule, "peer": step.peer, "port": step.port}
                where = ", ".join(f"{word} {n}" for word, n in places.items() if n is not None)
                return f"allowed by {step.by}: {where}"
            case "denied":
                return f"denied: isolated by {', '.join(step.isolating)}, and no rule lets it pass"
            case "not seen":
                return "no rule counted it: it did not come here"
            case _:
                return step.effect


async def _trace(
    kubeconfig: str, source: PodRef, target: str, port: PortArgument, version: int | None
) -> _Traced:
    from netprobe.kube import connect
    from netprobe.lab.trace import Counts, UnclearError, way

    async with connect(kubeconfig) as cluster:
        pods = {
            PodRef(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod
            for pod in await cluster.find("Pod")
            if pod["status"].get("podIPs")
        }
        if source not in pods:
            raise LabError(f"the lab has no running pod {source}")
        by_address = {
            address["ip"]: ref
            for ref, pod in pods.items()
            if not pod["spec"].get("hostNetwork") and ref.namespace != _OUTSIDE
            for address in pod["status"]["podIPs"]
        }
        nodes = {ref: pod["spec"]["nodeName"] for ref, pod in pods.items()}
        end = await _end(cluster, target, port, pods, version)
        pod = end.pod or by_address.get(end.host)
        for attempt in range(_TRIES):
            before, answer, after = await _send(cluster, _station(source, pods[source]), end.host, port)
            try:
                steps = way(
                    Counts(before, after),
                    sorted(node["metadata"]["name"] for node in await cluster.find("Node")),
                    source=source if source in by_address.values() else None,
                    source_node=nodes[source],
                    service=end.service,
                    destination=pod if pod in by_address.values() else None,
                    pods=by_address,
                    nodes_of=nodes,
                )
            except UnclearError:
                if attempt == _TRIES - 1:
                    raise
            else:
                return _Traced(source, target, port, answer, steps, by_address)
    raise AssertionError("unreachable")


async def _send(
    cluster: KubeCluster, station: Station, host: str, port: PortArgument
) -> tuple[list[Any], Answer, list[Any]]:
    """The rules before, the answer to one try, the rules after."""
    from netprobe.lab.trace import RULES, parse
    from netprobe.model.observation import Outcome
    from netprobe.probe.netcat import Target
    from netprobe.probe.pace import LAB, Pace
    from netprobe.probe.plan import Batch
    from netprobe.probe.session import Sessions

    target = Target(host, port.number, port.protocol)
    before = parse(await cluster.raw(RULES))
    sessions = Sessions(cluster, Pace(method=LAB), keep=False)
    answer = (await sessions.run([Batch(station, (target,))]))[station, target]
    if answer.outcome is Outcome.EXEC_FAILED:
        raise LabError(f"nothing could be sent from {station.namespace}/{station.pod}: {answer.text}")
    return before, answer, parse(await cluster.raw(RULES))


def _station(ref: PodRef, pod: dict[str, Any]) -> Station:
    from netprobe.probe.plan import Station

    container = pod["spec"]["containers"][0]["name"]
    return Station(ref, ref.namespace, ref.name, container, (), pod["spec"]["nodeName"])


async def _end(
    cluster: KubeCluster,
    target: str,
    port: PortArgument,
    pods: dict[PodRef, dict[str, Any]],
    version: int | None,
) -> _End:
    from netprobe.lab.fabric.addresses import SERVICE_NETWORKS

    if target.startswith("svc:"):
        try:
            ref = ServiceRef.parse(target)
        except ValueError:
            raise UsageError(f"{target!r} is not of the form svc:NAMESPACE/SERVICE") from None
        service = await cluster.get("Service", ref.name, ref.namespace)
        own = [text for text in service["spec"].get("clusterIPs") or () if text != "None"]
        if not own:
            raise LabError(f"{target} has no address of its own: name one of its pods")
        host = _chosen(target, own, version)
        return _End(host, f"{ref.namespace}/{ref.name} port {port.number}/{port.protocol.value.lower()}")
    if "/" in target:
        try:
            pod = PodRef.parse(target)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if pod not in pods:
            raise LabError(f"the lab has no running pod {pod}")
        own = [address["ip"] for address in pods[pod]["status"]["podIPs"]]
        return _End(_chosen(target, own, version), pod=pod)
    try:
        host = _chosen(target, [str(ip_address(target))], version)
    except ValueError:
        raise UsageError(f"{target!r} is neither NAMESPACE/POD, svc:NAMESPACE/NAME nor an address") from None
    known = await _service_at(cluster, host, port)
    if known is None and any(ip_address(host) in ip_network(own) for own in SERVICE_NETWORKS.values()):
        known = f"{host} port {port.number}/{port.protocol.value.lower()}"
    return _End(host, known)


def _chosen(target: str, addresses: Sequence[str], version: int | None) -> str:
    """The first address of a family; LabError where there is none."""
    for address in addresses:
        if version in {None, ip_address(address).version}:
            return address
    raise LabError(f"{target} has no IPv{version} address, only {', '.join(addresses)}")


async def _service_at(cluster: KubeCluster, host: str, port: PortArgument) -> str | None:
    """The Service's port that an address means, by its own address or as a node port."""
    nodes = {a["address"] for node in await cluster.find("Node") for a in node["status"]["addresses"]}
    for service in await cluster.find("Service"):
        meta, spec = service["metadata"], service["spec"]
        for one in spec.get("ports") or ():
            own = host in (spec.get("clusterIPs") or ()) and one["port"] == port.number
            through_node = host in nodes and one.get("nodePort") == port.number
            if (own or through_node) and one["protocol"] == port.protocol.value:
                name = f"{meta['namespace']}/{meta['name']}"
                return f"{name} port {one['port']}/{one['protocol'].lower()}"
    return None
