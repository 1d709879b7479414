"""`netprobe lab add-host`: a host outside the cluster, on a lab that runs."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import click

from netprobe.cli.main import say
from netprobe.cli.options import ExternalType, PortArgument, PortType, examples
from netprobe.errors import ConflictError, LabError, NotFoundError, UsageError
from netprobe.model.flow import External

_NAMESPACE = "netprobe-outside"
_ADDRESS = "netprobe.dev/address"


@click.command("add-host")
@click.argument("host", metavar="NAME")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, type=ExternalType())
@click.option(
    "--port",
    "ports",
    type=PortType(),
    multiple=True,
    metavar="PORT[/PROTOCOL]",
    help="A port that the host serves, as 443 or 53/udp. Repeatable.",
)
@click.option("--remove", is_flag=True, help="Take the host away again.")
@click.option("--name", default="default", show_default=True, help="Which lab.")
@examples("""
netprobe lab add-host partner 203.0.113.50 --port 443
netprobe lab add-host partner --remove
""")
def command(
    host: str, addresses: tuple[External, ...], ports: tuple[PortArgument, ...], remove: bool, name: str
) -> None:
    """Add a host outside the cluster to a lab: an address that no selector means, with open ports.

    It is the pod NAME of the namespace netprobe-outside, so that kubectl exec can probe from it too.
    """
    from netprobe.cli.progress import run_async
    from netprobe.run.target import kubeconfig_of

    if remove == bool(addresses):
        raise UsageError("give the addresses of a new host, or --remove to take one away")
    kubeconfig = kubeconfig_of(name)
    if remove:
        run_async(_remove(kubeconfig, host))
        say(f"the outside host {host} is gone")
    else:
        run_async(_add(kubeconfig, _pod(host, addresses, ports)))
        where = ", ".join(map(str, addresses))
        say(f"the outside host {host} has {where}; as a pod it is {_NAMESPACE}/{host}")


def _pod(host: str, addresses: tuple[External, ...], ports: tuple[PortArgument, ...]) -> dict[str, Any]:
    listed = [{"containerPort": port.number, "protocol": port.protocol.value} for port in ports]
    annotations = {_ADDRESS: ",".join(str(one.address) for one in addresses)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": host, "namespace": _NAMESPACE, "annotations": annotations},
        "spec": {"containers": [{"name": "host", "image": "netprobe-lab-host", "ports": listed}]},
    }


async def _add(kubeconfig: str, pod: dict[str, Any]) -> None:
    """Create the host and wait until it runs; LabError where its address cannot be had: it is gone then."""
    from netprobe.kube import connect

    name = pod["metadata"]["name"]
    async with connect(kubeconfig) as cluster:
        with suppress(ConflictError):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}}
            await cluster.create(namespace)
        await cluster.create(pod)
        async for event in cluster.watch("Pod", _NAMESPACE):
            meta, status = event.object["metadata"], event.object.get("status") or {}
            if meta["name"] != name:
                continue
            if status.get("phase") == "Running":
                return
            for condition in status.get("conditions") or ():
                if condition.get("reason") == "Unschedulable":
                    await cluster.delete("Pod", name, _NAMESPACE)
                    raise LabError(f"the host {name} cannot be added: {condition['message']}")


async def _remove(kubeconfig: str, host: str) -> None:
    from netprobe.kube import connect

    async with connect(kubeconfig) as cluster:
        try:
            await cluster.delete("Pod", host, _NAMESPACE)
        except NotFoundError:
            raise LabError(f"the lab has no outside host {host}") from None
        async for event in cluster.watch("Pod", _NAMESPACE):
            if event.object["metadata"]["name"] == host and event.type == "DELETED":
                return
            if host not in {pod["metadata"]["name"] for pod in await cluster.find("Pod", _NAMESPACE)}:
                return
